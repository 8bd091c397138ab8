"""Make many calls, each exactly once: concurrent, resumable, budgeted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anthropic
from afanalysis.collection.calls import Answer, Call, CallSummary, Record
from afanalysis.errors import InputError
from afanalysis.study.journal import Journal
from afanalysis.study.ledger import Budget
from afanalysis.text import progress

# The SDK retries inside a call; a call that fails all the same is put off this many times. The first
# call is retried less, so that an address that is wrong shows within seconds.
SDK_RETRIES = 6

FIRST_RETRIES = 2

CALL_SECONDS = 600.0

PUT_OFF_AT_MOST = 5

# So many failed calls in a row, with no success between them, and the run stops.
FAILURES_IN_A_ROW = 20


class Throttle:
    """How many calls may be under way: halved when the API pushes back, raised by one a round.

    The additive-increase, multiplicative-decrease rule of congestion control (Chiu & Jain 1989).
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.active = 0
        self._freed = asyncio.Condition()
        self._halved_at = 0.0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free place, and hold it for as long as the block lasts."""
        async with self._freed:
            await self._freed.wait_for(lambda: self.active < self.limit)
            self.active += 1
        try:
            yield
        finally:
            async with self._freed:
                self.active -= 1
                self._freed.notify()

    def answered(self, pushed_back: bool, remaining: int | None = None) -> None:
        """Take in whether the API pushed back (429, 529), and how many calls it has left for us."""
        now = time.monotonic()
        if remaining is not None and remaining < self.active:
            self.limit = max(1.0, min(self.limit, float(remaining)))
            return
        if pushed_back and now - self._halved_at > 1:
            self._halved_at = now
            self.limit = max(1.0, self.limit / 2)
        elif not pushed_back:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)


async def run_live(
    calls: Iterable[Call],
    journal: Journal,
    client: anthropic.AsyncAnthropic,
    record: Record,
    *,
    total: int | None = None,
    concurrency: int = 32,
    budget: Budget | None = None,
    description: str = "calls",
) -> CallSummary:
    """Make the calls that the journal does not hold yet, and write each answer to it at once.

    Parameters
    ----------
    calls
        What to ask; taken one at a time, so a million of them need no memory.
    journal
        An open journal. Calls whose key it holds are skipped.
    client
        The SDK's asynchronous client.
    record
        Makes of a call and its answer what is written.
    total
        The number of calls, for the progress bar.
    concurrency
        How many calls may be under way at once; fewer when the API pushes back.
    budget
        Checked before each call is sent; the run ends when it is spent, with what is under way saved.

    Returns
    -------
    CallSummary
        A call that failed is not in the journal: the next run makes it again. Ctrl-C ends the run early
        with everything under way finished and written.

    Raises
    ------
    InputError
        The endpoint cannot be reached, rejects the key, or rejects the first call.
    """
    summary = CallSummary()
    throttle = Throttle(concurrency)
    in_a_row = 0
    fatal: list[InputError] = []
    client = client.with_options(max_retries=SDK_RETRIES, timeout=CALL_SECONDS)

    def pending() -> Iterator[Call]:
        for call in calls:
            if call.key in journal:
                summary.skipped += 1
                bar.update()
            else:
                yield call

    async def make(call: Call) -> None:
        nonlocal in_a_row
        for put_off in range(PUT_OFF_AT_MOST + 1):
            first = not summary.sent
            try:
                async with throttle.slot():
                    asking = client.with_options(max_retries=FIRST_RETRIES) if first else client
                    answer, remaining = await _answer(asking, call)
            except Exception as error:
                raise_if_fatal(error, client, first=first)
                in_a_row += 1
                throttle.answered(pushed_back=True)
                message = error_message(error)
                if in_a_row >= FAILURES_IN_A_ROW:
                    raise InputError(
                        f"{client.base_url}: {in_a_row} calls in a row failed ({message}); all answers "
                        "so far are saved, start the same command again later"
                    ) from error
                if put_off == PUT_OFF_AT_MOST:
                    summary.failed.append(f"{call.key}: {message}")
                    return
                await asyncio.sleep(min(2.0**put_off * 0.5, 30))
            else:
                in_a_row = 0
                throttle.answered(pushed_back=answer.attempts > 1, remaining=remaining)
                summary.sent += 1
                summary.attempts += answer.attempts
                if budget:
                    budget.spend.add(budget.prices, call.params["model"], answer.usage)
                    bar.set_postfix_str(f"${budget.spend.usd:,.2f}", refresh=False)
                journal.append(call.key, record(call, answer))
                bar.update()
                return

    async def worker(queue: Iterator[Call]) -> None:
        for call in queue:
            if budget and not summary.stopped:
                summary.stopped = budget.exhausted
            if summary.stopped or fatal:
                return
            try:
                await make(call)
            except InputError as error:
                fatal.append(error)

    with progress.bar(total=total, desc=description, unit="call", leave=False, delay=0.5) as bar:
        queue = pending()
        with graceful_interrupt(summary):
            summary.stopped = budget.exhausted if budget else None
            first_call = None if summary.stopped else next(queue, None)
            if first_call is not None:
                await make(first_call)  # alone: what is wrong with every call shows on the first
                await asyncio.gather(*(worker(queue) for _ in range(concurrency)))
    if fatal:
        raise fatal[0]
    return summary


async def _answer(client: anthropic.AsyncAnthropic, call: Call) -> tuple[Answer, int | None]:
    """The answer, and how many more calls the API says it will take in this minute."""
    started = time.monotonic()
    # The same key on every repetition; the API ignores it, the stand-in draws by it.
    response = await client.messages.with_raw_response.create(
        **call.params, extra_headers={"idempotency-key": call.key}
    )
    message = await response.parse()
    answer = Answer.from_message(message, int(response.retries_taken) + 1, time.monotonic() - started)
    remaining = response.headers.get("anthropic-ratelimit-requests-remaining")
    return answer, int(remaining) if remaining else None


def raise_if_fatal(error: Exception, client: anthropic.AsyncAnthropic, first: bool) -> None:
    """Raise `InputError` for what no repetition will mend."""
    import anthropic

    if not isinstance(error, (anthropic.APIError, ValueError)):
        raise error
    where = str(client.base_url)
    if isinstance(error, (anthropic.AuthenticationError, anthropic.PermissionDeniedError)):
        raise InputError(
            f"{where}: the key was not accepted ({error_message(error)}); set ANTHROPIC_API_KEY to one "
            "that is"
        ) from None
    if isinstance(error, anthropic.NotFoundError):
        raise InputError(
            f"{where}: no such model or endpoint ({error_message(error)}); check the study's model names"
        ) from None
    if first and isinstance(error, anthropic.BadRequestError):
        raise InputError(
            f"{where}: the first call was rejected ({error_message(error)}); check the study's model "
            "and sampling settings"
        ) from None
    if first and isinstance(error, anthropic.APIConnectionError):
        raise InputError(
            f"{where}: cannot be reached ({error_message(error)}); check the address and the network"
        ) from None


def error_message(error: Exception) -> str:
    """The API's own words for an error, on one line."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else None
    return " ".join(str(message or error or type(error).__name__).split())[:300]


@contextlib.contextmanager
def graceful_interrupt(summary: CallSummary) -> Iterator[None]:
    """On the first Ctrl-C, ask for nothing more and finish what is under way; the second one ends."""

    def stop() -> None:
        if summary.stopped:
            raise KeyboardInterrupt
        summary.stopped = "stopped by Ctrl-C: what was under way is saved"

    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    try:
        loop.add_signal_handler(signal.SIGINT, stop)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
