"""What several test files use: collecting against a stand-in, hostile texts, a tiny project."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import anthropic

from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect
from afanalysis.judging.model import judge
from afanalysis.pipeline.notebooks import STEPS
from afanalysis.study.design import Study
from afanalysis.study.journal import read_records

PROJECT = Path(__file__).resolve().parents[1]


def put(study: Study, folder: Path, address: str, *, judged=False, budget=None, **options):
    """Collect (and judge) a study against a running stand-in; `options` as in `CallOptions`."""
    how = CallOptions(**({"poll_seconds": 0.02} | options))

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            endpoint = Endpoint(client, "live" if budget else "simulated")
            summary = await collect(study, endpoint, folder, how, budget=budget)
            if judged:
                await judge(study.judge, endpoint, folder, how)
            return summary

    return asyncio.run(ask())


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
from afanalysis.study.design import Study
from tests.helpers import put
put(Study.model_validate_json({study!r}), Path({folder!r}), {address!r}, **{options!r})
"""


def put_in_a_child(study: Study, folder: Path, address: str, **options) -> subprocess.Popen:
    """The same in a process of its own, which can be killed."""
    code = _CHILD.format(
        project=str(PROJECT),
        study=study.model_dump_json(exclude_unset=True),
        folder=str(folder),
        address=address,
        options=options,
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen) -> None:
    """Wait until a child has written so many lines."""
    for _ in range(2000):
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        assert process.poll() is None
        asyncio.run(asyncio.sleep(0.01))
    raise AssertionError("nothing was written")


def asked(address: str) -> dict[str, int]:
    """How often a stand-in was asked each thing."""
    return json.load(urllib.request.urlopen(f"{address}/asked"))


def keys(folder: Path) -> list[str]:
    """The keys of a folder's rollouts."""
    return [record["key"] for record in read_records(folder / "rollouts.jsonl")]


def planned(study: Study) -> set[str]:
    """The keys of a study's plan."""
    return {rollout.key for rollout in study.plan()}


HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</style></pre><img src=x onerror=\"document.title='taken'\">",
    "\u202eturned\u2066 round\u200b hidden\u0000\u001b[31mred",
    r"$\LaTeX$ \input{/etc/passwd} {{ 7 * 7 }} {% raw %}",
    "x" * 1_000_000,
]

# A project whose five notebooks do next to nothing, for tests of what runs notebooks.
_PARAMETERS = 'study = "../study.yaml"\nproject = ".."\nlevel = 0.95\nnote = "a word"'
_START = """
import json, os, pathlib, time
told = json.loads(pathlib.Path(study).read_text())
folder = pathlib.Path(project, "data")
raw, processed = folder / "raw" / told["name"], folder / "processed" / told["name"]
raw.mkdir(parents=True, exist_ok=True); processed.mkdir(parents=True, exist_ok=True)
with open(raw / "calls.log", "a") as log:
    print("NAME", os.getpid(), file=log)
time.sleep(float(os.environ.get("TINY_SECONDS", 0)))
"""
_WORK = {
    "01_collect": "raw.joinpath('rollouts.jsonl').write_text('{}\\n'); print('collected')",
    "02_judge": "raw.joinpath('judgements.jsonl').write_text('{}\\n')",
    "03_rates": """
if level >= 1:
    raise ValueError(f"level is {level}")
for name in ("rollouts.parquet", "rates.csv"):
    processed.joinpath(name).write_text(f"level\\n{level}\\n")
processed.joinpath("gaps.csv").write_text(
    "setting,variation,model,gap,low,high,n\\nhelpful-only,default,m,0.1,0.05,0.2,40\\n"
)""",
    "04_robustness": "processed.joinpath('beside_paper.csv').write_text('')",
    "05_figures": """
processed.joinpath("report.html").write_text(f"{level}")
drawn = pathlib.Path(project, "figures", told["name"])
drawn.mkdir(parents=True, exist_ok=True)
drawn.joinpath("behaviour_by_tier.svg").write_text("<svg/>")""",
}


def notebook(*cells):
    """A notebook's content: its first cell is the parameters cell."""
    made = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{at}",
            "metadata": {"tags": ["parameters"]} if at == 0 else {},
            "outputs": [],
            "source": source.splitlines(True),
        }
        for at, source in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def tiny_project(folder: Path) -> Path:
    """Write such a project, with a study and a sweep."""
    (folder / "notebooks").mkdir(parents=True)
    for name in STEPS:
        text = notebook(_PARAMETERS, _START.replace("NAME", name), _WORK[name])
        (folder / "notebooks" / f"{name}.ipynb").write_text(text)
    (folder / "study.yaml").write_text(json.dumps({"name": "one", "samples": 1}))
    return folder


def calls(folder: Path, study: str) -> list[str]:
    """Which notebooks ran for a study, in order."""
    log = folder / "data" / "raw" / study / "calls.log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []
