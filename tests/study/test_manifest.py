import pytest

from afanalysis.errors import InputError
from afanalysis.study.ledger import Budget
from tests.helpers import put


def test_simulated_and_live_rollouts_are_never_mixed(small_study, standin, tmp_path):
    put(small_study, tmp_path, standin)
    before = (tmp_path / "rollouts.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds simulated rollouts and cannot take live ones"):
        put(small_study, tmp_path, standin, source="live", budget=Budget(usd=1))
    assert (tmp_path / "rollouts.jsonl").read_bytes() == before


def test_a_folder_of_another_study_is_refused_and_left_as_it_was(small_study, standin, tmp_path):
    put(small_study, tmp_path, standin)
    before = (tmp_path / "rollouts.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds the study 'small', not 'other'"):
        put(small_study.model_copy(update={"name": "other"}), tmp_path, standin)
    assert (tmp_path / "rollouts.jsonl").read_bytes() == before
