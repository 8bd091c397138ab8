import json
import shutil

import pytest

from afanalysis.pipeline import changes
from afanalysis.pipeline.changes import Record, Work, reached_files
from tests.helpers import notebook


@pytest.fixture
def work(tmp_path):
    """Some work that was done once."""
    source, read, written = (tmp_path / name for name in ("work.ipynb", "read.csv", "written.csv"))
    source.write_text(notebook("level = 0.95", "import afanalysis as af\naf.plan(0.1)"))
    read.write_text("1")
    written.write_text("2")
    made = Work("work", source, {"level": 0.9}, (read, tmp_path / "labels.csv"), (written,))
    Record(tmp_path / "done.json", tmp_path).done(made)
    return made


def why(work, root=None):
    root = root or work.notebook.parent
    return Record(root / "done.json", root).why(work)


def test_what_was_done_is_up_to_date(work):
    assert why(work) == []


def test_what_was_never_done_is_not(work):
    other = Work("other", work.notebook, {}, (), ())
    assert why(other) == ["it has not been run here"]


def test_content_counts_and_not_the_time_of_change(work):
    work.inputs[0].touch()
    assert why(work) == []
    work.inputs[0].write_text("3")
    assert why(work) == ["read.csv changed"]


def test_an_input_that_appears_counts(work):
    work.inputs[1].write_text("a label")
    assert why(work) == ["labels.csv is new"]


def test_a_missing_output_counts(work):
    work.outputs[0].unlink()
    assert why(work) == ["written.csv is missing"]


def test_parameters_count(work):
    assert why(Work("work", work.notebook, {"level": 0.8}, work.inputs, work.outputs)) == [
        "its parameters changed"
    ]


def test_code_cells_count_and_texts_do_not(work):
    content = json.loads(work.notebook.read_text())
    content["cells"].append({"cell_type": "markdown", "metadata": {}, "source": ["more words"]})
    work.notebook.write_text(json.dumps(content))
    assert why(work) == []
    content["cells"][1]["source"].append("\n1 + 1")
    work.notebook.write_text(json.dumps(content))
    assert why(work) == ["its cells changed"]


def test_the_code_it_reaches_counts(work, monkeypatch):
    before = changes.content_hash
    changed = ""
    monkeypatch.setattr(
        changes, "content_hash", lambda path: before(path) + path.as_posix().endswith(changed) * "x"
    )
    Record(work.notebook.parent / "done.json", work.notebook.parent).done(work)
    changed = "stats/planning.py"
    assert why(work) == ["the package's code that it reaches changed"]
    changed = "figures/gallery.py"
    Record(work.notebook.parent / "done.json", work.notebook.parent).done(work)
    assert why(work) == []


def test_a_project_may_be_moved(work, tmp_path_factory):
    other = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(work.notebook.parent, other)
    moved = Work(
        work.name,
        other / "work.ipynb",
        work.parameters,
        tuple(other / path.name for path in work.inputs),
        tuple(other / path.name for path in work.outputs),
    )
    assert why(moved, other) == []


def test_a_torn_record_is_begun_again(work):
    (work.notebook.parent / "done.json").write_text('{"work": {"deps:')
    assert why(work) == ["it has not been run here"]


def test_the_files_that_code_reaches():
    files = set(reached_files("import afanalysis as af\nstudy = af.Study.from_yaml('x')"))
    assert {"study/design.py", "study/prompts/__init__.py", "errors.py"} <= files
    assert {"study/prompts/variations.yaml", "study/prompts/helpful-only.csv"} <= files
    assert not {"figures/gallery.py", "collection/rollouts.py", "study/prices.yaml"} & files
    assert "figures/behaviour.py" in reached_files(
        "import afanalysis as af\naf.figures.compliance_by_tier(x)"
    )
    assert "stats/rate_intervals.py" in reached_files("from afanalysis.stats.rate_intervals import rate")
    assert reached_files("import pandas") == []
