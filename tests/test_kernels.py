import json
import os
import signal
import subprocess
import sys
import time

import pytest

from afanalysis import kernels
from afanalysis.pipeline import Controls, Step, execute
from tests.tiny import notebook


def run(folder, *cells, fork=True, name="n"):
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "notebooks" / f"{name}.ipynb").write_text(notebook("level = 0.95", *cells))
    step = Step("s", name, {"level": 0.9}, folder / "out" / f"{name}-{fork}.ipynb")
    execute(folder, step, Controls(fork=fork))
    return json.loads(step.output.read_text())


def outputs(content):
    """What the cells gave, without what every run has of its own."""
    found = []
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            output.pop("execution_count", None)
            found.append(output)
    return found


pytestmark = pytest.mark.skipif(not kernels.can_fork(), reason="kernels are not forked on this system")


@pytest.mark.slow
def test_a_forked_kernel_computes_what_jupyters_own_computes(tmp_path):
    """A figure, a bootstrap and a table, byte for byte."""
    cells = [
        "import afanalysis as af\nestimates = af.published.estimates(level=level)\nestimates.head()",
        "af.figures.compliance_by_tier(estimates)",
        "from afanalysis.stats.gaps import gap\ngap([5] * 30, [1, 2, 0] * 10, [5] * 30, [0, 1, 0] * 10, "
        "method='bootstrap', seed=1)",
        "from statsmodels.stats.proportion import proportion_confint\nprint(proportion_confint(3, 10))",
    ]
    forked, fresh = (run(tmp_path, *cells, fork=fork) for fork in (True, False))
    assert len(outputs(forked)) == 4
    assert outputs(forked) == outputs(fresh)


def test_each_kernel_has_a_namespace_of_its_own(tmp_path):
    run(tmp_path, "import pandas\npandas.left = secret = 1", name="a")
    second = run(tmp_path, "import pandas\n(hasattr(pandas, 'left'), 'secret' in globals())", name="b")
    assert outputs(second)[0]["data"]["text/plain"] == ["(False, False)"]


def test_a_kernel_runs_in_the_notebooks_folder_and_sees_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_NEW_VARIABLE", "seen")
    found = run(tmp_path, "import os\nprint(os.getcwd(), os.environ['A_NEW_VARIABLE'])")
    assert outputs(found)[0]["text"] == [f"{tmp_path / 'notebooks'} seen\n"]


def test_the_copy_is_a_normal_notebook_with_parameters_and_papermills_record(tmp_path):
    import nbformat

    content = run(tmp_path, "level")
    nbformat.validate(nbformat.from_dict(content))
    injected = [c for c in content["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    assert "level = 0.9" in "".join(injected[0]["source"])
    assert content["metadata"]["papermill"]["parameters"] == {"level": 0.9}
    assert content["metadata"]["papermill"]["exception"] is None


@pytest.mark.slow
def test_a_kernel_ends_with_the_process_that_runs_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.test_kernels import run; "
        f"run(Path({str(tmp_path)!r}), 'import os, time, pathlib; "
        'pathlib.Path("pid").write_text(str(os.getpid())); time.sleep(600)\')'
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    written = tmp_path / "notebooks" / "pid"
    deadline = time.monotonic() + 60
    while not (written.exists() and written.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kernel = int(written.read_text())
    process.kill()
    process.wait()
    while time.monotonic() < deadline:
        try:
            os.kill(kernel, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(kernel, signal.SIGKILL)
    pytest.fail("the kernel went on")
