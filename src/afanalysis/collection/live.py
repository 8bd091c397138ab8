"""Make many calls, each exactly once: concurrent, resumable, budgeted."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from anyio import CapacityLimiter

from afanalysis.collection.calls import Call, CallRun
from afanalysis.collection.endpoint import Server
from afanalysis.collection.responses import Answer, Failure, hint, longest, read_answer, receive
from afanalysis.errors import InputError

# How often a call is tried: at all, if each try may have been billed, and if nothing was ever answered,
# so that a wrong address shows within seconds.
MAX_TRIES = 20
MAX_BILLED = 3
FIRST_TRIES = 3

# The wait after a first failure, in seconds; it doubles with each.
FIRST_WAIT = 0.5
LAST_WAIT = 30.0

# The run stops after so many failures in a row, if they last for so many seconds or cannot be cured.
MAX_FAILURES = 20
OUTAGE_SECONDS = 120.0


class Throttle:
    """How many calls may be in flight: halved when the API pushes back, raised by one per round.

    The additive-increase, multiplicative-decrease rule of congestion control (Chiu & Jain 1989). A call
    in flight holds one of the `slots`.
    """

    def __init__(self, most: int) -> None:
        self.most, self.limit = most, float(most)
        self.slots = CapacityLimiter(most)
        self._halved_at = 0.0

    def answered(self, pushed_back: bool, remaining: float | None = None) -> None:
        """Adapt to whether the API pushed back (429, 529), and to the calls it has left for us."""
        now = time.monotonic()
        if remaining is not None and remaining < self.slots.borrowed_tokens:
            self.limit = max(1.0, min(self.limit, remaining))
        elif pushed_back and now - self._halved_at > 1:
            self._halved_at = now
            self.limit = max(1.0, self.limit / 2)
        elif not pushed_back:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)
        self.slots.total_tokens = math.ceil(self.limit)


async def run_live(run: CallRun, plan: Callable[[], Iterable[Call]]) -> None:
    """Make the calls that the journal does not hold yet, and write each answer to it at once.

    A call that failed is not in the journal, so the next run makes it again. Ctrl-C, or a budget that
    covers no more calls, ends the run early, with the calls in flight finished and written.

    Parameters
    ----------
    run
        The run.
    plan
        Gives the calls, one at a time, so a million of them need no memory. Each server gets its own
        calls at its own pace, so none waits for another.

    Raises
    ------
    InputError
        The endpoint cannot be reached, rejects the key, or rejects the first call.
    """
    lanes = [_LiveCalls(run, server, plan()) for server in run.servers]
    await asyncio.gather(*(lane.make_all() for lane in lanes))
    for lane in lanes:
        for error in lane.fatal:
            raise error
        for _ in lane.queue:  # a run that has stopped still counts what is present
            pass


class _LiveCalls:
    """The calls that go to one server."""

    def __init__(self, run: CallRun, server: Server, calls: Iterable[Call]) -> None:
        self.run, self.server, self.ended = run, server, False
        self.queue = self._pending(calls)
        self.fatal: list[InputError] = []
        self._answered = False
        self._throttle = Throttle(server.concurrency or run.options.concurrency)
        self._failures = 0  # since the last answer
        self._answered_at = time.monotonic()  # or, as long as there is no answer, when it began

    def _pending(self, calls: Iterable[Call]) -> Iterator[Call]:
        for call in calls:
            if self.run.server(call.params["model"]) is not self.server:
                continue
            if call.key in self.run.journal:
                self.run.summary.skipped += 1
                self.run.bar.update()
            else:
                yield call

    async def make_all(self) -> None:
        """Make the calls until there are none, or the run stops."""
        await self._work(islice(self.queue, 1))  # alone: a problem of every call shows in the first
        await asyncio.gather(*(self._work(self.queue) for _ in range(self._throttle.most)))

    async def _work(self, calls: Iterator[Call]) -> None:
        while not (self.run.stopping or self.ended) and (call := next(calls, None)):
            try:
                await self.make(call)
            except InputError as error:
                self.fatal.append(error)
                self.run.stop(str(error), in_flight=self._answered)

    async def make(self, call: Call) -> None:
        """Make one call, as often as it takes, and write its answer."""
        run, billed = self.run, 0
        for tries in range(1, MAX_TRIES + 1):
            async with self._throttle.slots:
                if self.ended or not await run.reserve(call):
                    return
                started = time.monotonic()
                answer = await self._ask(call)
            if isinstance(answer, Answer):
                latency = round(time.monotonic() - started, 3)
                run.save(call, replace(answer, attempts=tries, latency_s=latency))
                self._failures, self._answered, self._answered_at = 0, True, time.monotonic()
                return
            run.settle({call.key: answer.usage})
            billed += answer.usage != {}
            self._failures += 1
            if not self._answered:
                self._raise_if_hopeless(answer, tries)
            raise_if_fatal(answer, self.server)
            self._stop_in_an_outage(answer)
            run.bar.set_postfix_str(f"failed: {answer.reason[:80]}")
            if not answer.again or billed == MAX_BILLED or tries == MAX_TRIES:
                run.summary.failed.append(f"{call.key}: {answer.reason}")
                return
            wait = min(FIRST_WAIT * 2 ** (tries - 1), LAST_WAIT) * random.uniform(0.5, 1)
            await run.pause(wait if answer.wait is None else answer.wait, answer.reason)

    async def _ask(self, call: Call) -> Answer | Failure:
        # the same key on every try: the API ignores it, the stand-in's draw depends on it
        create = self.server.client.messages.with_streaming_response.create
        sending = create(**call.params, extra_headers={"idempotency-key": call.key})
        response = await receive(sending, longest(call.params["max_tokens"]))
        if isinstance(response, Failure):
            self._throttle.answered(response.pushed_back)
            return response
        self._throttle.answered(False, hint(response[0], "anthropic-ratelimit-requests-remaining", 1e6))
        return read_answer(response[1])

    def _stop_in_an_outage(self, last: Failure) -> None:
        """Stop if the server answers nothing any more, or nothing that can be used."""
        silent = time.monotonic() - self._answered_at
        hopeless = last.usage != {} or not last.again
        if self._failures >= MAX_FAILURES and (hopeless or silent > OUTAGE_SECONDS):
            reason = f"{self.server.address}: {self._failures} tries in a row failed ({last.reason}); "
            reason += "all answers so far are saved, and the same command resumes"
            self.ended = True  # other servers' calls go on
            self.run.summary.stopped = self.run.summary.stopped or reason
            if len(self.run.servers) == 1:
                self.run.stop(reason)

    def _raise_if_hopeless(self, failure: Failure, tries: int) -> None:
        """Raise `InputError` for what a run that has had no answer yet need not try for long."""
        # a rejection of what is asked, such as a prompt that is too long, concerns that call only
        rejected = failure.status in (400, 422) and not failure.reason.startswith(("prompt", "messages"))
        if rejected and (self._failures >= MAX_FAILURES or not self.run.journal.keys):
            problem, advice = "the first call was rejected", "study's model and sampling settings"
        elif failure.status is None and failure.usage == {} and tries >= FIRST_TRIES:
            problem, advice = "cannot be reached", "address and the network"
        else:
            return
        raise InputError(f"{self.server.address}: {problem} ({failure.reason}); check the {advice}")


def raise_if_fatal(failure: Failure, server: Server) -> None:
    """Raise `InputError` for a failure that no other call will escape."""
    if failure.status in (401, 402, 403):
        problem = "the key was not accepted"
        advice = f"set {server.key_variable or 'its key_variable'} to a valid one"
    elif failure.status == 404:
        problem, advice = "no such model or endpoint", "check the study's model names"
    else:
        return
    raise InputError(f"{server.address}: {problem} ({failure.reason}); {advice}")
