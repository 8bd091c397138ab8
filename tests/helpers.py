"""What several test files use: collecting from a stand-in, hostile texts, a tiny project."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path

import anthropic
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from afanalysis.collection.calls import CallOptions, CallSummary
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import collect
from afanalysis.judging.model import judge
from afanalysis.pipeline.notebooks import STEPS
from afanalysis.standin.handlers import application
from afanalysis.standin.state import StandIn
from afanalysis.study.design import Simulation, Study
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices
from tests.standin.faults import FaultyStandIn

PROJECT = Path(__file__).resolve().parents[1]


def put(
    study: Study,
    folder: Path,
    address: str,
    *,
    judged=False,
    budget=None,
    source="simulated",
    api_key="any",
    **options,
) -> CallSummary:
    """Collect (and judge) a study from a running stand-in; `options` as in `CallOptions`."""
    call_options = CallOptions(**({"poll_seconds": 0.02} | options))

    async def run():
        async with anthropic.AsyncAnthropic(base_url=address, api_key=api_key) as client:
            endpoint = Endpoint(client, source)
            summary = await collect(study, endpoint, folder, call_options, budget=budget)
            if judged:
                await judge(study.judge, endpoint, folder, call_options)
            return summary

    return asyncio.run(run())


# A server process that has imported what the children need, and forks them off.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    [
        "pytest",
        "anthropic.resources.messages",
        "afanalysis.judging.model",
        "afanalysis.pipeline.notebooks",
    ]
)


def in_a_child(target: Callable[..., object], *arguments) -> BaseProcess:
    """Begin to do this in a process of its own, which can be killed; it has begun when this returns."""
    begun = CHILDREN.Event()
    process = CHILDREN.Process(target=_begin, args=(begun, target, arguments), daemon=True)
    process.start()
    wait_until(begun.is_set, process)
    return process


def _begin(begun, target, arguments):
    begun.set()
    target(*arguments)


def put_in_a_child(study: Study, folder: Path, address: str, **options) -> BaseProcess:
    """Collect in a process of its own."""
    return in_a_child(_put_quietly, study, folder, address, options)


def _put_quietly(study, folder, address, options):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    put(study, folder, address, **options)


def wait_until(ready: Callable[[], bool], process: BaseProcess) -> None:
    """Wait for what a child does, however busy the machine is."""
    deadline = time.monotonic() + 120
    while not ready():
        assert process.is_alive() or ready(), "the child ended too early"
        assert time.monotonic() < deadline, "the child does nothing"
        time.sleep(0.01)


def wait_for_lines(path: Path, count: int, process: BaseProcess) -> None:
    """Wait until a child has written so many lines."""
    wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, process)


def kill(process: BaseProcess) -> None:
    """Kill a child at once, as a crash would."""
    process.kill()
    process.join()


def asked(address: str) -> dict[str, int]:
    """How often each thing was requested of a stand-in."""
    return json.load(urllib.request.urlopen(f"{address}/asked"))


@contextlib.contextmanager
def standing_in(seed=7, simulation=None, *, latency=0.0, batch_seconds=0.0, **shares):
    """A stand-in within this process, with shares of faults: its address and its state."""
    standin = FaultyStandIn(
        seed, simulation or Simulation(), latency=latency, batch_seconds=batch_seconds, shares=shares
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start():
        (listener,) = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
        server = HTTPServer(application(standin))
        server.add_sockets([listener])
        return server, f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def stop(server):
        server.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server, address = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield address, standin
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def billed(standin: StandIn) -> float:
    """What a stand-in has billed, in USD."""
    prices, usd = Prices.load(), 0.0
    for name, tokens in standin.asked.items():
        model, _, rest = name.partition(" ")
        if model in prices.models:
            kind, unit = rest.split()
            usd += prices.cost(model, {f"{unit}_tokens": tokens}, batch=kind == "batch")
    return usd


def keys(folder: Path, name: str = "rollouts.jsonl") -> list[str]:
    """The keys of a folder's rollouts, or of another journal in it."""
    return [record["key"] for record in read_records(folder / name)]


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
name = json.loads(pathlib.Path(study).read_text())["name"]
folder = pathlib.Path(project, "data")
raw, processed = folder / "raw" / name, folder / "processed" / name
raw.mkdir(parents=True, exist_ok=True); processed.mkdir(parents=True, exist_ok=True)
with open(raw / "calls.log", "a") as log:
    print("NOTEBOOK", os.getpid(), file=log)
time.sleep(float(os.environ.get("TINY_SECONDS", 0)))
"""
_WORK = {
    "01_collect": "raw.joinpath('rollouts.jsonl').write_text('{}\\n'); print('collected')",
    "02_judge": "raw.joinpath('judgements.jsonl').write_text('{}\\n')",
    "03_rates": """
if level >= 1 or note == "fail":
    raise ValueError(f"level is {level}, note is {note}")
for file in ("rollouts.parquet", "rates.csv"):
    processed.joinpath(file).write_text(f"level\\n{level}\\n")
processed.joinpath("gaps.csv").write_text(
    "setting,variation,model,gap,low,high,n\\nhelpful-only,default,m,0.1,0.05,0.2,40\\n"
)""",
    "04_robustness": "processed.joinpath('beside_paper.csv').write_text('')",
    "05_figures": """
processed.joinpath("report.html").write_text(f"{level}")
figures = pathlib.Path(project, "figures", name)
figures.mkdir(parents=True, exist_ok=True)
figures.joinpath("behaviour_by_tier.svg").write_text("<svg/>")""",
}


def notebook(*cells):
    """A notebook's content: its first cell is the parameters cell."""
    content = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{index}",
            "metadata": {} if index else {"tags": ["parameters"]},
            "outputs": [],
            "source": source.splitlines(True),
        }
        for index, source in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": content, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def tiny_project(folder: Path) -> Path:
    """Write such a project, with a study and a sweep."""
    (folder / "notebooks").mkdir(parents=True)
    for name in STEPS:
        text = notebook(_PARAMETERS, _START.replace("NOTEBOOK", name), _WORK[name])
        (folder / "notebooks" / f"{name}.ipynb").write_text(text)
    (folder / "study.yaml").write_text(json.dumps({"name": "one", "samples": 1}))
    return folder


def calls(folder: Path, study: str) -> list[str]:
    """Which notebooks ran for a study, in order."""
    log = folder / "data" / "raw" / study / "calls.log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


@contextlib.contextmanager
def server(answer):
    """A server that answers each request with `answer(method, path, headers, body)`: status, content."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append((self.command, self.path, dict(self.headers), json.loads(body or "{}")))
            status, content = answer(*seen[-1])
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", seen
        http.shutdown()
