"""Make many calls, each exactly once: concurrent, resumable, budgeted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING

from afanalysis.collection.calls import Answer, Call, CallRun, CallSummary
from afanalysis.errors import InputError
from afanalysis.text import progress

if TYPE_CHECKING:
    import anthropic

# The SDK retries within a call. The first call is retried less, so that a wrong address shows within
# seconds.
SDK_RETRIES = 6
FIRST_RETRIES = 2
CALL_SECONDS = 600.0

# How often a call that fails all the same is postponed.
MAX_POSTPONED = 5

# After this many failures in a row, the run stops.
MAX_FAILURES = 20


class Throttle:
    """How many calls may be in flight: halved when the API pushes back, raised by one per round.

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
        """Wait for a free slot, and hold it within the block."""
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
        """Adapt to whether the API pushed back (429, 529), and to the calls it has left for us."""
        now = time.monotonic()
        if remaining is not None and remaining < self.active:
            self.limit = max(1.0, min(self.limit, float(remaining)))
            return
        if pushed_back and now - self._halved_at > 1:
            self._halved_at = now
            self.limit = max(1.0, self.limit / 2)
        elif not pushed_back:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)


async def run_live(run: CallRun, calls: Iterable[Call], total: int, description: str) -> None:
    """Make the calls that the journal does not hold yet, and write each answer to it at once.

    A call that failed is not in the journal, so the next run makes it again. Ctrl-C, or a budget that is
    spent, ends the run early, with the calls in flight finished and written.

    Parameters
    ----------
    run
        The run.
    calls
        Taken one at a time, so a million of them need no memory.
    total, description
        The number of calls and what they are, for the progress bar.

    Raises
    ------
    InputError
        The endpoint cannot be reached, rejects the key, or rejects the first call.
    """
    summary = run.summary
    throttle = Throttle(run.options.concurrency)
    failures = 0
    any_answer = False
    fatal: list[InputError] = []
    client = run.client.with_options(max_retries=SDK_RETRIES, timeout=CALL_SECONDS)

    def pending() -> Iterator[Call]:
        for call in calls:
            if call.key in run.journal:
                summary.skipped += 1
                bar.update()
            else:
                yield call

    async def make(call: Call) -> None:
        nonlocal failures, any_answer
        for postponed in range(MAX_POSTPONED + 1):
            first = not any_answer
            try:
                async with throttle.slot():
                    retrying = client.with_options(max_retries=FIRST_RETRIES) if first else client
                    answer, remaining = await _answer(retrying, call)
            except Exception as error:
                raise_if_fatal(error, client, first=first)
                failures += 1
                throttle.answered(pushed_back=True)
                message = error_message(error)
                if failures >= MAX_FAILURES:
                    raise InputError(
                        f"{client.base_url}: {failures} calls in a row failed ({message}); all answers "
                        "so far are saved, start the same command again later"
                    ) from error
                if postponed == MAX_POSTPONED:
                    summary.failed.append(f"{call.key}: {message}")
                    return
                await asyncio.sleep(min(2.0**postponed * 0.5, 30))
            else:
                failures, any_answer = 0, True
                throttle.answered(pushed_back=answer.attempts > 1, remaining=remaining)
                run.save(call, answer)
                if run.budget:
                    bar.set_postfix_str(f"${run.budget.spend.usd:,.2f}", refresh=False)
                bar.update()
                return

    async def worker(queue: Iterator[Call]) -> None:
        for call in queue:
            summary.stopped = summary.stopped or run.exhausted()
            if summary.stopped or fatal:
                return
            try:
                await make(call)
            except InputError as error:
                fatal.append(error)

    with progress.bar(total=total, desc=description, unit="call", leave=False, delay=0.5) as bar:
        queue = pending()
        with graceful_interrupt(summary):
            summary.stopped = run.exhausted()
            first_call = None if summary.stopped else next(queue, None)
            if first_call is not None:
                await make(first_call)  # alone: a problem of every call shows in the first
                await asyncio.gather(*(worker(queue) for _ in range(run.options.concurrency)))
    if fatal:
        raise fatal[0]


async def _answer(client: anthropic.AsyncAnthropic, call: Call) -> tuple[Answer, int | None]:
    """The answer, and how many more calls the API will accept in this minute."""
    started = time.monotonic()
    # the same key on every retry: the API ignores it, the stand-in's draw depends on it
    response = await client.messages.with_raw_response.create(
        **call.params, extra_headers={"idempotency-key": call.key}
    )
    message = await response.parse()
    answer = Answer.from_message(message, int(response.retries_taken) + 1, time.monotonic() - started)
    remaining = response.headers.get("anthropic-ratelimit-requests-remaining")
    return answer, int(remaining) if remaining else None


def raise_if_fatal(error: Exception, client: anthropic.AsyncAnthropic, first: bool) -> None:
    """Raise `InputError` for an error that no retry will cure."""
    import anthropic

    if not isinstance(error, (anthropic.APIError, ValueError)):
        raise error
    if isinstance(error, (anthropic.AuthenticationError, anthropic.PermissionDeniedError)):
        problem, advice = "the key was not accepted", "set ANTHROPIC_API_KEY to a valid one"
    elif isinstance(error, anthropic.NotFoundError):
        problem, advice = "no such model or endpoint", "check the study's model names"
    elif first and isinstance(error, anthropic.BadRequestError):
        problem = "the first call was rejected"
        advice = "check the study's model and sampling settings"
    elif first and isinstance(error, anthropic.APIConnectionError):
        problem, advice = "cannot be reached", "check the address and the network"
    else:
        return
    raise InputError(f"{client.base_url}: {problem} ({error_message(error)}); {advice}") from None


def error_message(error: Exception) -> str:
    """The API's own words for an error, on one line."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else None
    return " ".join(str(message or error or type(error).__name__).split())[:300]


@contextlib.contextmanager
def graceful_interrupt(summary: CallSummary) -> Iterator[None]:
    """On the first Ctrl-C, make no more calls and finish those in flight; on the second, stop."""

    def stop() -> None:
        if summary.stopped:
            raise KeyboardInterrupt
        summary.stopped = "stopped by Ctrl-C: the calls in flight were saved"

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
