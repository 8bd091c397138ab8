import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import afanalysis as af
from afanalysis.collection.endpoint import connect
from afanalysis.errors import InputError, NotebookFailed
from afanalysis.pipeline import changes, notebooks, projects
from tests.helpers import calls, notebook, tiny_project


@pytest.fixture
def copy(project, tmp_path):
    """A project of its own: the notebooks and the demo study, nothing collected."""
    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    return tmp_path


def test_a_run_is_the_papers_figures_and_the_demo(copy):
    titles = [step.title for step in notebooks.steps(copy)]
    assert titles == ["paper: 05_figures", *(f"demo: {name}" for name in notebooks.STEPS)]


def test_every_notebook_has_one_parameters_cell_and_defines_no_function(project):
    for path in sorted((project / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        tags = [tag for cell in cells for tag in cell["metadata"].get("tags", [])]
        assert tags.count("parameters") == 1, path.name
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        assert not any(line.startswith("def ") for text in code for line in text.splitlines())
        assert not any(
            output["output_type"] == "error" for cell in cells for output in cell.get("outputs", [])
        ), path.name


def test_no_notebook_sets_a_parameter_again_after_its_parameters_cell(project):
    """A cell that did would undo what papermill, or a reader, has set."""
    for path in sorted((project / "notebooks").glob("*.ipynb")):
        given, *rest = map(_bound, changes.code_cells(path))
        assert {"study", "project"} <= given
        assert not given & set().union(*rest), path.name


def _bound(code):
    """The names that some code binds."""
    stored = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name))
    return {node.id for node in stored if isinstance(node.ctx, ast.Store)}


def test_outside_a_project_the_error_names_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="make a project with: afanalysis new NAME"):
        projects.find_project(tmp_path)


def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(copy):
    (copy / "figures").write_text("a file in the way")
    with pytest.raises(InputError, match="figures: cannot be written"):
        notebooks.check_writable(copy, notebooks.steps(copy))


def test_a_study_may_not_take_the_papers_name(copy):
    (copy / "studies" / "demo.yaml").write_text("name: paper\n")
    with pytest.raises(InputError, match="stands for the published tables"):
        notebooks.steps(copy)


def test_an_input_error_in_a_notebook_comes_through_as_one_sentence(copy):
    """03_rates before anything was judged."""
    step = next(step for step in notebooks.steps(copy) if step.notebook == "03_rates")
    results = notebooks.run(copy, [step])
    assert [result.state for result in results] == ["failed"]
    with pytest.raises(InputError, match=r"judgements\.jsonl: is missing; judge the study first"):
        notebooks.raise_first_failure(results)


