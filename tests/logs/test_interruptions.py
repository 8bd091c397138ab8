"""An import that is killed, or meets another process, leaves nothing behind and loses nothing."""

import json
import subprocess
import sys

import pytest
from filelock import FileLock

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.judging.rules import judge_by_rules
from afanalysis.logs.importing import import_logs
from afanalysis.study import journal
from afanalysis.study.labels import Label, add_labels
from tests.logs.samples import both_tiers, pipeline_log


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True])
def test_an_import_killed_at_any_step_blocks_no_name_and_is_cleared_by_the_next(
    existing, project, tmp_path
):
    """T7: killed wherever it touches a file; labels and other judges' votes stay."""
    logs, folder = tmp_path / "logs", tmp_path / "raw"
    folder.mkdir()
    pipeline_log(logs, both_tiers(3))
    if existing:
        import_logs([logs], folder / "study")
        add_labels(folder / "study", [Label(af.tidy(folder / "study").rollout[0], "ann", "refused")])
        judge_by_rules(folder / "study")
    pipeline_log(logs, both_tiers(6))
    arguments = map(str, (folder, logs, int(existing)))
    code = [sys.executable, "-m", "tests.logs.kill_imports", *arguments]
    done = subprocess.run(code, capture_output=True, text=True, cwd=project)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_the_folder_of_an_import_that_is_running_stays(tmp_path):
    running, killed = tmp_path / ".import-running", tmp_path / ".import-killed"
    for folder in (running, killed):
        folder.mkdir()
        (folder / "records.jsonl").write_text("{}\n")
    with FileLock(running / ".lock"):
        import_logs([pipeline_log(tmp_path / "logs", both_tiers())], tmp_path / "study")
        assert (running / "records.jsonl").exists()
        assert not killed.exists()


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl", "labels.csv", "ledger.jsonl"])
def test_a_study_that_another_process_writes_to_is_left_alone(name, tmp_path, monkeypatch):
    """M7."""
    log, study = pipeline_log(tmp_path / "logs", both_tiers()), tmp_path / "study"
    import_logs([log], study)
    before = (study / "import.json").read_bytes()
    monkeypatch.setattr("afanalysis.study.journal.PATIENCE", 0.1)
    pipeline_log(tmp_path / "logs", both_tiers(2))
    with FileLock(study / f".{name}.lock"), pytest.raises(InputError, match="another process is"):
        import_logs([log], study)
    assert (study / "import.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "study"]


def test_keys_are_those_of_earlier_versions(tmp_path):
    row = {"prompt": "Why?", "response": "No.", "tier": "paid", "model": "m", "id": "a"}
    (tmp_path / "named.jsonl").write_text(json.dumps(row | {"refused": ["yes", "no", "yes"]}) + "\n")
    (tmp_path / "unnamed.csv").write_text("prompt,response,tier,model\n" + "Why?,No.,paid,m\n" * 2)
    import_logs([tmp_path / "named.jsonl", tmp_path / "unnamed.csv"], tmp_path / "study")
    rollouts = list(journal.read_records(tmp_path / "study" / "rollouts.jsonl"))
    assert [(one["key"], one["sample"], one["origin"]) for one in rollouts] == [
        ("4f60bb0af23b4413295928d49390f450", 0, "b003e7a2:000000001"),
        ("7f41d8d228fd1f7f0fac943d5f2c5706", 2, "ca2b20a1:000000001"),
        ("b85844ea8b7b7f6a33f6cda7b6643141", 1, "ca2b20a1:000000002"),
    ]
    votes = list(journal.read_records(tmp_path / "study" / "judgements.jsonl"))
    assert {one["judge"] for one in votes} == {"imported@48ae9213"}
    assert [one["key"] for one in votes] == [
        "acb84c3d6b73f2ab520d48e75d6748e6",
        "466467913194f9b1a685187a4027b26b",
        "c4536ef174d762682fa074ece609c213",
    ]
