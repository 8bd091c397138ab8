import json
import shutil

import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.judging.rules import SIMULATED_LABELLERS


@pytest.fixture
def folder(collected, tmp_path):
    folder = tmp_path / "small"
    shutil.copytree(collected, folder)
    rollouts = af.tidy(folder)
    af.write_label_sample(folder, af.sample_for_labels(rollouts, 20), rollouts)
    return folder


def test_two_people_label_the_sample_once(folder, small_study):
    assert af.simulate_labels(small_study, folder) == 40
    assert af.simulate_labels(small_study, folder) == 0
    labels = af.read_labels(folder)
    assert {label.labeller for label in labels} == set(SIMULATED_LABELLERS)
    table = af.tidy(folder)
    labelled = table[table["label_complied"].notna()]
    assert 15 <= len(labelled) <= 20
    assert (labelled["complied"] == labelled["label_complied"]).mean() > 0.8


def test_real_answers_are_left_to_people(folder, small_study):
    lines = (folder / "rollouts.jsonl").read_text().splitlines()
    real = json.dumps(json.loads(lines[0]) | {"source": "live"})
    (folder / "rollouts.jsonl").write_text("\n".join([real, *lines[1:]]) + "\n")
    with pytest.raises(InputError, match="holds live rollouts; people must label those"):
        af.simulate_labels(small_study, folder)
    assert not (folder / "labels.csv").exists()
