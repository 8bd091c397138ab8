"""What the benchmarks share: results, timing, and measuring in a separate process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One row of docs/benchmarks.md: two things measured in one run, and their ratio."""

    what: str
    ours: str
    other: str
    ratio: str
    aim: str


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The median time of a call, after a warm-up."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def in_a_process(code: str) -> dict:
    """Run code in a separate process. It prints a dict as JSON, to which its peak memory is added."""
    # the kernel's high-water mark: ru_maxrss starts from the parent's
    ending = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"], capture_output=True, text=True, check=True
    )
    *_, result, peak = done.stdout.strip().splitlines()
    return json.loads(result) | {"peak_mb": int(peak) * 1024 / 1e6}
