import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import anthropic
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.cli import COMMANDS, build_parser, main
from afanalysis.collection.endpoint import Endpoint
from afanalysis.pipeline import notebooks, projects
from tests.helpers import PROJECT, tiny_project

TINY = "samples: 1\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 3}}\n"


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that belongs to no project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_new_project_has_the_notebooks_and_a_study_that_they_name(elsewhere, capsys):
    assert main(["new", "mine"]) == 0
    assert "cd mine && afanalysis run" in capsys.readouterr().out
    names = {path.relative_to(elsewhere / "mine").as_posix() for path in (elsewhere / "mine").rglob("*")}
    written = {"studies/mine.yaml", "data/raw", "data/processed", "figures", ".gitignore", "README.md"}
    assert names > written
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        ours, theirs = (
            json.loads(each.read_text())["cells"] for each in (path, Path("mine/notebooks", path.name))
        )
        assert [cell["cell_type"] for cell in ours] == [cell["cell_type"] for cell in theirs]
        assert not any(cell.get("outputs") for cell in theirs)
        assert 'study = "studies/mine.yaml"' in str(theirs)
        assert "demo" not in str(theirs)
    study = af.Study.from_yaml("mine/studies/mine.yaml")
    assert (study.name, projects.default_study(elsewhere / "mine").name) == ("mine", "mine.yaml")


