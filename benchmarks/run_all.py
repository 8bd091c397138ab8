"""Run every benchmark and write docs/benchmarks.md.

python benchmarks/run_all.py
"""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path

from measure import Result

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SCRIPTS = {"statistics_speed": "Statistics", "collection_speed": "Collection", "pipeline": "Notebooks"}


def table(results: list[Result]) -> list[str]:
    lines = ["| what | here | alternative, in the same run | ratio | aim |", "|---|---|---|---|---|"]
    return [*lines, *(f"| {r.what} | {r.ours} | {r.other} | {r.ratio} | {r.aim} |" for r in results)]


def main() -> None:
    text = [
        "# Benchmarks",
        "",
        "Made by `make bench` from the scripts in `benchmarks/`: times are of one machine on one day,",
        "the ratios are what to go by. Coverage of the intervals: [statistics.md](statistics.md).",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores.",
        "",
    ]
    for script, title in SCRIPTS.items():
        print(f"{script} …", flush=True)
        text += [f"## {title}", "", f"`python benchmarks/{script}.py`", ""]
        text += [*table(importlib.import_module(script).results()), ""]
    PAGE.write_text("\n".join(text))
    print(PAGE.name)


if __name__ == "__main__":
    main()