def test_an_answer_without_a_verdict_does_not_stop_the_examples_of_verdicts(project, capsys):
    content = json.loads((project / "notebooks" / "02_judge.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in content["cells"]]
    [source] = [source for source in sources if source.startswith("examples =")]
    rollouts, verdicts = af.example_rollouts(), ["complied", "af_full", "af_partial"]
    free = rollouts["tier"] == "free"
    rollouts.loc[rollouts.index[free][:3], verdicts] = None
    exec(source, {"rollouts": rollouts, "verdicts": verdicts, "design": af.Study(name="any")})
    kinds = rollouts.loc[free, verdicts].dropna().drop_duplicates()
    assert capsys.readouterr().out.count("  output:") == len(kinds) > 1


def test_no_kernel_is_reported(copy, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    results = notebooks.run(copy, notebooks.steps(copy)[:1])
    with pytest.raises(InputError, match="no Jupyter kernel is named 'python3'"):
        notebooks.raise_first_failure(results)


def test_a_live_run_without_a_key_is_refused(small_study, monkeypatch):
    import asyncio

    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    async def enter():
        async with connect(small_study, live=True):
            pass

    with pytest.raises(InputError, match="ANTHROPIC_API_KEY is not set"):
        asyncio.run(enter())


@pytest.fixture
def tiny(tmp_path):
    folder = tiny_project(tmp_path / "project")
    study = notebooks.Study.from_yaml(folder / "study.yaml")
    return folder, notebooks.study_steps(folder, study, folder / "study.yaml", {})


@pytest.mark.slow
def test_calls_that_have_yet_to_be_made_are_reported_and_made_by_the_next_run(tiny):
    """A budget that ends a run's collection: the rest is analysed, and nothing counts as up to date."""
    folder, todo = tiny
    collect = folder / "notebooks" / "01_collect.ipynb"
    complete = collect.read_text()
    content = json.loads(complete)
    left = "the budget does not cover the next call"
    source = f"from afanalysis.collection.calls import CallSummary\nCallSummary(stopped={left!r})"
    content["cells"].append(
        {
            "cell_type": "code",
            "id": "left",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
    )
    collect.write_text(json.dumps(content))
    results = notebooks.run(folder, todo[:2])
    assert [result.state for result in results] == ["unfinished", "done"]
    assert [result.left for result in results] == [left, ""]
    collect.write_text(complete)
    assert notebooks.run(folder, todo[:1])[0].state == "done"


def test_no_run_changes_the_current_folder_of_the_process(tiny, monkeypatch):
    """Other threads, and what runs next, would look for their files elsewhere."""
    folder, todo = tiny
    went_to = []
    monkeypatch.setattr(os, "chdir", went_to.append)
    assert notebooks.run(folder, todo[:1])[0].state == "done"
    assert not went_to


def test_only_what_changed_runs_again(tiny):
    folder, todo = tiny
    assert [result.state for result in notebooks.run(folder, todo)] == ["done"] * 5
    assert [result.state for result in notebooks.run(folder, todo)] == ["up to date"] * 5
    (folder / "data" / "raw" / "one" / "labels.csv").write_text("rollout,behaviour\n")
    states = [result.state for result in notebooks.run(folder, todo)]
    assert states == ["up to date", "done", "done", "up to date", "done"]
    ran = calls(folder, "one")
    assert ran[:3] == list(notebooks.STEPS[:3])
    assert sorted(ran[3:5]) == list(notebooks.STEPS[3:])  # these two run side by side
    assert ran[5:] == ["02_judge", "03_rates", "05_figures"]
    assert [result.state for result in notebooks.run(folder, todo[:1], force=True)] == ["done"]
    (folder / "data" / "processed" / "one" / "report.html").unlink()
    reasons = [why for _, why in notebooks.plan(folder, todo)]
    assert reasons == [[], [], [], [], ["report.html is missing"]]


def test_the_plan_reports_the_first_reason_and_what_follows_from_it(tiny):
    folder, todo = tiny
    reasons = {step.notebook: why for step, why in notebooks.plan(folder, todo)}
    assert all(why == ["it has not been run here"] for why in reasons.values())


def test_a_notebook_without_a_parameters_cell_is_refused_before_it_runs(tiny):
    folder, todo = tiny
    (folder / "notebooks" / "01_collect.ipynb").write_text(
        notebook("1").replace('"parameters"', '"other"')
    )
    (result,) = notebooks.run(folder, todo[:1])
    assert result.state == "failed"
    assert isinstance(result.error, InputError)
    assert "01_collect.ipynb: has no cell tagged 'parameters', so none can be set" in str(result.error)
    assert str(result.error).count("\n") == 0
    assert not (folder / "data").exists()


def test_an_error_names_the_cell_and_keeps_the_copy(tiny):
    folder, todo = tiny
    todo[2].parameters["level"] = 2
    results = notebooks.run(folder, todo)
    assert [result.state for result in results] == ["done", "done", "failed", "not run", "not run"]
    with pytest.raises(NotebookFailed, match="one: 03_rates: ValueError in cell 4: level is 2"):
        notebooks.raise_first_failure(results)
    assert "ValueError" in todo[2].output.read_text()
    assert notebooks.run(folder, todo[:2])[0].state == "up to date"


@pytest.mark.slow
def test_ctrl_c_leaves_a_readable_partial_notebook(tiny):
    import nbformat

    folder, _ = tiny
    slow = notebook(
        'study = ""',
        "print('first cell')",
        "import time, pathlib\npathlib.Path('begun').touch()\ntime.sleep(600)",
        "print('never')",
    )
    (folder / "notebooks" / "01_collect.ipynb").write_text(slow)
    command = [sys.executable, "-m", "afanalysis.cli", "run", "--study", "study.yaml"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 90
    while not (folder / "notebooks" / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopped; everything done so far is kept" in errors
    partial = nbformat.read(folder / "data/processed/one/notebooks/01_collect.ipynb", as_version=4)
    assert "first cell" in str(partial.cells)
    assert "KeyboardInterrupt" in str(partial.cells)
    study = notebooks.Study.from_yaml(folder / "study.yaml")
    todo = notebooks.study_steps(folder, study, folder / "study.yaml", {})
    assert notebooks.plan(folder, todo)[0][1] == ["it has not been run here"]