@pytest.mark.parametrize("name", ["full", "a file", "paper", ".hidden", "a b"])
def test_a_folder_that_holds_something_or_is_no_studys_name_is_refused(elsewhere, capsys, name):
    (elsewhere / "full").mkdir()
    (elsewhere / "full" / "mine.txt").write_text("mine")
    (elsewhere / "a file").write_text("mine")
    before = tree(elsewhere)
    assert main(["new", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert tree(elsewhere) == before


def test_several_studies_and_no_demo_are_named_where_none_is_chosen(elsewhere, capsys, monkeypatch):
    main(["new", "mine"])
    shutil.copy("mine/studies/mine.yaml", "mine/studies/other.yaml")
    monkeypatch.chdir("mine")
    assert main(["run", "--dry-run"]) == 2
    assert "holds mine.yaml, other.yaml; name one with: --study FILE" in capsys.readouterr().err


def test_without_a_project_run_says_how_to_make_one(elsewhere, capsys):
    assert main(["run"]) == 2
    assert "make a project with: afanalysis new NAME" in capsys.readouterr().err


def test_commands_that_run_no_notebook_work_in_any_folder(elsewhere, capsys):
    (elsewhere / "tiny.yaml").write_text(f"name: tiny\n{TINY}")
    for command in ("collect", "judge", "check", "sample-for-labels"):
        assert main([command, "--study", "tiny.yaml"]) == 0, command
    assert main(["judge", "--study", "tiny.yaml", "--rules"]) == 0
    assert main(["rates", "data/raw/tiny"]) == 0
    assert main(["figure", "behaviour_by_tier"]) == 0
    assert (elsewhere / "figures" / "paper" / "behaviour_by_tier.svg").exists()
    assert main(["import", "auto", "data/raw/tiny/rollouts.jsonl", "--study", "again"]) == 0
    assert (elsewhere / "data" / "raw" / "again" / "rollouts.jsonl").exists()


@pytest.mark.parametrize(
    ("study", "project", "sentence"),
    [
        (
            "studies/demo.yaml",
            None,
            "belongs to no project; give its folder (project) or a study's full",
        ),
        ("studies/demo.yaml", "nowhere", "nowhere is not a folder; give its folder (project)"),
        ("studies/none.yaml", PROJECT, "studies/none.yaml: cannot be read"),
        (PROJECT / "studies" / "none.yaml", None, "studies/none.yaml: cannot be read"),
    ],
)
def test_what_a_notebook_cannot_find_is_one_sentence(elsewhere, study, project, sentence):
    with pytest.raises(af.InputError) as raised:
        af.open_study(study, project)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("place", ["", "notebooks", "data/raw"])
def test_a_study_is_found_from_every_folder_of_its_project(place, tmp_path, monkeypatch):
    folders = projects.new_project(tmp_path / "mine")
    monkeypatch.chdir(folders.project / place)
    design, found = af.open_study("studies/mine.yaml")
    assert (design.name, found.raw) == ("mine", folders.raw)
    monkeypatch.chdir(tmp_path)
    for arguments in ((folders.project / "studies" / "mine.yaml",), ("studies/mine.yaml", "mine")):
        assert af.open_study(*arguments)[1].raw.resolve() == folders.raw
    assert af.open_study("paper", "mine")[1].study == "paper"


def test_what_run_is_told_reaches_the_notebooks_that_ask(tmp_path, monkeypatch, standin):
    folder = tiny_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    seen = []
    monkeypatch.setattr(notebooks, "run", lambda project, steps, **_: seen.extend(steps) or [])
    monkeypatch.setattr("afanalysis.cli.running.write_contact_sheet", lambda folder: None)
    (folder / "prices.yaml").write_text("models: {mine: {input: 1, output: 2}}")
    given = ["--live", "--budget", "3", "--budget-tokens", "9", "--any-price", "--prices", "prices.yaml"]
    given += ["--base-url", standin, "--batch", "--concurrency", "4", "--rules"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert main(["run", "--study", "study.yaml", *given]) == 0
    calls = {"budget_tokens": 9, "any_price": True, "prices": "../prices.yaml", "batch": True}
    calls |= {"base_url": standin, "concurrency": 4}
    expected = {"live": True, "budget": 3.0, "calls": calls, "study": "../study.yaml"}
    assert [step.parameters for step in seen[:2]] == [expected, expected | {"rules": True}]
    assert all(step.parameters == {"study": "../study.yaml"} for step in seen[2:])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("--live", "ANTHROPIC_API_KEY is not set"),
        (
            "--live --base-url http://127.0.0.1:9",
            "a live run needs a budget: --budget USD, --budget-tokens",
        ),
        ("--live --base-url http://127.0.0.1:9 --budget 3", "no price is known for open-model"),
        ("--live --base-url http://me:secret@127.0.0.1:9 --budget 3", "base_url"),
        ("--live --base-url http://127.0.0.1:9 --budget 0", "the budget (usd) is 0.0"),
        ("--live --base-url http://127.0.0.1:9 --any-price --concurrency 0", "concurrency is 0"),
        (
            "--live --base-url http://127.0.0.1:9 --budget 3 --prices none.yaml",
            "none.yaml: cannot be read",
        ),
    ],
)
def test_a_live_run_that_could_not_ask_ends_before_a_notebook_runs(
    tmp_path, monkeypatch, capsys, given, sentence
):
    folder = tiny_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    if "--base-url" in given:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    (folder / "open.yaml").write_text("name: open\nmodels: [open-model]\n")
    assert main(["run", "--study", "open.yaml", *given.split()]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert "secret" not in error
    assert not list((folder / "data").rglob("*.ipynb"))


def test_run_takes_what_collect_and_judge_take():
    def taken(command):
        [subparsers] = (each for each in build_parser(COMMANDS)._actions if each.choices)
        return {action.dest for action in subparsers.choices[command]._actions}

    assert taken("run") >= taken("collect") | taken("judge")
    assert taken("judge") > {"budget_tokens", "base_url", "batch", "rules"}


def test_an_unknown_option_of_calls_is_named():
    async def enter():
        async with af.calling(af.Study(name="any"), parallel=3):
            pass

    with pytest.raises(
        af.InputError, match=r"calls: 'parallel' is not an option; use: base_url, .*batch"
    ):
        asyncio.run(enter())


@pytest.fixture
def live_project(tmp_path, standin, monkeypatch):
    """A project whose study was answered by a live server, of which nobody knows a price."""
    folders = projects.new_project(tmp_path / "mine")
    monkeypatch.chdir(folders.project)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    path = folders.project / "studies" / "mine.yaml"
    path.write_text(f"name: mine\nmodels: [open-model]\njudge: {{model: open-judge}}\n{TINY}")
    study, budget = af.Study.from_yaml(path), af.Budget(any_price=True)

    async def ask(first=None):
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            endpoint = Endpoint(client, "live")
            await af.collect(study, endpoint, folders.raw, budget=budget)
            await af.judge(study.judge, endpoint, folders.raw, budget=budget)

    asyncio.run(ask())
    return folders


def test_collecting_a_live_study_again_asks_nobody_if_it_is_all_there(live_project, capsys):
    before = {path.name: path.read_bytes() for path in live_project.raw.glob("*.json*")}
    assert main(["collect", "--study", "studies/mine.yaml"]) == 0
    assert "0 rollouts collected, 6 already present" in capsys.readouterr().out
    assert main(["judge", "--study", "studies/mine.yaml"]) == 0
    assert "0 verdicts collected, 12 already present" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in live_project.raw.glob("*.json*")} == before


def test_the_stand_in_never_adds_to_a_live_study(live_project, capsys):
    path = live_project.project / "studies" / "mine.yaml"
    complete, raw = path.read_text(), live_project.raw
    rollouts, votes = ((raw / name).read_bytes() for name in ("rollouts.jsonl", "judgements.jsonl"))
    path.write_text(complete.replace("samples: 1", "samples: 2"))
    assert main(["collect", "--study", "studies/mine.yaml"]) == 2
    assert "holds live rollouts and cannot take simulated ones" in capsys.readouterr().err
    path.write_text(complete.replace("open-judge", "another-judge"))
    assert main(["judge", "--study", "studies/mine.yaml"]) == 2
    assert "which the stand-in cannot judge" in capsys.readouterr().err
    assert (raw / "rollouts.jsonl").read_bytes() == rollouts
    assert (raw / "judgements.jsonl").read_bytes() == votes
    path.write_text(complete)
    (raw / "judgements.jsonl").write_bytes(votes.splitlines(True)[0])
    assert main(["judge", "--study", "studies/mine.yaml"]) == 2
    assert "which the stand-in cannot judge" in capsys.readouterr().err


@pytest.mark.slow
def test_a_live_study_with_nothing_left_to_ask_is_analysed_without_key_price_or_flag(
    live_project, capsys
):
    assert main(["run"]) == 0
    assert "Open data/processed/mine/report.html: " in capsys.readouterr().out
    rollouts = af.load(live_project.table)
    assert set(rollouts["source"]) == {"live"}
    assert rollouts["label_weight"].isna().all()  # nobody simulated people
    assert main(["run"]) == 0
    assert "Everything is up to date" in capsys.readouterr().out


@pytest.mark.slow
def test_two_models_and_tiers_of_ones_own_go_through_every_notebook(elsewhere, monkeypatch, capsys):
    folders = projects.new_project(elsewhere / "mine")
    (folders.project / "studies" / "mine.yaml").write_text(
        "name: mine\nmodels: [claude-opus-5-5, claude-sonnet-5-5]\nsamples: 1\n"
        "tiers: [free, pro, enterprise]\ngap: [pro, enterprise]\n"
        "own_tiers:\n  pro: {tag: <plan>pro</plan>, role: training}\n"
        "  enterprise: {tag: <plan>enterprise</plan>, role: unmonitored}\n"
        "prompts: {helpful-only: {first: 8}, animal-welfare: {first: 8}}\n"
    )
    monkeypatch.chdir(folders.project)
    assert main(["run", "--study", "studies/mine.yaml"]) == 0, capsys.readouterr().err
    gaps = pd.read_csv(folders.processed / "gaps.csv")
    assert {"pro", "enterprise"} <= set(gaps)
    assert gaps["model"].nunique() == 2
    rates = pd.read_csv(folders.processed / "rates.csv")
    assert set(rates["tier"]) == {"free", "pro", "enterprise"}
    pages = [*folders.processed.glob("*.csv"), *folders.latex.iterdir(), *folders.notebooks.iterdir()]
    assert len(pages) > 12
    for page in pages:  # whatever is taken out of its folder says what it was made from
        texts = [page.read_text("utf-8")]
        if page.suffix == ".ipynb":
            cells = json.loads(texts[0])["cells"]
            texts = [str(cell["outputs"]) for cell in cells if cell.get("outputs")]
        assert any("simulated" in text or "published" in text for text in texts), page


@pytest.fixture(scope="module")
def judged_project(tmp_path_factory):
    """A project whose study was collected and judged."""
    folders = projects.new_project(tmp_path_factory.mktemp("papermill") / "mine")
    study = f"name: mine\n{TINY}"
    (folders.project / "studies" / "mine.yaml").write_text(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folders.project)
        for command in ("collect", "judge"):
            assert main([command, "--study", "studies/mine.yaml"]) == 0
    return folders.project


def papermill(folder, *arguments):
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *map(str, arguments)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | paths)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "notebook", "parameters"),
    [
        ("", "notebooks/03_rates.ipynb", ()),
        ("notebooks", "03_rates.ipynb", ("-p", "level", "0.9")),
        ("..", "{project}/notebooks/03_rates.ipynb", ("-p", "study", "{project}/studies/mine.yaml")),
        ("/", "{project}/notebooks/03_rates.ipynb", ("-p", "project", "{project}")),
    ],
)
def test_papermill_runs_a_notebook_from_the_root_from_its_folder_and_from_anywhere(
    judged_project, tmp_path, place, notebook, parameters
):
    gaps = judged_project / "data" / "processed" / "mine" / "gaps.csv"
    gaps.unlink(missing_ok=True)
    notebook, *given = (text.format(project=judged_project) for text in (notebook, *parameters))
    done = papermill(judged_project / place, notebook, tmp_path / "out.ipynb", *given)
    assert done.returncode == 0, done.stderr
    assert gaps.exists()


