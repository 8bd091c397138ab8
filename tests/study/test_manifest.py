import pytest

from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.ledger import Budget
from afanalysis.study.manifest import as_begun
from afanalysis.study.tidying import tidy
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


def test_a_list_of_harmbench_is_read_as_when_its_folder_was_begun(small_study, standin, tmp_path):
    """At first contexts and ids of HarmBench were not read; what was sent then is not asked again."""
    path = tmp_path / "list.csv"
    path.write_text("Behavior\nSing\nBake\n")
    listed = {"helpful-only": {"file": path}}
    study = small_study.model_copy(
        update={"settings": ["helpful-only"], "prompts": Study(name="x", prompts=listed).prompts}
    )
    put(study, tmp_path, standin)
    before = (tmp_path / "rollouts.jsonl").read_bytes()
    path.write_text("Behavior,ContextString,BehaviorID\nSing,La.,sing\nBake,,bake\n")
    assert [request.prompt_id for request in study.requests("helpful-only")] == ["sing", "bake"]
    put(as_begun(study, tmp_path), tmp_path, standin)
    assert (tmp_path / "rollouts.jsonl").read_bytes() == before
    assert set(tidy(tmp_path, unjudged=True)["request"]) == {"Sing", "Bake"}
