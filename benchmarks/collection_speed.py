"""Speed and size of collection, as ratios in one run.

python benchmarks/collection_speed.py
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anthropic

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the tests' stand-in

from tests.helpers import standing_in

from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect, request_of
from afanalysis.standin.serving import running
from afanalysis.study.design import Study
from afanalysis.study.ledger import Budget
from measure import Result, in_a_process

CONCURRENCY = 32
TASKS = Path(__file__).resolve().parents[1] / "docs" / "examples"


def study(samples: int, first: int = 100) -> Study:
    return Study(
        name="speed",
        samples=samples,
        settings=["helpful-only"],
        prompts={"helpful-only": {"first": first}},
    )


async def ours(asked: Study, address: str, folder: Path, budget: Budget | None = None) -> float:
    options = CallOptions(concurrency=CONCURRENCY)
    source = "live" if budget else "simulated"
    async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
        started = time.perf_counter()
        summary = await collect(asked, Endpoint(client, source), folder, options, budget=budget)
        assert summary.sent == asked.size
        return time.perf_counter() - started


async def bare(asked: Study, address: str) -> float:
    """The same calls in a loop over the SDK, nothing kept."""
    async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
        calls = iter([request_of(planned, asked) for planned in asked.plan()])

        async def worker() -> None:
            for params in calls:
                await client.messages.create(**params)

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
        return time.perf_counter() - started


def throughput() -> Result:
    asked, rounds = study(samples=10), 5
    with running() as address, tempfile.TemporaryDirectory() as folder:
        times = [  # in turn, so that what else the machine does falls on both
            (
                asyncio.run(bare(asked, address)),
                asyncio.run(ours(asked, address, Path(folder, str(number)), Budget(usd=10_000))),
            )
            for number in range(rounds)
        ]
    loop, mine = map(sum, zip(*times, strict=True))
    calls = asked.size * rounds
    return Result(
        f"{calls:,} rollouts within a budget, no latency, {CONCURRENCY} calls at once",
        f"{calls / mine:.0f} calls/s",
        f"a bare loop over the SDK's async client: {calls / loop:.0f} calls/s",
        f"{loop / mine:.2f} of its throughput",
        "≥ 0.8",
    )


def beside_inspect() -> Result:
    asked = study(samples=5, first=50)
    code = f"""
import sys, time
sys.path.insert(0, {str(TASKS)!r})
from inspect_ai import eval
from alignment_faking import alignment_faking
task = alignment_faking(first=50)
started = time.perf_counter()
(log,) = eval(task, model="anthropic/claude-opus-5-5", epochs=5, display="none", log_dir="logs",
              max_connections={CONCURRENCY})
assert log.status == "success" and len(log.samples) == 500
print(time.perf_counter() - started)
"""
    with running() as address, tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "any"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=folder, capture_output=True, text=True, check=True
        )
        theirs = float(done.stdout.split()[-1])
        mine = asyncio.run(ours(asked, address, Path(folder) / "ours"))
    return Result(
        f"{asked.size} rollouts, stand-in without latency",
        f"{mine:.2f} s",
        f"Inspect AI, the same calls: {theirs:.1f} s",
        f"{theirs / mine:.0f}× faster",
        "≥ 10×",
    )


def a_million() -> Result:
    """Resume a study of a million rollouts of which all but a hundred are there."""
    found = in_a_process(
        """
import asyncio, json, tempfile, time
from pathlib import Path
import anthropic
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect
from afanalysis.standin.serving import running
from afanalysis.study.design import Study
study = Study(name="million", samples=4630, settings=["helpful-only"])
folder = Path(tempfile.mkdtemp())
size = study.size
with (folder / "rollouts.jsonl").open("w") as file:
    for at, planned in enumerate(study.plan()):
        if at >= size - 100:
            break
        file.write(json.dumps({"key": planned.key, "output": "x" * 200}, separators=(",", ":")) + "\\n")
async def go(address):
    async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
        return await collect(study, Endpoint(client, "simulated"), folder)
started = time.perf_counter()
with running() as address:
    summary = asyncio.run(go(address))
assert (summary.sent, summary.skipped) == (100, size - 100)
print(json.dumps({"seconds": time.perf_counter() - started, "size": size}))
"""
    )
    return Result(
        f"{found['size']:,} rollouts planned, all but 100 there: resume",
        f"{found['seconds']:.0f} s, peak {found['peak_mb']:.0f} MB",
        "",
        "",
        "< 500 MB",
    )


def storm() -> Result:
    asked = study(samples=2)
    faults = {"rate_limited": 0.3, "server_error": 0.1, "overloaded": 0.05, "dropped": 0.05}
    with standing_in(seed=0, **faults) as (address, state), tempfile.TemporaryDirectory() as folder:
        took = asyncio.run(ours(asked, address, Path(folder)))
    counted = state.asked
    return Result(
        f"a storm: {asked.size:,} rollouts, 30 % 429, 10 % 500, 5 % 529, 5 % dropped connections",
        f"complete in {took:.0f} s with {counted['messages']:,} calls",
        f"the plan: {asked.size:,} calls",
        f"{counted['messages'] / asked.size:.2f}× the plan",
        "≤ 2×",
    )


def results() -> list[Result]:
    """All rows, in the order of docs/benchmarks.md."""
    return [throughput(), beside_inspect(), a_million(), storm()]


if __name__ == "__main__":
    for row in results():
        print(row)