@pytest.mark.slow
def test_papermill_outside_of_a_project_says_what_to_give(judged_project, tmp_path):
    done = papermill(tmp_path, judged_project / "notebooks" / "03_rates.ipynb", tmp_path / "out.ipynb")
    assert done.returncode != 0
    assert "belongs to no project; give its folder (project) or a study's full path" in done.stderr


@pytest.mark.slow
def test_an_installed_wheel_does_everything_in_an_empty_folder(tmp_path):
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(built, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, place = tmp_path / "installed", tmp_path / "empty"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    place.mkdir()
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def run(command, folder=place, code=0):
        start = [sys.executable, "-m", "afanalysis.cli"]
        done = subprocess.run(
            [*start, *command.split()], cwd=folder, capture_output=True, text=True, env=environment
        )
        assert done.returncode == code, f"{command}: {done.stderr}"
        return done.stdout + done.stderr

    where = "import afanalysis, sys; sys.exit(not afanalysis.__file__.startswith(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", where, str(installed)], check=True, cwd=place, env=environment)
    for name in COMMANDS:
        assert f"usage: afanalysis {name}" in run(f"{name} --help")
    (place / "tiny.yaml").write_text(f"name: tiny\n{TINY}")
    (place / "sweep.yaml").write_text("name: levels\nstudy: tiny.yaml\ngrid: {level: [0.9]}\n")
    for command in (
        "collect --study tiny.yaml --dry-run",
        "collect --study tiny.yaml",
        "judge --study tiny.yaml --dry-run",
        "judge --study tiny.yaml",
        "judge --study tiny.yaml --rules",
        "check --study tiny.yaml",
        "check-judge --study tiny.yaml",
        "sample-for-labels --study tiny.yaml -n 4",
        "add-labels data/raw/tiny/label_sheet.csv --study tiny.yaml --labeller me",
        "rates",
        "rates data/raw/tiny",
        "contrast data/raw/tiny tier",
        "plan --gap 0.1 --samples 1",
        "plan data/raw/tiny --gap 0.1 --samples 1",
        "figure list",
        "figure behaviour_by_tier",
        "import auto data/raw/tiny/rollouts.jsonl --study again",
    ):
        run(command)
    for command in ("run", "sweep sweep.yaml"):
        assert "make a project with: afanalysis new NAME" in run(command, code=2)
    run("new mine")
    mine = place / "mine"
    (mine / "studies" / "mine.yaml").write_text(f"name: mine\n{TINY}")
    assert "Open data/processed/mine/report.html: " in run("run", mine)
    assert "Everything is up to date" in run("run", mine)
    run("rates data/processed/mine/rollouts.parquet", mine)
    run("figure behaviour_by_tier --study mine", mine)
    run("export csv --study mine", mine)
    (mine / "sweep.yaml").write_text(
        "name: levels\nstudy: studies/mine.yaml\nnotebook: 03_rates\ngrid: {level: [0.9]}\n"
    )
    assert "1 of 1 runs" in run("sweep sweep.yaml", mine)
