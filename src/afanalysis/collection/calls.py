"""Calls, and a run of them: what is stored, what it costs, and how it ended."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import anthropic
from pydantic import Field

from afanalysis.collection.endpoint import Endpoint, Server
from afanalysis.collection.responses import Answer, Failure, decode, prepared, receive
from afanalysis.errors import UNFINISHED
from afanalysis.study.design import FilePart
from afanalysis.study.journal import Journal
from afanalysis.study.ledger import HOUR, Charge, Ledger, Usage, whole_number

# Input tokens that the API may add to what is sent.
MARGIN = 500

# How long a run whose budget is reserved by another process waits for that process to go on.
OTHERS_SECONDS = 2.0


@dataclass(frozen=True)
class Call:
    """One call: its key, the arguments of `messages.create`, and what to store with the answer."""

    key: str
    params: dict[str, Any]
    about: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        """The parameters as the API expects them."""
        params = dict(self.params)
        return params | params.pop("extra_body", {})


class CallOptions(FilePart):
    """How calls are made.

    Attributes
    ----------
    concurrency
        How many may be in flight at once, from 1 to 1000; fewer when the API pushes back.
    batch
        Send them through Message Batches, at half the price.
    batch_size
        Calls per batch. The API accepts 100 000; smaller batches return sooner.
    poll_seconds
        How often to ask the API whether a batch has ended.
    resend
        Pay again for calls of batches whose results can no longer be fetched.
    stop_after
        Stop after so many seconds, as for Ctrl-C; None for no limit.
    """

    concurrency: int = Field(default=32, ge=1, le=1000)
    batch: bool = False
    batch_size: int = Field(default=10_000, ge=1, le=100_000)
    poll_seconds: float = Field(default=30.0, ge=0.001, le=86_400)
    resend: bool = False
    stop_after: float | None = Field(default=None, ge=0, le=10_000_000)


@dataclass
class CallSummary:
    """How a run of calls ended.

    Attributes
    ----------
    sent, skipped
        Calls answered in this run, and calls whose answers were already present.
    attempts
        How many times calls were tried.
    failed
        Calls without an answer, each with its reason; the next run makes them again.
    stopped
        Why the run ended early, if it did, and what goes on from there.
    notes
        What else is to be known, each in a sentence.
    at_worst_case
        Tries whose true cost nobody can say, counted at the most that they can have cost.
    unusable
        Calls of this run whose answer is not in the requested form, or blocked.
    """

    sent: int = 0
    skipped: int = 0
    attempts: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: str | None = None
    notes: list[str] = field(default_factory=list)
    at_worst_case: int = field(default=0, repr=False)
    unusable: int = field(default=0, repr=False)

    @property
    def complete(self) -> bool:
        """Whether every planned call now has its answer."""
        return not (self.failed or self.stopped)

    @property
    def left(self) -> str:
        """Why calls have yet to be made, in words; empty if none have."""
        failed = f"{len(self.failed):,} calls failed ({self.failed[0]})" if self.failed else ""
        return "; ".join(filter(None, [failed, self.stopped]))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """What a notebook shows, and `afanalysis run` reads."""
        return {"text/plain": repr(self)} | ({UNFINISHED: self.left} if self.left else {})


@dataclass
class CallRun:
    """A run of calls.

    Attributes
    ----------
    journal
        An open journal. Calls whose key it holds are skipped.
    endpoint
        Where the calls go.
    record
        Makes what is written for a call and its answer.
    options
        How calls are made.
    ledger
        Keeps the calls within the study's budget; None for calls that cost nothing.
    summary
        How the run has gone so far.
    bar
        The progress bar.
    """

    journal: Journal
    endpoint: Endpoint
    record: Callable[[Call, Answer], dict[str, Any]]
    options: CallOptions
    ledger: Ledger | None
    summary: CallSummary = field(default_factory=CallSummary)
    bar: Any = None

    def __post_init__(self) -> None:
        self._prepared = cache(lambda server: replace(server, client=prepared(server.client)))
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()
        self._counts: dict[str, int] = {}
        self._due: dict[str, Charge] = {}  # calls whose price is to be reserved
        self._reserved = 0  # calls in flight whose price is reserved

    @property
    def stopping(self) -> bool:
        """Whether no more calls are to be made."""
        return self._stop.is_set()

    def server(self, model: str) -> Server:
        """The server of a model, with its client as it is used here."""
        return self._prepared(self.endpoint.server(model))

    @property
    def servers(self) -> list[Server]:
        """All servers, each once; the first is the API."""
        return list(dict.fromkeys([self.server(""), *map(self.server, self.endpoint.servers)]))

    def in_batch(self, call: Call) -> bool:
        """Whether a call is made through Message Batches."""
        return self.options.batch and self.server(call.params["model"]) is self.server("")

    def stop(self, reason: str, *, in_flight: bool = True) -> None:
        """Make no more calls, and end what only waits."""
        self.summary.stopped = self.summary.stopped or reason
        self._stop.set()
        if in_flight:
            self.bar.set_postfix_str("finishing the calls in flight; Ctrl-C drops them")

    async def pause(self, seconds: float, reason: str = "") -> None:
        """Wait, at most until the run stops; a wait of a second or more is shown."""
        if seconds >= 1:
            self.bar.set_postfix_str(f"{reason[:80]}; waiting {seconds:.0f} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def most(self, call: Call) -> Charge:
        """The most that a call can cost: `max_tokens` of output, and input counted where possible.

        The API counts once what many calls share, the model and the system prompt; of the rest, a token
        is at least one byte long.
        """
        body = call.body
        shared = json.dumps([body.pop("model"), body.pop("system", "")])
        if shared not in self._counts:
            counted = await count_tokens(self.server(call.params["model"]).client, call.params)
            self._counts[shared] = len(shared) if counted is None else counted
        tokens = self._counts[shared] + len(json.dumps(body)) + MARGIN
        usage = {"cache_write_tokens": tokens, "output_tokens": body["max_tokens"]}
        if '"ttl": "1h"' in shared:
            usage[HOUR] = tokens
        return Charge(call.params["model"], usage, self.in_batch(call))

    async def reserve(self, call: Call) -> bool:
        """Reserve the most that a call can cost; False if the run stops, for the budget or otherwise.

        While others are in flight, whose true price will be less than what is reserved, this waits.
        """
        if self.ledger is None:
            return not self.stopping
        charge = await self.most(call)
        self._due[call.key] = charge
        await asyncio.sleep(0)  # calls that begin together share one turn of the ledger
        async with self._turn:
            while call.key in self._due and not self.stopping:
                covered = list(self._due)[: self.ledger.reserve(self._due.items())]
                for key in covered:
                    del self._due[key]
                self._reserved += len(covered)
                if call.key not in self._due:
                    break
                others_pause = time.monotonic() - self.ledger.others_wrote
                if not self._reserved and others_pause > OTHERS_SECONDS:
                    self.stop(self.ledger.budget.refusal(charge) or "")
                await self.pause(0.05)
        return self._due.pop(call.key, None) is None

    def save(self, call: Call, answer: Answer, **about: Any) -> None:
        """Write an answer to the journal, and then settle what it cost."""
        model = call.params["model"]
        if answer.model and not _alike(model, answer.model):
            about["answered_by"] = answer.model
            note = f"answers for {model} came under the name {answer.model}; is it the same model?"
            self.summary.notes += [] if note in self.summary.notes else [note]
        record = self.record(call, answer) | about
        self.journal.append(call.key, record)
        self.summary.sent += 1
        unusable = record.get("valid") is False or "undecided" in record or record.get("blocked")
        self.summary.unusable += bool(unusable)
        self.summary.attempts += answer.attempts
        self.settle({call.key: answer.usage}, batch="batch" in about)
        self.bar.update()

    def settle(self, usages: Mapping[str, Usage], *, batch: bool = False) -> None:
        """Settle what calls have cost, by key: None for the most that it can have been."""
        self.summary.at_worst_case += sum(usage is None for usage in usages.values())
        self._reserved -= 0 if batch else len(usages)
        if self.ledger:
            self.ledger.settle(usages, batch=batch)
            self.bar.set_postfix_str(f"${self.ledger.budget.spend.usd:,.2f}", refresh=False)


def _alike(asked: str, answered: str) -> bool:
    """Whether two names differ in the provider and the date of a version only."""
    names = [name.rpartition("/")[2].lower().replace(".", "-") for name in (asked, answered)]
    return names[0] in names[1] or names[1] in names[0]


async def count_tokens(client: anthropic.AsyncAnthropic, params: dict[str, Any]) -> int | None:
    """The API's count of a request's input tokens, which is free; None if it cannot be had."""
    counted = {name: params[name] for name in ("model", "system", "messages") if name in params}
    response = await receive(client.messages.with_streaming_response.count_tokens(**counted), seconds=20)
    content = {} if isinstance(response, Failure) else decode(response[1])
    return whole_number(content.get("input_tokens"))


@contextlib.contextmanager
def graceful_end(run: CallRun) -> Iterator[None]:
    """On the first Ctrl-C, or when the run's time is over, finish the calls in flight and no more."""

    def interrupt() -> None:
        if run.stopping:
            raise KeyboardInterrupt
        run.stop("by Ctrl-C; the calls in flight were saved, and the same command resumes")

    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    seconds = run.options.stop_after
    timer = seconds is not None and loop.call_later(
        seconds, run.stop, f"after {seconds:g} s, as requested; the same command resumes"
    )
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or a thread
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if timer:
            timer.cancel()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            if loop.remove_signal_handler(signal.SIGINT):
                signal.signal(signal.SIGINT, before)
