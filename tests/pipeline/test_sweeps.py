import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from afanalysis.cli import main
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks, projects, sweeps
from afanalysis.pipeline.projects import STEPS
from afanalysis.reporting.contact_sheet import write_contact_sheet
from tests.helpers import calls, notebook, tiny_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tiny_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def write(folder, **content):
    path = folder / "sweep.yaml"
    path.write_text(json.dumps({"name": "try", "study": "study.yaml"} | content))
    return path


def rows(folder):
    with (folder / "data" / "processed" / "try" / "runs.csv").open(newline="") as file:
        return {row["run"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_sweep_runs_every_set_and_isolates_the_one_that_fails(project, capsys):
    grid = {"study.seed": [1, 2], "study.samples": [1, 2]}
    path = write(project, grid=grid, list=[{"study.seed": 3, "note": "fail"}])
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(path)])
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    table = rows(project)
    assert [row["state"] for row in table.values()].count("done") == 4
    bad = table["try.seed-3_note-fail"]
    assert bad["state"] == "failed"
    assert "03_rates: ValueError in cell" in bad["error"]
    assert "note is fail" in bad["error"]
    assert "FAILED try.seed-3_note-fail" in printed
    assert "5/5" in printed
    assert "gap 10.0 points [5.0, 20.0], helpful-only" in printed
    kept = project / "data" / "processed" / "try.seed-3_note-fail" / "notebooks" / "03_rates.ipynb"
    assert "ValueError" in kept.read_text()
    with (project / "data" / "processed" / "try" / "gaps.csv").open(newline="") as file:
        gaps = list(csv.DictReader(file))
    assert {(row["study.seed"], row["study.samples"]) for row in gaps} == {
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    }
    assert (project / "figures" / "try" / "gaps_by_run.svg").exists()


@pytest.mark.slow
def test_what_is_up_to_date_is_passed_over_and_only_failures_are_tried_again(project, capsys):
    path = write(project, grid={"study.seed": [1, 2]}, list=[{"study.seed": 3, "note": "fail"}])
    with pytest.raises(SystemExit):
        main(["sweep", str(path)])
    assert sorted(calls(project, "try.seed-1")) == list(STEPS)
    with pytest.raises(SystemExit):
        main(["sweep", str(path), "--retry-failed"])
    assert "1 of 3 runs" in capsys.readouterr().out
    assert sorted(calls(project, "try.seed-1")) == list(STEPS)
    assert calls(project, "try.seed-3_note-fail").count("03_rates") == 2
    assert len(rows(project)) == 3
    path = write(project, grid={"study.seed": [1, 2]})
    assert main(["sweep", str(path)]) == 0
    assert sorted(calls(project, "try.seed-1")) == list(STEPS)
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"labels": 2.5}, "labels is 2.5; input should be a valid integer"),
        ({"labels": 0}, "labels is 0; input should be greater than 0"),
        ({"first": "three"}, "first is 'three'; input should be a valid integer"),
        ({"first": 0}, "first is 0; input should be greater than 0"),
        ({"rules": "yes"}, "rules is 'yes'; input should be a valid boolean"),
        ({"calls": {"batch": True}}, "no notebook has a parameter 'calls'"),
    ],
)
def test_the_parameters_of_the_real_notebooks_are_checked(tmp_path, parameters, message):
    folders = projects.new_project(tmp_path / "real")
    path = write(folders.project, study="studies/real.yaml", list=[{"level": 0.9}, parameters])
    with pytest.raises(InputError, match=re.escape(message)):
        sweeps.expand(sweeps.Sweep.from_yaml(path), folders.project)


@pytest.mark.parametrize(
    "command",
    [
        "run --dry-run",
        "run --dry-run --study study.yaml --until-decided",
        "run --dry-run --study study.yaml --live --budget 3",
        "sweep sweep.yaml --dry-run",
        "sweep sweep.yaml --dry-run --retry-failed",
        "collect --study study.yaml --dry-run",
        "judge --study study.yaml --dry-run",
    ],
)
@pytest.mark.parametrize("asked", [False, True], ids=["nothing there", "collected"])
def test_a_dry_run_writes_nothing(project, capsys, command, asked):
    write(project, grid={"study.seed": [1, 2]})
    (project / "studies").mkdir()
    tiny = {"name": "one", "samples": 1, "prompts": {"helpful-only": {"first": 2}}}
    tiny |= {"settings": ["helpful-only"]}
    for place in ("study.yaml", "studies/demo.yaml"):
        (project / place).write_text(json.dumps(tiny))
    if asked:
        assert main(["collect", "--study", "study.yaml"]) == 0
    before = {each: each.stat().st_mtime_ns for each in project.rglob("*")}
    code = main(command.format(folder=project).split())
    assert {each: each.stat().st_mtime_ns for each in project.rglob("*")} == before
    error = capsys.readouterr().err
    if "--retry-failed" in command:
        assert code == 2
        assert "sweep try: has not been run here" in error
    else:
        # without rollouts, judging has nothing to look ahead to
        assert code == (2 if command.startswith("judge") and not asked else 0), error


