"""The stand-in's HTTP handlers.

`POST /v1/messages` (also streaming), `POST /v1/messages/count_tokens` and `/v1/messages/batches`, with
errors in the API's own form. A request is told apart from its repetitions by its `idempotency-key`
header, or its `custom_id` in a batch; clients that send neither get the next draw each time they ask the
same.
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

from tornado.web import Application, RequestHandler

from afanalysis.standin.state import Batch, Faults, StandIn, count_tokens, text_of

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
        asked = "\n".join(text_of(message["content"]) for message in body["messages"])
        total = count_tokens(text_of(body.get("system", ""))) + count_tokens(asked)
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
