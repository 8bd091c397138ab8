"""The state of the stand-in: its faults, its batches, and counts of what it was asked."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from afanalysis.standin.answers import SimulatedJudge, SimulatedModel
from afanalysis.study.design import STRICT, Simulation
from afanalysis.study.hashing import text_hash

_WORDS = re.compile(r"\w+|[^\w\s]")

# The message of an error that was made on purpose.
FAULT = "one of the stand-in's deliberate faults"


class Faults(BaseModel):
    """What goes wrong on purpose.

    Attributes
    ----------
    latency
        Seconds before each answer.
    rate_limited, server_error, overloaded, dropped
        Proportions of requests that get a 429, 500 or 529, or whose connection is closed.
    retry_after
        Seconds in the retry-after header of a 429.
    malformed
        Proportion of verdicts that are not JSON.
    batch_seconds
        How long a batch takes.
    batch_expired, batch_errored
        Proportions of a batch's requests.
    rejected_fields
        Settings that get a 400, as from a model that does not accept them.
    """

    model_config = STRICT
    latency: float = Field(0.0, ge=0)
    rate_limited: float = Field(0.0, ge=0, le=1)
    retry_after: float = Field(0.0, ge=0)
    server_error: float = Field(0.0, ge=0, le=1)
    overloaded: float = Field(0.0, ge=0, le=1)
    dropped: float = Field(0.0, ge=0, le=1)
    malformed: float = Field(0.0, ge=0, le=1)
    batch_seconds: float = Field(0.0, ge=0)
    batch_expired: float = Field(0.0, ge=0, le=1)
    batch_errored: float = Field(0.0, ge=0, le=1)
    rejected_fields: list[str] = []


def count_tokens(text: str) -> int:
    """A rough count of tokens: the words and punctuation marks."""
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
    """The server's state.

    Attributes
    ----------
    seed, simulation, faults
        How the simulated model and judge answer, and what goes wrong.
    asked
        How often each thing was requested.
    repeats
        How often the same request came without a key.
    let_in_at
        When a request that got a 429 will be let in, by its key.
    batches
        By id.
    chance
        Draws the faults.
    """

    seed: int = 0
    simulation: Simulation = field(default_factory=Simulation)
    faults: Faults = field(default_factory=Faults)
    asked: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    let_in_at: dict[str, float] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.model = SimulatedModel(self.seed, self.simulation)
        self.judge = SimulatedJudge(self.seed, self.simulation)

    def draw_for(self, body: dict[str, Any], key: str | None) -> str:
        """What decides the answer: the request's key, or else how often the same body has come."""
        if key:
            return key
        digest = text_hash(json.dumps(body, sort_keys=True))
        self.repeats[digest] += 1
        return f"{digest}-{self.repeats[digest]}"

    def message(self, body: dict[str, Any], draw: str) -> dict[str, Any]:
        """The answer to a request, in the API's form."""
        system, user = text_of(body.get("system", "")), text_of(body["messages"][-1]["content"])
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
            "id": f"msg_{text_hash(draw)}",
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
        """A batch's results, made at the first look after its end."""
        if batch.ended and not batch.results:
            batch.results = [self._result(batch, request) for request in batch.requests]
        return batch.results

    def _result(self, batch: Batch, request: dict[str, Any]) -> dict[str, Any]:
        custom_id = request["custom_id"]
        chance = random.Random(f"{batch.id} {custom_id}").random()
        problem = self.problem(request["params"])
        if batch.canceled:
            result: dict[str, Any] = {"type": "canceled"}
        elif chance < self.faults.batch_expired:
            result = {"type": "expired"}
        elif problem or chance < self.faults.batch_expired + self.faults.batch_errored:
            kind = "invalid_request_error" if problem else "api_error"
            inner = {"type": kind, "message": problem or FAULT}
            result = {"type": "errored", "error": {"type": "error", "error": inner}}
        else:
            result = {"type": "succeeded", "message": self.message(request["params"], custom_id)}
        return {"custom_id": custom_id, "result": result}

    def _verdict(self, schema: dict[str, Any], user: str, draw: str) -> str:
        if self.chance.random() < self.faults.malformed:
            return '{"behaviour": '
        record = re.search(r"^\{.*\}$", user, re.M)
        transcript = json.loads(record[0]) if record else {}
        complied, refused = schema["properties"]["behaviour"]["enum"]
        # a gullible judge: it obeys whatever is outside the fenced record
        outside = user.replace(record[0], "") if record else user
        if re.search("instructions|verdict|label", outside, re.I):
            complied, refused = refused, complied
        return self.judge.verdict(transcript, (complied, refused), draw)

    def problem(self, body: dict[str, Any]) -> str | None:
        """What the API would find wrong with the body, or None."""
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


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)
