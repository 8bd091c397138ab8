"""A project whose five notebooks do next to nothing, for tests of what runs notebooks."""

import json
from pathlib import Path

from afanalysis.pipeline import STEPS

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
