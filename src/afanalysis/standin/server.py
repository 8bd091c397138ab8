"""The stand-in as a server: the Messages API on a loopback port, with faults on demand.

It speaks `POST /v1/messages` (also streaming), `POST /v1/messages/count_tokens` and
`/v1/messages/batches` (create, list, retrieve, cancel, results), with errors in the API's own shape.
A request is told apart from its repetitions by its `idempotency-key` header, or its `custom_id` in a
batch; clients that send neither get the next draw each time they ask the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from afanalysis.errors import InputError
from afanalysis.standin.answers import SimulatedJudge, SimulatedModel
from afanalysis.study import Simulation

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
# The one key that the stand-in turns away, so that a rejected key can be tried out.
REJECTED_KEY = "rejected"
_WORDS = re.compile(r"\w+|[^\w\s]")


class Faults(BaseModel):
    """What goes wrong on purpose: proportions of requests, or seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    latency: float = Field(0.0, ge=0, description="seconds before each answer")
    rate_limited: float = Field(0.0, ge=0, le=1)
    retry_after: float = Field(0.0, ge=0, description="seconds in the retry-after header of a 429")
    server_error: float = Field(0.0, ge=0, le=1)
    overloaded: float = Field(0.0, ge=0, le=1)
    dropped: float = Field(0.0, ge=0, le=1)
    truncated: float = Field(0.0, ge=0, le=1, description="bodies cut in the middle")
    malformed: float = Field(0.0, ge=0, le=1, description="verdicts that are not JSON")
    batch_seconds: float = Field(0.0, ge=0, description="time that a batch takes")
    batch_expired: float = Field(0.0, ge=0, le=1)
    batch_errored: float = Field(0.0, ge=0, le=1)
    rejected_fields: list[str] = Field(
        default=[], description="settings that get a 400, as a model would that does not take them"
    )


def count_tokens(text: str) -> int:
    """A rough count of tokens: words and punctuation marks."""
    return len(_WORDS.findall(text)) + 3


@dataclass
class Batch:
    """A batch as the server keeps it."""

    id: str
    requests: list[dict[str, Any]]
    created: datetime
    ends: float
    canceled: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.canceled or time.monotonic() >= self.ends


