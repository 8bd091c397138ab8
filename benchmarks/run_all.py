"""Run every benchmark, or those named, and write their sections of docs/benchmarks.md.

python benchmarks/run_all.py [pipeline reading …] [--other CHECKOUT]

`figures` compares with another version of this project and runs only where one is given.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from pathlib import Path

from measure import Result

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
SCRIPTS = {
    "statistics_speed": "Statistics",
    "collection_speed": "Collection",
    "tidying": "Tidying",
    "figures": "Figures",
    "pipeline": "Notebooks",
    "reading": "Reading in JupyterLab",
    "importing": "Importing",
}


def table(results: list[Result]) -> list[str]:
    lines = ["| what | here | alternative, in the same run | ratio | aim |", "|---|---|---|---|---|"]
    return [*lines, *(f"| {r.what} | {r.ours} | {r.other} | {r.ratio} | {r.aim} |" for r in results)]


def sections() -> dict[str, str]:
    """The page's present sections, by title."""
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:] if PAGE.exists() else []
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", choices=[*SCRIPTS, []])
    parser.add_argument("--other", type=Path, metavar="CHECKOUT")
    options = parser.parse_args()
    chosen = options.scripts or [name for name in SCRIPTS if options.other or name != "figures"]
    if "figures" in chosen and not options.other:
        parser.error("figures needs --other CHECKOUT, another version to compare with")
    tables = sections()
    for script in chosen:
        print(f"{script} …", flush=True)
        inputs = [options.other.resolve()] if script == "figures" else []
        rows = table(importlib.import_module(script).results(*inputs))
        tables[SCRIPTS[script]] = "\n".join([f"`python benchmarks/{script}.py`", "", *rows])
    text = [
        "# Benchmarks",
        "",
        "`make bench` writes this page with the scripts in `benchmarks/`. The times are from one",
        "machine on one day; the ratios matter. Coverage of the intervals:",
        "[statistics.md](statistics.md) and [judging.md](judging.md).",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores.",
    ]
    # the aims are judged by hand
    for title in ("Aims", *SCRIPTS.values()):
        if title in tables:
            text += ["", f"## {title}", "", tables[title]]
    PAGE.write_text("\n".join([*text, ""]), encoding="utf-8")
    print(PAGE.name)


if __name__ == "__main__":
    main()
