"""How long 100 000 rollouts take to open and filter in JupyterLab, measured by the end-to-end test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Result

ROOT = Path(__file__).resolve().parents[1]
TEST = "tests/reading/test_lab.py::test_a_hundred_thousand_rollouts_open_and_filter_without_lag"


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", TEST]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"AF_MEASURED": str(path)}, check=True)
        measured = json.loads(path.read_text())
    rollouts = f"{measured['rollouts']:,} rollouts"
    opened, filtered = f"{measured['first_paint_ms'] / 1000:.2f} s", f"{measured['filter_ms']:.0f} ms"
    return [
        Result(f"`af.browse` of {rollouts}, to first paint", opened, "–", "–", "< 2 s"),
        Result(f"a filter over {rollouts}, until it is shown", filtered, "–", "–", "< 200 ms"),
    ]


if __name__ == "__main__":
    for result in results():
        print(result)
