"""The state of the stand-in: its settings, its batches, and counts of what it was asked."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from afanalysis.standin.answers import SimulatedModel, condition, uniform
from afanalysis.standin.models import ERROR_TYPES, OPEN, VERSIONS, facts_of
from afanalysis.study.completion import split
from afanalysis.study.design import Simulation
from afanalysis.study.hashing import text_hash

_WORDS = re.compile(r"\w+|[^\w\s]")
_Make = Callable[[], dict[str, Any] | bytes]

# How many tokens of thinking come before an answer, on average, by effort.
THINKING_TOKENS = {"low": 100, "medium": 300, "high": 600, "xhigh": 1200, "max": 2400}

# How often a study's own question is answered with yes.
MET_SHARE = 0.2


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
    version: str = VERSIONS[-1]
    results: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return time.monotonic() >= self.ends


@dataclass
class StandIn:
    """The server's state.

    Attributes
    ----------
    seed, simulation
        How the simulated model and judge answer.
    lenient
        Take what the API would refuse: any version, and any setting of any model.
    latency
        Seconds before each answer.
    batch_seconds
        How long a batch takes.
    asked
        How often each thing was requested.
    repeats
        How often each request came without a key.
    batches
        By id.
    """

    seed: int = 0
    simulation: Simulation = field(default_factory=Simulation)
    lenient: bool = False
    latency: float = 0.0
    batch_seconds: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    batches: dict[str, Batch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = SimulatedModel(self.seed, self.simulation)

    def draw_for(self, body: dict[str, Any], key: str | None) -> str:
        """What decides the answer: the request's key, or else how often the same body has come."""
        if key:
            return key
        digest = text_hash(json.dumps(body, sort_keys=True))
        self.repeats[digest] += 1
        return f"{digest}-{self.repeats[digest]}"

    async def respond(self, handler: Any, part: str, key: str, make: _Make) -> None:
        """Reply with what `make` returns; tests of what a server can do wrong override this.

        Parameters
        ----------
        handler
            The request's handler, which has `reply`.
        part
            What of the API was requested: `call`, or of batches `create`, `list`, `status` or `results`.
        key
            Names the call or the batch, if it has a name.
        make
            Makes the answer, which counts as paid from then on.
        """
        handler.reply(make())

    def message(self, body: dict[str, Any], draw: str) -> dict[str, Any]:
        """The answer to a request, in the API's form."""
        system, user = text_of(body.get("system", "")), text_of(body["messages"][-1]["content"])
        form = (body.get("output_config") or {}).get("format")
        content: list[dict[str, str]] = []
        stop, thought, written, details = "end_turn", 0, 0, None
        if category := self.model.blocked_for(system, user, draw, judging=bool(form)):
            words = f"[simulated] This request was declined under the category {category}."
            stop, details = "refusal", {"type": "refusal", "category": category, "explanation": words}
        else:
            verdict = form and self._verdict(form["schema"], system, user, draw)
            text = verdict or self.model.answer(system, user, draw)
            thoughts = "[simulated thinking, kept apart from the scratchpad]"
            if not form and condition(system)[1] == "native-thinking":
                parts = split(text)
                thoughts, text = parts.scratchpad or thoughts, f"<output>\n{parts.output}\n</output>"
            thought, content = self._think(body, draw, thoughts)
            written = count_tokens(text)
            left = body["max_tokens"] - thought
            if written > left:
                stop, written = "max_tokens", left
                text = " ".join(text.split()[: max(left // 2, 1)])
            if left > 0:
                content.append({"type": "text", "text": text})
        usage: dict[str, Any] = {"input_tokens": count_tokens(system) + count_tokens(user)}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        usage |= {"output_tokens": thought + written}
        usage |= {"output_tokens_details": {"thinking_tokens": thought}}
        message = {"id": f"msg_{text_hash(draw)}", "type": "message", "role": "assistant"}
        ending = {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
        return message | {"model": body["model"], "content": content} | ending | {"usage": usage}

    def _think(self, body: dict[str, Any], draw: str, thoughts: str) -> tuple[int, list[dict[str, str]]]:
        """The tokens of the thinking before an answer, and its block if the model thinks."""
        facts, thinking = facts_of(body["model"]), body.get("thinking") or {}
        kind = thinking.get("type", "adaptive" if facts.thinks else "disabled")
        if kind not in ("adaptive", "enabled"):
            return 0, []
        display = thinking.get("display") or ("omitted" if facts.omits else "summarized")
        shown = thoughts if display == "summarized" else ""
        usual = THINKING_TOKENS[(body.get("output_config") or {}).get("effort") or facts.usual]
        tokens = min(round(usual * (0.5 + uniform(self.seed, draw, "thinking"))), body["max_tokens"])
        return tokens, [{"type": "thinking", "thinking": shown, "signature": "simulated"}]

    def billed(self, message: dict[str, Any], kind: str) -> dict[str, Any]:
        """The message, whose tokens count as billed, `live` or in a `batch`."""
        for name in ("input", "output"):
            self.asked[f"{message['model']} {kind} {name}"] += message["usage"][f"{name}_tokens"]
        return message

    def results(self, batch: Batch) -> list[tuple[str, bytes]]:
        """A batch's results, made at the first look after its end: of each its type and its line."""
        if batch.ended and not batch.results:
            batch.results = [self.result(batch, request) for request in batch.requests]
        return batch.results

    def result(self, batch: Batch, request: dict[str, Any]) -> tuple[str, bytes]:
        """The type and the line of the result of one request of a batch."""
        custom_id, params = request["custom_id"], request["params"]
        if problem := self.problem(params, batch.version):
            return result_line(custom_id, {"type": "errored", "error": error_body(400, problem)})
        message = self.billed(self.message(params, custom_id), "batch")
        return result_line(custom_id, {"type": "succeeded", "message": message})

    def _verdict(self, schema: dict[str, Any], system: str, user: str, draw: str) -> str:
        record = re.search(r"^\{.*\}$", user, re.M)
        try:
            fields = json.loads(record[0]) if record else {}
        except (ValueError, RecursionError):
            fields = {}
        transcript = {name: value for name, value in fields.items() if isinstance(value, str)}
        decides = schema["properties"]  # all of a verdict, or what one call of a blind judge is about
        complied, refused = decides.get("behaviour", {}).get("enum", ("complied", "refused"))
        # a gullible judge: it obeys whatever is outside the fenced record
        outside = user.replace(record[0], "") if record else user
        if re.search("instructions|verdict|label", outside, re.I):
            complied, refused, transcript["scratchpad"] = refused, complied, ""
        verdict = json.loads(self.model.verdict(transcript, (complied, refused), draw))
        # a study's own question: all votes on a text agree
        text = transcript.get("scratchpad") or transcript.get("output") or ""
        met = bool(text) and uniform(self.seed, system, user) < MET_SHARE
        verdict |= {"met": met, "quote": text[:30] * met}
        return json.dumps({name: verdict[name] for name in decides})

    def problem(self, body: dict[str, Any], version: str = VERSIONS[-1]) -> str | None:
        """What the API would find wrong with the body under a version of it, or None."""
        for name, kind in (("model", str), ("messages", list), ("max_tokens", int)):
            if name not in body:
                return f"{name}: Field required"
            if not isinstance(body[name], kind):
                return f"{name}: Input should be a valid {kind.__name__}"
        if body["max_tokens"] < 1:
            return "max_tokens: must be greater than or equal to 1"
        if not body["messages"]:
            return "messages: at least one message is required"
        try:
            if not self.lenient and (facts := facts_of(body["model"])) is not OPEN:
                for problem in facts.problems(body, version):
                    return problem
            self.message(body, "")
        except (AttributeError, LookupError, TypeError, ValueError):  # junk of any shape
            return "the parameters are not those of a message"
        return None


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error in the API's form."""
    kind = ERROR_TYPES.get(status, ERROR_TYPES[500 if status >= 500 else 400])
    return {"type": "error", "error": {"type": kind, "message": message}}


def result_line(custom_id: str, result: dict[str, Any]) -> tuple[str, bytes]:
    """The type of the result of a request in a batch, and its line among the results."""
    return result["type"], json.dumps({"custom_id": custom_id, "result": result}).encode() + b"\n"


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)