def test_a_dry_run_says_what_and_why_and_runs_nothing(project, capsys):
    path = write(project, grid={"study.seed": [1, 2]})
    assert main(["sweep", str(path), "--dry-run"]) == 0
    assert "try.seed-2  run: it has not been run here" in capsys.readouterr().out
    assert calls(project, "try.seed-1") == []


@pytest.mark.slow
def test_one_notebook_over_many_parameters_has_a_folder_a_run(project):
    (project / "data" / "raw" / "one").mkdir(parents=True)
    (project / "notebooks" / "04_robustness.ipynb").write_text(
        notebook(
            'study = ""\nproject = ".."\nlevel = 0.95',
            "import pathlib\npathlib.Path(project, 'level').write_text(str(level))",
        )
    )
    path = write(project, notebook="04_robustness", grid={"level": [0.5, 0.9]})
    assert main(["sweep", str(path)]) == 0
    inside = project / "data" / "processed" / "try"
    assert {(inside / f"try.level-{level}" / "level").read_text() for level in (0.5, 0.9)} == {
        "0.5",
        "0.9",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"grid": {"levle": [1]}},
            "no notebook has a parameter 'levle'; use: level, note, or study.FIELD",
        ),
        ({"grid": {"level": ["high"]}}, "level is 'high'; input should be a valid number"),
        ({"grid": {"level": [True]}}, "level is True"),
        ({"grid": {"note": [3]}}, "note is 3; input should be a valid string"),
        ({"list": [{"level": 0.9}, {"level": 95}]}, "level is 95; input should be less than 1"),
        ({"grid": {"level": [0]}}, "level is 0; input should be greater than 0"),
        ({"grid": {"study.seed": ["x"]}}, "seed is 'x'"),
        ({"grid": {"study.judge.votes": [0]}}, "judge.votes is 0"),
        (
            {"grid": {"study.sample": [1]}},
            "sweep try: sample is not a field here; use any of: name",
        ),
        ({"grid": {"study.samples": [0]}}, "samples is 0; input should be greater than"),
        ({"grid": {"study.name": ["x"]}}, "no notebook has a parameter 'study.name'"),
        (
            {"grid": {"study.seed": list(range(101)), "study.samples": list(range(1, 101))}},
            "more than 10,000 runs",
        ),
        (
            {"grid": {"study.seed": [1]}, "notebook": "04_robustness"},
            "no notebook has a parameter 'study.seed'; use: level, note\n",
        ),
        ({"list": [{"level": 0.9}, {"level": 0.9}]}, "two runs have the parameters"),
        ({}, "give a grid"),
        ({"grid": {"level": [0.9]}, "typo": 1}, "typo is not a field here"),
        ({"grid": {"level": [0.9]}, "live": True}, "live is true; give a budget"),
        ({"grid": {"level": [0.9]}, "notebook": "09_none"}, "no such notebook"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_starts(project, capsys, content, message):
    path = write(project, **content)
    assert main(["sweep", str(path)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not (project / "data").exists()


def test_the_runs_of_a_sweep_share_one_section_of_the_contact_sheet(tmp_path):
    for name in ("try", "try.seed-1", "try.seed-2", "v1.0", "demo"):
        (tmp_path / "figures" / name).mkdir(parents=True)
        about = {"heading": f"of {name}", "alt": "A picture."}
        (tmp_path / "figures" / name / "picture.json").write_text(json.dumps(about))
    (tmp_path / "data" / "processed" / "try").mkdir(parents=True)
    (tmp_path / "data" / "processed" / "try" / "runs.csv").write_text("run,state\n")
    page = write_contact_sheet(tmp_path / "figures").read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["demo", "try", "v1.0"]
    assert re.findall("<summary>(.*?)</summary>", page) == ["try.seed-1", "try.seed-2"]
    assert page.count("<details>") == page.count("</details>") == 2
    assert all(f"of {name}<" in page for name in ("try", "try.seed-1", "v1.0", "demo"))


def test_an_unreachable_scheduler_is_reported_and_nothing_starts(project, capsys, monkeypatch):
    import distributed

    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda *a, **k: client(*a, **(k | {"timeout": 1})))
    path = write(project, grid={"level": [0.9]})
    assert main(["sweep", str(path), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler answers there" in capsys.readouterr().err
    assert not list((project / "data" / "processed").glob("try*/study.yaml"))


def test_a_live_sweep_gives_every_run_its_budget(project):
    path = write(project, grid={"level": [0.9]}, live=True, budget=3)
    (run,) = sweeps.expand(sweeps.Sweep.from_yaml(path), project)
    assert [step.parameters.get("budget") for step in run.chain] == [3, 3, None, None, None]


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def dask_cluster(tmp_path):
    """A real scheduler and two real workers, each in a folder of its own."""
    port = _free_port()
    address = f"tcp://127.0.0.1:{port}"
    environment = os.environ | {"TINY_SECONDS": "0.4"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    started = [
        subprocess.Popen([*scheduler, "--host", "127.0.0.1", "--port", str(port)], cwd=tmp_path, **quiet)
    ]
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    workers = []
    for name in ("a", "b"):
        folder = tmp_path / f"worker-{name}"
        folder.mkdir()
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
        command += ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
        workers.append(subprocess.Popen(command, cwd=folder, **quiet))
    yield address, workers
    for process in (*workers, *started):
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_on_a_cluster_all_runs_finish_and_none_twice_though_a_worker_is_killed(project, dask_cluster):
    address, workers = dask_cluster
    path = write(project, grid={"study.seed": [1, 2, 3, 4, 5, 6]})
    sweep = sweeps.Sweep.from_yaml(path)
    runs = sweeps.expand(sweep, project)
    ended = []

    def report(one, done, of):
        ended.append(one["run"])
        if done == 1:
            workers[0].kill()

    with sweeps.cluster(address) as executor:
        sweeps.prepare(sweep, project, runs)
        results = sweeps.run(sweep, project, runs, executor, report=report)
    # a run that was done when its worker was killed, and whose result was lost, is up to date
    states = sorted(one["state"] for one in results)
    assert states in (["done"] * 6, ["done"] * 5 + ["up to date"]), [one["error"] for one in results]
    assert sorted(ended) == sorted(run.name for run in runs)
    for run in runs:
        ran = calls(project, run.name)
        assert sorted(set(ran)) == list(STEPS)
        assert list(dict.fromkeys(ran))[:3] == list(STEPS[:3])
    # of the run that was cut short, the one or two notebooks under way may have begun twice
    assert sum(len(calls(project, run.name)) for run in runs) <= 6 * len(STEPS) + 2
    assert all(row["headline"] for row in rows(project).values())


@pytest.mark.slow
def test_twenty_four_sets_of_the_demo_with_one_that_fails(tmp_path, monkeypatch, capsys):
    """The acceptance line: the real notebook over the real demo."""
    import shutil

    from tests.helpers import PROJECT

    for name in ("notebooks", "studies"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    levels = [round(0.5 + 0.02 * at, 2) for at in range(23)]
    robustness = tmp_path / "notebooks" / "04_robustness.ipynb"
    content = robustness.read_text().replace('"level = 0.95', '"broken = False\\n",\n    "level = 0.95')
    robustness.write_text(
        content.replace('"import pandas as pd', '"assert not broken\\n",\n    "import pandas as pd')
    )
    (tmp_path / "demo.yaml").write_text(
        json.dumps(
            {
                "name": "levels",
                "study": "studies/demo.yaml",
                "grid": {"level": levels},
                "list": [{"broken": True}],
                "notebook": "04_robustness",
            }
        )
    )
    path = tmp_path / "studies" / "demo.yaml"
    steps = notebooks.study_steps(tmp_path, notebooks.Study.from_yaml(path), path, {})
    notebooks.raise_first_failure(notebooks.run(tmp_path, steps[:3]))  # what the fourth reads
    with pytest.raises(SystemExit):
        main(["sweep", "demo.yaml"])
    printed = capsys.readouterr().out
    assert "24/24" in printed
    assert printed.count("FAILED") == 1
    assert "AssertionError in cell" in printed
