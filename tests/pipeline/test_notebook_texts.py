"""The notebooks as essays: in step with their texts, and plain enough to read."""

import ast

import jupytext
import nbformat
import pytest

from tests.helpers import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("0*.ipynb"))
LONG = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
WIDGETS = ("browse", "label", "play")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request):
    return nbformat.read(request.param, as_version=4).cells


def trees(cells):
    for cell in cells:
        if cell.cell_type == "code":
            yield cell, ast.parse(cell.source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_is_in_step_with_its_text(path):
    text = jupytext.read(path.parent / "text" / f"{path.stem}.py")
    here, there = (
        [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in one.cells]
        for one in (nbformat.read(path, as_version=4), text)
    )
    assert here == there, f"run: make notebooks ({path.name} or its text was changed alone)"


def test_it_imports_whole_packages_only(cells):
    names = {"afanalysis", "numpy", "pandas", "seaborn", "matplotlib.pyplot"}
    for _, tree in trees(cells):
        for node in ast.walk(tree):
            assert not isinstance(node, ast.ImportFrom)
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= names


def test_no_comprehension_is_longer_than_three_lines(cells):
    for _, tree in trees(cells):
        for node in ast.walk(tree):
            if isinstance(node, LONG):
                assert node.end_lineno - node.lineno < 3, ast.unparse(node)


def test_tables_are_saved_in_the_last_cell(cells):
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any("af.save(" in cell.source for cell in code[:-1])


def test_a_parameter_keeps_its_meaning(cells):
    (parameters,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    names = {node.targets[0].id for node in ast.parse(parameters.source).body}
    for cell, tree in trees(cells):
        given = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not _is_read(node)}
        assert cell is parameters or not given & names


def _is_read(name):
    return isinstance(name.ctx, ast.Load)


def test_it_says_that_its_rollouts_are_simulated(cells):
    said = [output.text for cell in cells for output in cell.get("outputs", ()) if "text" in output]
    assert any("simulated" in text.lower() for text in said)


def test_every_table_and_figure_comes_with_a_sentence(cells):
    for cell in cells:
        outputs = cell.get("outputs", ())
        shown = [output.get("data", {}) for output in outputs]
        is_shown = any({"image/png", "text/html"} & set(data) for data in shown)
        is_widget = any(f"af.{name}(" in cell.source for name in WIDGETS)
        if cell.cell_type == "code" and is_shown and not is_widget:
            said = [output.text for output in outputs if output.output_type == "stream"]
            said += ["".join(data["text/html"]) for data in shown if "<p>" in data.get("text/html", "")]
            assert any(text.strip().endswith((".", ".</p>", ")")) for text in said), cell.source
