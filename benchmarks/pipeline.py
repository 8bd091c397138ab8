"""What running notebooks costs: the package compared with a plain script and with papermill.

Four ways to do the same, each in its own project folder that was collected, judged and labelled before,
so that all do the same work. Then the same for notebooks that do nearly nothing, which leaves the cost
of the ways themselves. Then 20 runs in sequence and two at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import Result, seconds

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ("01_collect", "02_judge", "03_rates", "04_robustness", "05_figures")
PAPERMILL = Path(sys.executable).with_name("papermill")
COMMAND = Path(sys.executable).with_name("afanalysis")


def project(folder: Path) -> Path:
    """A copy of the project's notebooks and studies, with the demo study's raw data."""
    for name in ("notebooks", "studies", "data/raw/demo"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def empty_notebooks(folder: Path) -> Path:
    """The same pipeline of notebooks that only set their parameters and import what they would need."""
    project(folder)
    for name in NOTEBOOKS:
        path = folder / "notebooks" / f"{name}.ipynb"
        content = json.loads(path.read_text())
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        imports = sorted(
            {line for cell in code for line in cell["source"] if line.startswith(("import", "from"))}
        )
        parameters = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
        content["cells"] = [
            *parameters,
            code[0]
            | {
                "id": "imports",
                "source": [line.rstrip("\n") + "\n" for line in imports],
                "metadata": {},
            },
        ]
        path.write_text(json.dumps(content))
    return folder


def jobs(folder: Path) -> list[tuple[str, dict[str, str], Path]]:
    """What the default pipeline runs: notebook, parameters, output."""
    out = folder / "data" / "processed"
    paper = ("05_figures", {"study": "paper"}, out / "paper" / "notebooks" / "05_figures.ipynb")
    demo = {"study": "../studies/demo.yaml"}
    return [paper, *((name, demo, out / "demo" / "notebooks" / f"{name}.ipynb") for name in NOTEBOOKS)]


def as_script(folder: Path) -> None:
    """The notebooks' code in one plain Python process, one after the other."""
    lines = [
        "import asyncio, os",
        "display = lambda *_: None",
        f"os.chdir({str(folder / 'notebooks')!r})",
    ]
    for name, parameters, _ in jobs(folder):
        content = json.loads((folder / "notebooks" / f"{name}.ipynb").read_text())
        body = ["async def notebook():"]
        for cell in content["cells"]:
            if cell["cell_type"] != "code":
                continue
            body += ["    " + line.rstrip("\n") for line in cell["source"]]
            if "parameters" in cell["metadata"].get("tags", []):
                body += [f"    {key} = {value!r}" for key, value in parameters.items()]
        lines += [*body, "asyncio.run(notebook())"]
    script = folder / "script.py"
    script.write_text("\n".join(lines))
    run([sys.executable, script], folder)


def as_package(folder: Path) -> None:
    run([COMMAND, "run", "--force"], folder)


def as_one_process(folder: Path) -> None:
    """papermill from Python, one notebook after the other."""
    calls = "".join(
        f"papermill.execute_notebook({str(folder / 'notebooks' / f'{name}.ipynb')!r}, {str(out)!r}, "
        f"parameters={parameters!r}, cwd={str(folder / 'notebooks')!r}, progress_bar=False, "
        "kernel_name='python3')\n"
        for name, parameters, out in jobs(folder)
    )
    for *_, out in jobs(folder):
        out.parent.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-c", f"import papermill\n{calls}"], folder)


def as_command_line(folder: Path) -> None:
    """papermill's command, once per notebook."""
    for name, parameters, out in jobs(folder):
        out.parent.mkdir(parents=True, exist_ok=True)
        options = [part for pair in parameters.items() for part in ("-p", *pair)]
        run(
            [PAPERMILL, f"{name}.ipynb", out, *options, "-k", "python3", "--no-progress-bar"],
            folder / "notebooks",
        )


def run(command: list[object], folder: Path) -> None:
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")


def once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def all_ways(make: Callable[[Path], Path]) -> dict[str, float]:
    """Seconds by way, each in a fresh project."""
    times = {}
    for way in (as_script, as_package, as_one_process, as_command_line):
        with tempfile.TemporaryDirectory() as folder:
            place = make(Path(folder) / "project")
            times[way.__name__] = once(lambda way=way, place=place: way(place))
    return times


def sweep(count: int, at_once: int) -> float:
    """Seconds for `count` runs of one notebook over the demo's data."""
    with tempfile.TemporaryDirectory() as folder:
        place = project(Path(folder) / "project")
        shutil.copytree(ROOT / "data/processed/demo", place / "data/processed/demo")
        levels = [round(0.5 + 0.02 * step, 2) for step in range(count)]
        file = place / "sweep.yaml"
        sweep = "name: levels\nstudy: studies/demo.yaml\nnotebook: 04_robustness\n"
        file.write_text(f"{sweep}grid: {{level: {levels}}}\n")
        return once(lambda: run([COMMAND, "sweep", file, "--jobs", at_once], place))


def unchanged() -> float:
    """Seconds of `afanalysis run` when everything is up to date."""
    run([COMMAND, "run"], ROOT)
    return seconds(lambda: run([COMMAND, "run"], ROOT))


def results() -> list[Result]:
    full, empty = all_ways(project), all_ways(empty_notebooks)
    one, two = sweep(20, 1), sweep(20, 2)
    idle = unchanged()

    def row(what: str, ways: dict[str, float], other: str, name: str, aim: str) -> Result:
        ours, theirs = ways["as_package"], ways[other]
        return Result(what, f"{ours:.1f} s", f"{theirs:.1f} s ({name})", f"{theirs / ours:.2f}×", aim)

    rows = [
        row(f"{what}, 6 notebooks", ways, other, name, aim)
        for what, ways in (("default pipeline", full), ("imports and parameters only", empty))
        for other, name, aim in (
            ("as_script", "one plain script", "≥ 0.67×"),
            ("as_one_process", "papermill in one process", ""),
            ("as_command_line", "papermill's command line", "≥ 5×"),
        )
    ]
    rows.append(
        Result(
            "20 runs, two at a time",
            f"{two:.1f} s",
            f"{one:.1f} s (in sequence)",
            f"{one / two:.2f}×",
            "≥ 1.8×",
        )
    )
    rows.append(Result("`afanalysis run`, nothing to do", f"{idle:.2f} s", "–", "–", "< 1 s"))
    return rows


if __name__ == "__main__":
    for result in results():
        print(result)
