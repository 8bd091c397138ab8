"""The stand-in's HTTP handlers.

`POST /v1/messages` (also streaming), `POST /v1/messages/count_tokens`, `/v1/messages/batches` and
`GET /v1/models`, with errors in the API's own form. The `idempotency-key` header, or `custom_id` in a
batch, identifies a request; clients that send neither get another draw each time they send the same.
"""

import asyncio
import hashlib
import json
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from afanalysis import __version__
from afanalysis.standin.models import KNOWN_MODELS, OPEN, VERSIONS, facts_of
from afanalysis.standin.state import Batch, StandIn, count_tokens, error_body, text_of
from afanalysis.text.untrusted import without_surrogates

# The largest bodies (bytes), and hosts and origins that are this machine.
MESSAGE_BYTES = 10 << 20
BATCH_BYTES = 256 << 20
_LOCAL = re.compile(r"(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.I)

# The header that says that answers are simulated, in every response.
STANDIN_HEADER = "x-afanalysis-standin"

# The limit in the rate-limit headers, per minute; nothing is ever refused for it.
RATE_LIMIT = "1000000"

# The one key that the stand-in rejects, so that a rejected key can be tried out.
REJECTED_KEY = "rejected"


class _Request(BaseModel):
    """A request of a batch (platform.claude.com/docs/en/api/creating-message-batches, 2026)."""

    custom_id: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    params: dict[str, Any]


_REQUESTS = TypeAdapter(Annotated[list[_Request], Field(min_length=1, max_length=100_000)])


class ApiError(HTTPError):
    """An error that the client gets in the API's form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.message = message


@stream_request_body
class _Handler(RequestHandler):
    """Answers this machine only, and reads no body that is too large."""

    max_body = MESSAGE_BYTES

    def initialize(self) -> None:
        self.standin: StandIn = self.settings["standin"]
        self.received = bytearray()

    def set_default_headers(self) -> None:
        self.set_header(STANDIN_HEADER, __version__)

    def prepare(self) -> None:
        # a page of another site can reach this port under that site's name (DNS rebinding)
        for name, default in (("Host", ""), ("Origin", "http://localhost")):
            if not _LOCAL.fullmatch(self.request.headers.get(name, default)):
                raise ApiError(403, f"{name}: must be a name of this machine, such as localhost")
        length = self.request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.max_body:
            raise ApiError(413, f"the body has more than {self.max_body:,} bytes")
        self.request.connection.set_max_body_size(self.max_body)

    def data_received(self, chunk: bytes) -> None:
        self.received += chunk

    def check_headers(self) -> None:
        """Refuse a request without a key or without a version that the API has."""
        # clients send a key as x-api-key or, like the SDK, as a bearer token
        bearer = self.request.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.request.headers.get("x-api-key") or bearer
        if not key:
            raise ApiError(401, "a key is required: x-api-key or authorization")
        if key == REJECTED_KEY:
            raise ApiError(401, "invalid key")
        self.version = self.request.headers.get("anthropic-version", "")
        if self.version not in VERSIONS and not self.standin.lenient:
            raise ApiError(400, f"anthropic-version: {self.version or 'header is required'}")

    @property
    def request_id(self) -> str:
        """Identifies a request by its body."""
        return "req_" + hashlib.sha256(self.received).hexdigest()[:20]

    def error(self, status: int, message: str) -> dict[str, Any]:
        """An error in the API's form."""
        return error_body(status, message) | {"request_id": self.request_id}

    def reply(self, content: Any) -> None:
        lines = isinstance(content, bytes)
        self.set_header("Content-Type", f"application/{'x-jsonl' if lines else 'json'}")
        self.set_header("request-id", self.request_id)
        self.finish(content if lines else json.dumps(content))

    def body(self, **defaults: Any) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            content = without_surrogates(json.loads(self.received))
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ApiError(400, "the body must be a JSON object")
        return defaults | content

    def message_body(self, **defaults: Any) -> dict[str, Any]:
        """The body as the parameters of a message."""
        content = self.body(**defaults)
        if problem := self.standin.problem(content, self.version):
            raise ApiError(400, problem)
        return content

    def write_error(self, status_code: int, exc_info: Any = None, **_: Any) -> None:
        error = exc_info[1] if exc_info else None
        message = error.message if isinstance(error, ApiError) else self._reason
        self.reply(self.error(status_code, message))

    def page(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The part of a list that the query asks for."""
        ids, after = [row["id"] for row in rows], self.get_query_argument("after_id", None)
        if after and after not in ids:
            raise ApiError(400, f"after_id: {after} does not exist")
        rows = rows[ids.index(after) + 1 :] if after else rows
        limit = self.get_query_argument("limit", "20")
        if not re.fullmatch("[1-9][0-9]{0,2}|1000", limit):
            raise ApiError(400, "limit: must be 1 to 1000")
        data = rows[: int(limit)]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return {"data": data, "has_more": len(rows) > len(data), "first_id": first, "last_id": last}

    def described(self, batch: Batch) -> dict[str, Any]:
        """A batch in the API's form."""
        stamp = "{:%Y-%m-%dT%H:%M:%S.%fZ}".format
        results = f"http://{self.request.host}/v1/messages/batches/{batch.id}/results"
        counts = Counter(kind for kind, _ in self.standin.results(batch))
        tally = {kind: counts[kind] for kind in ("succeeded", "errored", "canceled", "expired")}
        tally["processing"] = len(batch.requests) - counts.total()
        created, expires = map(stamp, (batch.created, batch.created + timedelta(hours=24)))
        content: dict[str, Any] = {"id": batch.id, "type": "message_batch", "request_counts": tally}
        content |= {"created_at": created, "expires_at": expires}
        content |= {"cancel_initiated_at": None, "archived_at": None}
        if batch.ended:
            return content | {"processing_status": "ended", "ended_at": created, "results_url": results}
        return content | {"processing_status": "in_progress", "ended_at": None, "results_url": None}


class Messages(_Handler):
    """`POST /v1/messages`."""

    async def post(self) -> None:
        self.check_headers()
        standin = self.standin
        standin.asked["messages"] += 1
        await asyncio.sleep(standin.latency)
        key = self.request.headers.get("idempotency-key")
        for kind in ("requests", "input-tokens", "output-tokens"):
            self.set_header(f"anthropic-ratelimit-{kind}-limit", RATE_LIMIT)
            self.set_header(f"anthropic-ratelimit-{kind}-remaining", RATE_LIMIT)
            self.set_header(f"anthropic-ratelimit-{kind}-reset", f"{datetime.now(UTC):%FT%TZ}")

        def answer() -> dict[str, Any]:
            body = self.message_body()
            standin.asked["answered"] += 1
            return standin.billed(standin.message(body, standin.draw_for(body, key)), "live")

        if self.body().get("stream"):
            self._stream(answer())
        else:
            await standin.respond(self, "call", key or "", answer)

    def _stream(self, message: dict[str, Any]) -> None:
        def event(name: str, **content: Any) -> None:
            self.write(f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n")

        self.set_header("Content-Type", "text/event-stream")
        self.set_header("request-id", self.request_id)
        usage = message["usage"]
        ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
        started = {"content": [], "usage": usage | {"output_tokens": 1}}
        event("message_start", message=message | dict.fromkeys(ending) | started)
        for index, block in enumerate(message["content"]):
            texts = {name: text for name, text in block.items() if name != "type"}
            event("content_block_start", index=index, content_block=block | dict.fromkeys(texts, ""))
            for name, text in texts.items():
                event("content_block_delta", index=index, delta={"type": f"{name}_delta", name: text})
            event("content_block_stop", index=index)
        event("message_delta", delta=ending, usage=usage)
        event("message_stop")
        self.finish()


class CountTokens(_Handler):
    """`POST /v1/messages/count_tokens`."""

    def post(self) -> None:
        self.check_headers()
        body = self.message_body(max_tokens=1)
        texts = "\n".join(text_of(message["content"]) for message in body["messages"])
        self.reply({"input_tokens": count_tokens(text_of(body.get("system", ""))) + count_tokens(texts)})


class Batches(_Handler):
    """`/v1/messages/batches`: create and list."""

    max_body = BATCH_BYTES

    async def post(self) -> None:
        self.check_headers()
        requests: Any = self.body().get("requests")
        try:
            names = {request.custom_id for request in _REQUESTS.validate_python(requests)}
        except ValidationError as error:
            problem = error.errors()[0]
            status = 413 if problem["type"] == "too_long" else 400
            raise ApiError(status, f"requests{list(problem['loc'])}: {problem['msg']}") from error
        if len(names) < len(requests):
            raise ApiError(400, "custom_id: must be unique within a batch")
        await self.standin.respond(self, "create", "", partial(self._create, requests))

    def _create(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        standin = self.standin
        standin.asked["batches"] += 1
        standin.asked["batched"] += len(requests)
        ends = time.monotonic() + standin.batch_seconds
        batch = Batch(f"msgbatch_{uuid4().hex}", requests, datetime.now(UTC), ends, self.version)
        standin.batches[batch.id] = batch
        return self.described(batch)

    async def get(self) -> None:
        self.check_headers()
        await self.standin.respond(self, "list", "", self._listed)

    def _listed(self) -> dict[str, Any]:
        return self.page([*map(self.described, reversed(self.standin.batches.values()))])


class OneBatch(_Handler):
    """`/v1/messages/batches/ID`: retrieve; `/results`."""

    async def get(self, batch_id: str, results: str | None) -> None:
        self.check_headers()
        if batch_id not in self.standin.batches:
            raise ApiError(404, f"no batch {batch_id}")
        batch = self.standin.batches[batch_id]
        if results is None:
            await self.standin.respond(self, "status", batch_id, partial(self.described, batch))
        elif batch.ended:
            lines = (line for _, line in self.standin.results(batch))
            await self.standin.respond(self, "results", batch_id, lambda: b"".join(lines))
        else:
            raise ApiError(400, "the batch has not ended")


class Models(_Handler):
    """`/v1/models`, or `/v1/models/ID`: what the API says of its models."""

    def get(self, name: str | None) -> None:
        self.check_headers()
        if name is None:
            self.reply(self.page([{"id": name} | facts.info for name, facts in KNOWN_MODELS.items()]))
        elif (facts := facts_of(name)) is OPEN:
            raise ApiError(404, f"model: {name}")
        else:
            self.reply({"id": name} | facts.info)


class Asked(_Handler):
    """`GET /asked`: how often each thing was requested, for tests that count paid calls."""

    def get(self) -> None:
        self.finish(json.dumps(self.standin.asked))


class Unknown(_Handler):
    """Any other address."""

    def prepare(self) -> None:
        super().prepare()
        raise ApiError(404, "no such address")


def application(standin: StandIn) -> Application:
    """The stand-in as a tornado application."""
    return Application(
        [
            (r"/v1/messages", Messages),
            (r"/v1/messages/count_tokens", CountTokens),
            (r"/v1/messages/batches", Batches),
            (r"/v1/messages/batches/([^/]+)(/results)?", OneBatch),
            (r"/v1/models(?:/([^/]+))?", Models),
            (r"/asked", Asked),
        ],
        standin=standin,
        default_handler_class=Unknown,
        log_function=lambda handler: None,
    )