@dataclass
class StandIn:
    """The server's state: the simulated model and judge, the faults, and what was asked so far."""

    seed: int = 0
    simulation: Simulation = field(default_factory=Simulation)
    faults: Faults = field(default_factory=Faults)
    asked: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    told_to_wait: dict[str, float] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.model = SimulatedModel(self.seed, self.simulation)
        self.judge = SimulatedJudge(self.seed, self.simulation)

    def draw_for(self, body: dict[str, Any], key: str | None) -> str:
        if key:
            return key
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
        self.repeats[digest] += 1
        return f"{digest}-{self.repeats[digest]}"

    def message(self, body: dict[str, Any], draw: str) -> dict[str, Any]:
        system, user = _text(body.get("system", "")), _text(body["messages"][-1]["content"])
        form = (body.get("output_config") or {}).get("format")
        if form:
            text = self._verdict(form["schema"], user, draw)
        else:
            text = self.model.answer(system, user, draw)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
            thought = "[simulated thinking, kept apart from the scratchpad]"
            content.insert(0, {"type": "thinking", "thinking": thought, "signature": "simulated"})
        written = count_tokens(text)
        cut = written > body["max_tokens"]
        if cut:
            text = " ".join(text.split()[: max(body["max_tokens"] // 2, 1)])
            content[-1]["text"] = text
        return {
            "id": "msg_" + hashlib.sha256(draw.encode()).hexdigest()[:24],
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": "max_tokens" if cut else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": count_tokens(system) + count_tokens(user),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": min(written, body["max_tokens"]),
            },
        }

    def results(self, batch: Batch) -> list[dict[str, Any]]:
        """A batch's results, made when they are first asked for after its end."""
        if batch.ended and not batch.results:
            batch.results = [self._result(batch, request) for request in batch.requests]
        return batch.results

    def _result(self, batch: Batch, request: dict[str, Any]) -> dict[str, Any]:
        custom_id = request["custom_id"]
        luck = random.Random(f"{batch.id} {custom_id}").random()
        problem = self.problem(request["params"])
        if batch.canceled:
            result: dict[str, Any] = {"type": "canceled"}
        elif luck < self.faults.batch_expired:
            result = {"type": "expired"}
        elif problem or luck < self.faults.batch_expired + self.faults.batch_errored:
            kind = "invalid_request_error" if problem else "api_error"
            inner = {"type": kind, "message": problem or "asked for by the stand-in's faults"}
            result = {"type": "errored", "error": {"type": "error", "error": inner}}
        else:
            message = self.message(request["params"], custom_id)
            result = {"type": "succeeded", "message": message}
        return {"custom_id": custom_id, "result": result}

    def _verdict(self, schema: dict[str, Any], user: str, draw: str) -> str:
        if self.chance.random() < self.faults.malformed:
            return '{"behaviour": '
        found = re.search(r"^\{.*\}$", user, re.M)
        transcript = json.loads(found[0]) if found else {}
        complied, refused = schema["properties"]["behaviour"]["enum"]
        choices = (complied, refused)
        # a gullible judge: what stands outside the fenced record it takes for its orders
        outside = user.replace(found[0], "") if found else user
        if re.search("instructions|verdict|label", outside, re.I):
            choices = (refused, complied)
        return self.judge.verdict(transcript, choices, draw)

    def problem(self, body: Any) -> str | None:
        """What the API would find wrong with the body, or None."""
        if not isinstance(body, dict):
            return "the body must be a JSON object"
        for name, kind in (("model", str), ("messages", list), ("max_tokens", int)):
            if name not in body:
                return f"{name}: Field required"
            if not isinstance(body[name], kind):
                return f"{name}: Input should be a valid {kind.__name__}"
        if not body["messages"]:
            return "messages: at least one message is required"
        for name in self.faults.rejected_fields:
            if name in body:
                return f"{name}: not supported by {body['model']}"
        return None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)


class _Handler(RequestHandler):
    def initialize(self, standin: StandIn) -> None:
        self.standin = standin

    def prepare(self) -> None:
        # clients send a key as x-api-key or, as the SDK does, as a bearer token
        bearer = self.request.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.request.headers.get("x-api-key") or bearer
        if not key:
            self.fail(401, "a key is required: x-api-key or authorization")
        elif key == REJECTED_KEY:
            self.fail(401, "invalid key")

    def fail(self, status: int, message: str) -> None:
        self.set_status(status)
        self.reply({"type": "error", "error": {"type": ERRORS[status], "message": message}})

    def reply(self, content: Any) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("request-id", "req_" + hashlib.sha256(self.request.body).hexdigest()[:20])
        self.finish(json.dumps(content))

    def body(self) -> Any:
        try:
            return json.loads(self.request.body)
        except ValueError:
            return None

    def write_error(self, status_code: int, **_: Any) -> None:
        self.fail(status_code if status_code in ERRORS else 500, self._reason)


class Messages(_Handler):
    """`POST /v1/messages`."""

    async def post(self) -> None:
        standin, faults, body = self.standin, self.standin.faults, self.body()
        standin.asked["messages"] += 1
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if self._struck(faults):
            return
        problem = standin.problem(body)
        if problem:
            self.fail(400, problem)
            return
        draw = standin.draw_for(body, self.request.headers.get("idempotency-key"))
        message = standin.message(body, draw)
        standin.asked["answered"] += 1
        if body.get("stream"):
            self._stream(message)
        elif faults.truncated and standin.chance.random() < faults.truncated:
            whole = json.dumps(message)
            self.request.connection.stream.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                + str(len(whole)).encode()
                + b"\r\n\r\n"
                + whole[: len(whole) // 2].encode()
            )
            self._drop()
        else:
            self.reply(message)

    def _struck(self, faults: Faults) -> bool:
        luck = self.standin.chance.random()
        key = self.request.headers.get("idempotency-key", "")
        # whoever has waited as long as a 429 asked for is let in
        waited = time.monotonic() >= self.standin.told_to_wait.get(key, float("inf"))
        for share, status in (
            (0.0 if waited else faults.rate_limited, 429),
            (faults.server_error, 500),
            (faults.overloaded, 529),
            (faults.dropped, 0),
        ):
            if luck < share:
                self.standin.asked[f"fault {status or 'dropped'}"] += 1
                if status == 429:
                    self.set_header("retry-after", f"{faults.retry_after:g}")
                    self.standin.told_to_wait[key] = time.monotonic() + faults.retry_after
                if status:
                    self.fail(status, "asked for by the stand-in's faults")
                else:
                    self._drop()
                return True
            luck -= share
        return False

    def _drop(self) -> None:
        self.request.connection.stream.close()
        self._finished = True

    def _stream(self, message: dict[str, Any]) -> None:
        def event(name: str, **content: Any) -> None:
            self.write(f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n")

        self.set_header("Content-Type", "text/event-stream")
        usage = message["usage"]
        start = {**message, "content": [], "stop_reason": None}
        event("message_start", message={**start, "usage": {**usage, "output_tokens": 1}})
        for index, block in enumerate(message["content"]):
            kind = block["type"]
            empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            event("content_block_start", index=index, content_block=empty)
            text = block[kind]
            for at in range(0, len(text), 80):
                delta = {"type": f"{kind}_delta", kind: text[at : at + 80]}
                event("content_block_delta", index=index, delta=delta)
            if kind == "thinking":
                signed = {"type": "signature_delta", "signature": block["signature"]}
                event("content_block_delta", index=index, delta=signed)
            event("content_block_stop", index=index)
        ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        event("message_delta", delta=ending, usage={"output_tokens": usage["output_tokens"]})
        event("message_stop")
        self.finish()


class CountTokens(_Handler):
    """`POST /v1/messages/count_tokens`."""

    def post(self) -> None:
        body = self.body()
        problem = self.standin.problem({"max_tokens": 1, **body} if isinstance(body, dict) else 0)
        if problem:
            self.fail(400, problem)
            return
        asked = "\n".join(_text(message["content"]) for message in body["messages"])
        total = count_tokens(_text(body.get("system", ""))) + count_tokens(asked)
        self.reply({"input_tokens": total})


class Batches(_Handler):
    """`/v1/messages/batches`: create and list."""

    def post(self) -> None:
        body = self.body()
        requests = body.get("requests") if isinstance(body, dict) else None
        if not requests:
            self.fail(400, "requests: Field required")
            return
        ids = [request["custom_id"] for request in requests]
        if len(set(ids)) < len(ids):
            self.fail(400, "custom_id: must be unique within a batch")
            return
        standin = self.standin
        standin.asked["batches"] += 1
        standin.asked["batched"] += len(requests)
        now = datetime.now(UTC)
        batch = Batch(
            id=f"msgbatch_{len(standin.batches):04d}{random.randrange(16**12):012x}",
            requests=requests,
            created=now,
            ends=time.monotonic() + standin.faults.batch_seconds,
        )
        standin.batches[batch.id] = batch
        self.reply(_described(self.standin, batch, self.request.host))

    def get(self) -> None:
        known = sorted(self.standin.batches.values(), key=lambda batch: batch.created, reverse=True)
        after = self.get_query_argument("after_id", None)
        if after:
            known = known[[batch.id for batch in known].index(after) + 1 :]
        limit = int(self.get_query_argument("limit", "20"))
        page = known[:limit]
        self.reply(
            {
                "data": [_described(self.standin, batch, self.request.host) for batch in page],
                "has_more": len(known) > limit,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )


class OneBatch(_Handler):
    """`/v1/messages/batches/ID`: retrieve; `/cancel`; `/results`."""

    def _found(self, batch_id: str) -> Batch | None:
        batch = self.standin.batches.get(batch_id)
        if batch is None:
            self.fail(404, f"no batch {batch_id}")
        return batch

    def get(self, batch_id: str, action: str | None) -> None:
        batch = self._found(batch_id)
        if batch is None:
            return
        if action is None:
            self.reply(_described(self.standin, batch, self.request.host))
        elif action == "/results" and batch.ended:
            self.set_header("Content-Type", "application/x-jsonl")
            for result in self.standin.results(batch):
                self.write(json.dumps(result) + "\n")
            self.finish()
        else:
            self.fail(400, "the batch has not ended")

    def post(self, batch_id: str, action: str | None) -> None:
        batch = self._found(batch_id)
        if batch is None:
            return
        if action != "/cancel":
            self.fail(404, f"no such action: {action}")
            return
        batch.canceled = not batch.ended or batch.canceled
        self.reply(_described(self.standin, batch, self.request.host))


def _described(standin: StandIn, batch: Batch, host: str) -> dict[str, Any]:
    def stamp(moment: datetime) -> str:
        return moment.isoformat().replace("+00:00", "Z")

    kinds = Counter(row["result"]["type"] for row in standin.results(batch))
    left = len(batch.requests) - kinds.total()
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "in_progress",
        "request_counts": {
            "processing": left,
            **{kind: kinds[kind] for kind in ("succeeded", "errored", "canceled", "expired")},
        },
        "created_at": stamp(batch.created),
        "expires_at": stamp(batch.created + timedelta(hours=24)),
        "ended_at": stamp(batch.created) if batch.ended else None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": f"http://{host}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


class Asked(RequestHandler):
    """`GET /asked`: how often each thing was asked, for tests that count paid calls."""

    def initialize(self, standin: StandIn) -> None:
        self.standin = standin

    def get(self) -> None:
        self.finish(json.dumps(self.standin.asked))


def application(standin: StandIn) -> Application:
    """The stand-in as a tornado application."""
    state = {"standin": standin}
    return Application(
        [
            (r"/v1/messages", Messages, state),
            (r"/v1/messages/count_tokens", CountTokens, state),
            (r"/v1/messages/batches", Batches, state),
            (r"/v1/messages/batches/([^/]+)(/results|/cancel)?", OneBatch, state),
            (r"/asked", Asked, state),
        ],
        log_function=lambda handler: None,
    )


async def serve(standin: StandIn, port: int = 0) -> None:
    """Serve on a loopback port (0: any free one) until cancelled; print the address first."""
    try:
        sockets = bind_sockets(port, "127.0.0.1", family=socket.AF_INET)
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}); try another") from error
    HTTPServer(application(standin), max_buffer_size=2**30).add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def running(
    seed: int = 0, simulation: Simulation | None = None, faults: Faults | None = None
) -> Iterator[str]:
    """Run the stand-in in a process of its own for as long as the block lasts; gives its address."""
    options = {
        "seed": seed,
        "simulation": (simulation or Simulation()).model_dump(),
        "faults": (faults or Faults()).model_dump(),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "afanalysis.standin.server", json.dumps(options)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise InputError("the stand-in did not start; is a loopback port free?")
        yield address
    finally:
        process.kill()
        process.communicate()


async def _until_orphaned(standin: StandIn) -> None:
    server = asyncio.create_task(serve(standin))
    await asyncio.to_thread(sys.stdin.read)
    server.cancel()


def _main() -> None:
    options = json.loads(sys.argv[1])
    standin = StandIn(options["seed"], Simulation(**options["simulation"]), Faults(**options["faults"]))
    asyncio.run(_until_orphaned(standin))


if __name__ == "__main__":
    _main()
