import ast
import json
import shutil
from dataclasses import replace

import pytest

from afanalysis.pipeline import changes, notebooks
from afanalysis.pipeline.changes import Record, Step
from afanalysis.study.folders import Folders
from tests.helpers import notebook


@pytest.fixture
def step(tmp_path):
    """A step of a project in `tmp_path` that was done once."""
    source, executed, read, written = (
        tmp_path / name for name in ("notebooks/work.ipynb", "executed.ipynb", "read.csv", "written.csv")
    )
    source.parent.mkdir()
    source.write_text(notebook("level = 0.95", "import afanalysis as af\naf.plan(0.1)"))
    for path in (executed, read, written):
        path.write_text("1")
    inputs = (read, tmp_path / "labels.csv")
    made = Step("one", "work", {"level": 0.9}, executed, inputs, (written,))
    Record(tmp_path, "one").done(made)
    return made


def why(step):
    return Record(step.output.parent, step.study).why(step)


def source_of(step):
    return step.output.parent / "notebooks" / "work.ipynb"


def test_what_was_done_is_up_to_date(step):
    assert why(step) == []


def test_what_was_never_done_is_not(step):
    assert why(replace(step, notebook="other")) == ["it has not been run here"]


def test_content_counts_and_not_the_time_of_change(step):
    step.inputs[0].touch()
    assert why(step) == []
    step.inputs[0].write_text("3")
    assert why(step) == ["read.csv changed"]


def test_an_input_that_appears_counts(step):
    step.inputs[1].write_text("a label")
    assert why(step) == ["labels.csv is new"]


def test_a_missing_output_counts(step):
    step.outputs[0].unlink()
    assert why(step) == ["written.csv is missing"]


def test_parameters_count(step):
    assert why(replace(step, parameters={"level": 0.8})) == ["its parameters changed"]


def test_code_cells_count_and_texts_do_not(step):
    content = json.loads(source_of(step).read_text())
    content["cells"].append({"cell_type": "markdown", "metadata": {}, "source": ["more words"]})
    source_of(step).write_text(json.dumps(content))
    assert why(step) == []
    content["cells"][1]["source"].append("\n1 + 1")
    source_of(step).write_text(json.dumps(content))
    assert why(step) == ["its cells changed"]


@pytest.fixture
def package(tmp_path_factory, monkeypatch):
    """A copy of the package whose files can be edited, as the record sees them."""
    copy = tmp_path_factory.mktemp("package") / "afanalysis"
    shutil.copytree(changes._ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    monkeypatch.setattr(changes, "_ROOT", copy)
    changes._package_hash.cache_clear()
    yield copy
    changes._package_hash.cache_clear()


def edit(file, text):
    """Append a text to a file of the package."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as end:
        end.write(text)
    changes._package_hash.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["stats/planning.py", "study/prices.yaml", "__init__.pyi", "new/data.csv"]
)
def test_any_code_and_any_data_of_the_package_count(package, step, name):
    edit(package / name, "\nadded = 1\n")
    assert why(step) == ["its package code changed"]


def test_a_comment_in_the_package_does_not_count(package, step):
    edit(package / "stats" / "planning.py", "\n# a comment\n")
    assert why(step) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", ".ruff_cache/CACHEDIR.TAG", "study/.swap.yaml.swp", "__pycache__/x.pyc"),
        "study/__pycache__/x.cpython-311.pyc.140234",
    ],
)
def test_what_other_programs_leave_in_the_package_does_not_count(package, step, name):
    edit(package / name, "not ours")
    assert why(step) == []


@pytest.fixture
def demo(project, tmp_path):
    """The real notebooks in a project of their own, with their files, recorded as done."""
    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    steps = notebooks.steps(tmp_path, tmp_path / "studies" / "demo.yaml")
    for path in {path for step in steps for path in (step.output, *step.inputs, *step.outputs)}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for step in steps:
        Record(tmp_path, "demo").done(step)
    return tmp_path, steps


def stale(demo):
    """The numbers of the notebooks that are out of date by themselves."""
    project, steps = demo
    return [step.notebook[:2] for step in steps if Record(project, "demo").why(step)]


def test_real_notebooks_that_were_run_are_up_to_date(demo):
    assert stale(demo) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("manifest.json", ["02", "03", "05"]), ("judgements.jsonl", ["03", "05"])],
)
def test_a_changed_raw_file_makes_its_readers_stale(demo, name, expected):
    (demo[0] / "data" / "raw" / "demo" / name).write_text("changed")
    assert stale(demo) == expected


def test_comments_docstrings_and_layout_in_a_cell_do_not_count(demo):
    for path in (demo[0] / "notebooks").glob("0*.ipynb"):
        content = json.loads(path.read_text())
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                cell["source"] = ["# a comment\n", *cell["source"], "\n\n# another\n"]
        path.write_text(json.dumps(content))
    assert stale(demo) == []


@pytest.mark.slow
def test_comments_and_docstrings_anywhere_in_the_package_do_not_count(tmp_path):
    """Every module with comments added and every docstring replaced."""
    for at, path in enumerate(sorted(changes._ROOT.rglob("*.py"))):
        source = path.read_text(encoding="utf-8")
        edited = tmp_path / f"{at}.py"
        edited.write_text("# a comment\n" + with_other_docstrings(source) + "\n# another\n", "utf-8")
        assert changes.content_hash(edited) == changes.content_hash(path), path
        edited = tmp_path / f"{at}_code.py"
        edited.write_text(source + "\nadded = 1\n", "utf-8")
        assert changes.content_hash(edited) != changes.content_hash(path), path


def with_other_docstrings(source):
    """Code in which each docstring is another one."""
    lines = source.splitlines(keepends=True)
    docstrings = [
        node.body[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and ast.get_docstring(node) is not None
    ]
    for node in sorted(docstrings, key=lambda node: -node.lineno):
        indent = " " * node.col_offset
        lines[node.lineno - 1 : node.end_lineno] = [f'{indent}"""Something else."""\n']
    return "".join(lines)


def test_a_project_may_be_moved(step, tmp_path_factory):
    place = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(step.output.parent, place)
    inputs, outputs = (
        tuple(place / path.name for path in paths) for paths in (step.inputs, step.outputs)
    )
    moved = replace(step, output=place / step.output.name, inputs=inputs, outputs=outputs)
    assert why(moved) == []


def test_a_torn_record_is_begun_again(step):
    Folders(step.output.parent, "one").record.write_text('{"work": {"deps:')
    assert why(step) == ["it has not been run here"]
