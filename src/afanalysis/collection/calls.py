"""Calls, their answers, and how a run of calls ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from afanalysis.study.journal import Journal
from afanalysis.study.ledger import Budget

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message


@dataclass(frozen=True)
class Call:
    """One call: its key, the arguments of `messages.create`, and what to store with the answer."""

    key: str
    params: dict[str, Any]
    about: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The answer to a call, in plain types."""

    text: str
    thinking: str
    stop_reason: str | None
    usage: dict[str, int]
    attempts: int
    latency_s: float
    finished_at: str

    @classmethod
    def from_message(cls, message: Message, attempts: int, latency_s: float) -> Answer:
        """Reduce an SDK message to what is kept."""
        usage = message.usage
        return cls(
            text="".join(block.text for block in message.content if block.type == "text"),
            thinking="".join(block.thinking for block in message.content if block.type == "thinking"),
            stop_reason=message.stop_reason,
            usage={
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_write_tokens": usage.cache_creation_input_tokens or 0,
                "cache_read_tokens": usage.cache_read_input_tokens or 0,
            },
            attempts=attempts,
            latency_s=round(latency_s, 3),
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )


@dataclass(frozen=True)
class CallOptions:
    """How calls are made.

    Attributes
    ----------
    concurrency
        How many may be in flight at once; fewer when the API pushes back.
    batch
        Send them through Message Batches, at half the price.
    batch_size
        Calls per batch. The API accepts 100 000; smaller batches return sooner, and a budget can stop
        the run between them.
    poll_seconds
        How often to ask the API whether a batch has ended.
    """

    concurrency: int = 32
    batch: bool = False
    batch_size: int = 10_000
    poll_seconds: float = 30.0


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
        Why the run ended early, if it did.
    """

    sent: int = 0
    skipped: int = 0
    attempts: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: str | None = None


@dataclass
class CallRun:
    """A run of calls.

    Attributes
    ----------
    journal
        An open journal. Calls whose key it holds are skipped.
    client
        The SDK's asynchronous client.
    record
        Makes what is written for a call and its answer.
    options
        How calls are made.
    budget
        Stops the run when it is spent.
    summary
        How the run has gone so far.
    """

    journal: Journal
    client: anthropic.AsyncAnthropic
    record: Callable[[Call, Answer], dict[str, Any]]
    options: CallOptions
    budget: Budget | None
    summary: CallSummary = field(default_factory=CallSummary)

    def exhausted(self) -> str | None:
        """Why the budget allows no more calls, or None."""
        return self.budget.exhausted if self.budget else None

    def save(self, call: Call, answer: Answer, **about: Any) -> None:
        """Write an answer to the journal and count it; `batch` among the rest names its batch."""
        self.summary.sent += 1
        self.summary.attempts += answer.attempts
        if self.budget:
            model = call.params["model"]
            self.budget.spend.add(self.budget.prices, model, answer.usage, batch="batch" in about)
        self.journal.append(call.key, self.record(call, answer) | about)
