import json
import shutil

import pytest

from afanalysis import pipeline
from afanalysis.errors import InputError


@pytest.fixture
def copy(project, tmp_path):
    """A project of its own: the notebooks and the demo study, nothing collected."""
    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    return tmp_path


def test_a_run_is_the_papers_figures_and_the_demo(copy):
    titles = [step.title for step in pipeline.steps(copy)]
    assert titles == ["paper: 05_figures", *(f"demo: {name}" for name in pipeline.STEPS)]


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


def test_outside_a_project_the_reason_is_said(tmp_path):
    with pytest.raises(InputError, match="inside a checkout"):
        pipeline.find_project(tmp_path)


def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(copy):
    (copy / "figures").write_text("a file in the way")
    with pytest.raises(InputError, match="figures: cannot be written"):
        pipeline.steps(copy)


def test_a_study_may_not_take_the_papers_name(copy):
    (copy / "studies" / "demo.yaml").write_text("name: paper\n")
    with pytest.raises(InputError, match="stands for the published tables"):
        pipeline.steps(copy)


def test_an_input_error_in_a_notebook_comes_through_as_one_sentence(copy):
    """03_rates before anything was judged."""
    step = next(step for step in pipeline.steps(copy) if step.notebook == "03_rates")
    with pytest.raises(InputError, match=r"judgements\.jsonl: is missing; judge the study first"):
        pipeline.run(copy, [step])


def test_no_kernel_is_said(copy, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    with pytest.raises(InputError, match="no Jupyter kernel named 'python3'"):
        pipeline.run(copy, pipeline.steps(copy)[:1])


def test_a_live_run_without_a_key_is_refused(small_study, monkeypatch):
    import asyncio

    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    async def enter():
        async with pipeline.connect(small_study, live=True):
            pass

    with pytest.raises(InputError, match="ANTHROPIC_API_KEY is not set"):
        asyncio.run(enter())
