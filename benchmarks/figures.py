"""Time to draw every figure of the paper and of the demo study, as a ratio to another version.

python benchmarks/figures.py CHECKOUT

CHECKOUT is another version of this project, with its own `.venv` or without; the demo study must have
been run in this one (`make figures`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Result

HERE = Path(__file__).resolve().parents[1]

# The first round loads libraries and caches; the second is timed.
DRAWING = """
import sys, time
import afanalysis as af
project, shown = sys.argv[1], sys.argv[2] == "shown"
names = sys.modules[af.Gallery.__module__].NAMES
for _ in range(2):
    started = time.process_time()
    for study in ("paper", "demo"):
        gallery = af.Gallery(study, project)
        for name in names:
            figure = gallery.draw(name)
            if shown and not isinstance(figure, str):
                figure._repr_png_()
print(time.process_time() - started)
"""


def drawing(checkout: Path, project: Path, shown: str) -> float:
    """Processor seconds for all figures, in a process of its own, with the code of a checkout."""
    own = checkout / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    done = subprocess.run(
        [python, "-c", DRAWING, str(project), shown],
        env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def results(other: Path, repeats: int = 1) -> list[Result]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for path in ("data/processed/demo/rollouts.parquet", "data/raw/demo/labels.csv"):
            (project / path).parent.mkdir(parents=True)
            shutil.copy(HERE / path, project / path)
        for shown, what in (
            ("", "all figures of the paper and the demo as SVG, PDF and PNG"),
            ("shown", "the same, each also shown in a notebook"),
        ):
            times = [
                (drawing(HERE, project, shown), drawing(other, project, shown)) for _ in range(repeats)
            ]
            ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
            ratio = f"{ours / theirs:.2f} of the time"
            rows.append(Result(what, f"{ours:.1f} s", f"{theirs:.1f} s", ratio, "≤ 0.5"))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    for result in results(options.checkout.resolve(), options.repeats):
        print(f"{result.what}: {result.ours}, other version {result.other}; {result.ratio}")
