"""The stand-in's HTTP handlers.

`POST /v1/messages` (also streaming), `POST /v1/messages/count_tokens` and `/v1/messages/batches`, with
errors in the API's own form. The `idempotency-key` header, or the `custom_id` in a batch, identifies a
request; clients that send neither get another draw each time they send the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from tornado.web import Application, Finish, HTTPError, RequestHandler

from afanalysis.standin.state import FAULT, Batch, Faults, StandIn, count_tokens, text_of

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}

# The one key that the stand-in rejects, so that a rejected key can be tried out.
REJECTED_KEY = "rejected"


class ApiError(HTTPError):
    """An error that the client gets in the API's form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.message = message


class _Handler(RequestHandler):
    def initialize(self, standin: StandIn) -> None:
        self.standin = standin

    def prepare(self) -> None:
        # clients send a key as x-api-key or, like the SDK, as a bearer token
        bearer = self.request.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.request.headers.get("x-api-key") or bearer
        if not key:
            raise ApiError(401, "a key is required: x-api-key or authorization")
        if key == REJECTED_KEY:
            raise ApiError(401, "invalid key")

    def reply(self, content: Any) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("request-id", "req_" + hashlib.sha256(self.request.body).hexdigest()[:20])
        self.finish(json.dumps(content))

    def body(self, **defaults: Any) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            content = json.loads(self.request.body)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise ApiError(400, "the body must be a JSON object")
        return defaults | content

    def message_body(self, **defaults: Any) -> dict[str, Any]:
        """The body as the parameters of a message."""
        content = self.body(**defaults)
        if problem := self.standin.problem(content):
            raise ApiError(400, problem)
        return content

    def write_error(self, status_code: int, exc_info: Any = None, **_: Any) -> None:
        if status_code == 429:
            self.set_header("retry-after", f"{self.standin.faults.retry_after:g}")
        error = exc_info[1] if exc_info else None
        message = error.message if isinstance(error, ApiError) else self._reason
        kind = ERRORS.get(status_code, ERRORS[500])
        self.reply({"type": "error", "error": {"type": kind, "message": message}})


class Messages(_Handler):
    """`POST /v1/messages`."""

    async def post(self) -> None:
        standin, faults = self.standin, self.standin.faults
        standin.asked["messages"] += 1
        if faults.latency:
            await asyncio.sleep(faults.latency)
        self._strike(faults)
        body = self.message_body()
        draw = standin.draw_for(body, self.request.headers.get("idempotency-key"))
        message = standin.message(body, draw)
        standin.asked["answered"] += 1
        if body.get("stream"):
            self._stream(message)
        else:
            self.reply(message)

    def _strike(self, faults: Faults) -> None:
        """Fail as often as the faults demand."""
        chance = self.standin.chance.random()
        key = self.request.headers.get("idempotency-key", "")
        # a client that has waited as long as a 429 demanded is let in
        has_waited = time.monotonic() >= self.standin.let_in_at.get(key, float("inf"))
        for share, status in (
            (0.0 if has_waited else faults.rate_limited, 429),
            (faults.server_error, 500),
            (faults.overloaded, 529),
            (faults.dropped, 0),
        ):
            if chance < share:
                self.standin.asked[f"fault {status or 'dropped'}"] += 1
                if status == 429:
                    self.standin.let_in_at[key] = time.monotonic() + faults.retry_after
                if status:
                    raise ApiError(status, FAULT)
                self.request.connection.stream.close()
                self._finished = True
                raise Finish
            chance -= share

    def _stream(self, message: dict[str, Any]) -> None:
        def event(name: str, **content: Any) -> None:
            self.write(f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n")

        self.set_header("Content-Type", "text/event-stream")
        usage = message["usage"]
        started = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        event("message_start", message=started)
        for index, block in enumerate(message["content"]):
            kind = block["type"]
            empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            event("content_block_start", index=index, content_block=empty)
            text = block[kind]
            for start in range(0, len(text), 80):
                delta = {"type": f"{kind}_delta", kind: text[start : start + 80]}
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
        body = self.message_body(max_tokens=1)
        texts = "\n".join(text_of(message["content"]) for message in body["messages"])
        self.reply({"input_tokens": count_tokens(text_of(body.get("system", ""))) + count_tokens(texts)})


class Batches(_Handler):
    """`/v1/messages/batches`: create and list."""

    def post(self) -> None:
        requests = self.body().get("requests")
        if not requests:
            raise ApiError(400, "requests: Field required")
        if len({request["custom_id"] for request in requests}) < len(requests):
            raise ApiError(400, "custom_id: must be unique within a batch")
        standin = self.standin
        standin.asked["batches"] += 1
        standin.asked["batched"] += len(requests)
        batch = Batch(
            id=f"msgbatch_{len(standin.batches):04d}{random.randrange(16**12):012x}",
            requests=requests,
            created=datetime.now(UTC),
            ends=time.monotonic() + standin.faults.batch_seconds,
        )
        standin.batches[batch.id] = batch
        self.reply(_described(standin, batch, self.request.host))

    def get(self) -> None:
        batches = list(reversed(self.standin.batches.values()))
        after = self.get_query_argument("after_id", None)
        if after:
            batches = batches[[batch.id for batch in batches].index(after) + 1 :]
        limit = int(self.get_query_argument("limit", "20"))
        page = batches[:limit]
        self.reply(
            {
                "data": [_described(self.standin, batch, self.request.host) for batch in page],
                "has_more": len(batches) > limit,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )


class OneBatch(_Handler):
    """`/v1/messages/batches/ID`: retrieve; `/cancel`; `/results`."""

    def _batch(self, batch_id: str) -> Batch:
        if batch_id not in self.standin.batches:
            raise ApiError(404, f"no batch {batch_id}")
        return self.standin.batches[batch_id]

    def get(self, batch_id: str, action: str | None) -> None:
        batch = self._batch(batch_id)
        if action is None:
            self.reply(_described(self.standin, batch, self.request.host))
        elif action == "/results" and batch.ended:
            self.set_header("Content-Type", "application/x-jsonl")
            for result in self.standin.results(batch):
                self.write(json.dumps(result) + "\n")
            self.finish()
        else:
            raise ApiError(400, "the batch has not ended")

    def post(self, batch_id: str, action: str | None) -> None:
        batch = self._batch(batch_id)
        if action != "/cancel":
            raise ApiError(404, f"no such action: {action}")
        batch.canceled = not batch.ended or batch.canceled
        self.reply(_described(self.standin, batch, self.request.host))


def _described(standin: StandIn, batch: Batch, host: str) -> dict[str, Any]:
    def stamp(moment: datetime) -> str:
        return moment.isoformat().replace("+00:00", "Z")

    counts = Counter(row["result"]["type"] for row in standin.results(batch))
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "in_progress",
        "request_counts": {
            "processing": len(batch.requests) - counts.total(),
            **{kind: counts[kind] for kind in ("succeeded", "errored", "canceled", "expired")},
        },
        "created_at": stamp(batch.created),
        "expires_at": stamp(batch.created + timedelta(hours=24)),
        "ended_at": stamp(batch.created) if batch.ended else None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": f"http://{host}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


class Asked(RequestHandler):
    """`GET /asked`: how often each thing was requested, for tests that count paid calls."""

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
