"""Make calls through Message Batches: half the price, hours instead of minutes, each call exactly once.

What happens to a batch is written to `NAME.batches.jsonl` before and after each step: the calls about to
be sent, then the batch's id as soon as the API has given it, then that its results are in. A run that is
stopped between the first two finds its batch again in the API's own list, by what it holds. Any machine
that has the study's folder and a key of the same workspace can resume.

The journal is held while something is sent or written, and free while batches are under way.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from afanalysis.collection.calls import Call, CallRun, graceful_interrupt
from afanalysis.collection.live import ANSWER_BYTES, TOKEN_BYTES, raise_if_fatal, run_live
from afanalysis.collection.responses import (
    CALL_SECONDS,
    Answer,
    Failure,
    Response,
    decode,
    error_message,
    read_answer,
    receive,
    receive_lines,
)
from afanalysis.errors import InputError
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.ledger import whole_number
from afanalysis.text import progress

# The API accepts 256 MB per batch.
MAX_BYTES = 200_000_000

# How often a call is sent, and how often results that are not whole are fetched.
ROUNDS = 3
FETCHES = 4

# The longest pause, in seconds, while the API does not answer, and when to give up.
LONGEST_PAUSE = 300.0
OUTAGE_SECONDS = 24 * 3600.0

# Of the description of a batch, or of a page of a hundred.
PAGE_BYTES = 1 << 22


async def run_calls(
    run: CallRun, plan: Callable[[], Iterable[Call]], total: int, description: str
) -> None:
    """Make calls as the run's options say: live, or through Message Batches.

    Parameters
    ----------
    run
        The run.
    plan
        Gives all calls, from the first one on, each time.
    total, description
        The number of calls and what they are, for the progress bar.
    """
    bar = progress.bar(total=total, desc=description, unit="call", leave=False, delay=0.5)
    with bar as run.bar, graceful_interrupt(run), contextlib.suppress(_Stopped):
        runner = _BatchRunner(run, plan)
        if run.options.batch:
            await runner.make()
            return
        under_way = await runner.fetch_ended()
        await run_live(run, (call for call in plan() if call.key not in under_way))
        if under_way:
            run.stop(f"{len(under_way):,} calls are in batches; --batch fetches their answers")


@dataclass
class _Batch:
    """A batch as recorded in the log; it has no id if it was perhaps not sent."""

    name: str
    keys: list[str]
    id: str | None = None
    closed: bool = False


class _Stopped(Exception):
    """The run is to end, and something that it waits for has not come."""


class _BatchRunner:
    """Sends what the journal does not hold yet, in batches, and writes each answer to it.

    The budget covers each batch before it is sent. A call that the API finds invalid is listed as
    failed; one that expired or met an error of the API is sent again, `ROUNDS` times in total.
    """

    def __init__(self, run: CallRun, plan: Callable[[], Iterable[Call]]) -> None:
        self.run, self.plan = run, plan
        self.summary, self.journal = run.summary, run.journal
        self.log = self.journal.path.with_name(f"{self.journal.path.stem}.batches.jsonl")
        self.api = run.client.messages.batches.with_streaming_response
        self.poll = run.options.poll_seconds
        self.calls: dict[str, Call] = {}
        self.failed: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self.left: dict[str, str] = {}  # batches that this run leaves as they are, and why

    async def make(self) -> None:
        """Make the calls; a batch's results come in any order, so all calls must be in memory."""
        run = self.run
        self.calls = {call.key: call for call in self.plan()}
        present = sum(key in self.journal for key in self.calls)
        self.summary.skipped += present
        run.bar.update(present)
        try:
            while not run.stopping:
                if lost := [batch for batch in self._active() if batch.id is None]:
                    await self._find(lost)
                    continue
                refusal = await self._send_due()
                active = self._active()
                if not active and refusal:
                    run.stop(refusal)
                elif not active:
                    break
                elif all(batch.id for batch in active):
                    for batch, description in await self._until_one_ends(active):
                        await self._collect(batch, description)
        finally:
            for key in self.calls:
                if self.sent[key] == ROUNDS and key not in self.journal:
                    self.failed.setdefault(key, f"no answer after {ROUNDS} batches")
            self.summary.failed += [f"{key}: {reason}" for key, reason in self.failed.items()]
            self.summary.failed += self.left.values()

    async def fetch_ended(self) -> set[str]:
        """Write the answers of batches that have ended; returns the calls of those that have not."""
        active = self._active()
        wanted = {key for batch in active for key in batch.keys}
        if not wanted:
            return wanted
        self.calls = {call.key: call for call in self.plan() if call.key in wanted}
        for batch in active:
            description = await self._describe(batch.id) if batch.id else {}
            if description is None or description.get("processing_status") == "ended":
                await self._collect(batch, description)
        self.summary.failed += self.left.values()
        return set(self.calls) & {key for batch in self._open() for key in batch.keys}

    def _active(self) -> list[_Batch]:
        return [batch for batch in self._open() if batch.name not in self.left]

    def _open(self) -> list[_Batch]:
        return [batch for batch in self._read_log() if not batch.closed]

    def _read_log(self) -> list[_Batch]:
        if not self.log.exists():
            return []
        with Journal(self.log):  # sets a torn line aside
            return _batches(read_records(self.log))

    def _note(self, what: str, **content: Any) -> None:
        moment = datetime.now(UTC).isoformat()
        with Journal(self.log) as log:
            log.append(stable_key([what, moment, content]), {"what": what, "at": moment, **content})

    async def _send_due(self) -> str | None:
        """Send what is due, as far as the budget covers it; returns why it does not cover the rest."""
        waiting = {key for batch in self._open() for key in batch.keys}
        due = [
            call
            for key, call in self.calls.items()
            if not (key in self.journal or key in waiting or key in self.failed)
            and self.sent[key] < ROUNDS
        ]
        for chunk in chunks(due, self.run.options.batch_size):
            refusal = await self._send(chunk)
            if refusal or self.run.stopping:
                return refusal
        return None

    async def _send(self, chunk: Sequence[Call]) -> str | None:
        """Send a batch of as many of the calls as the budget covers; returns why not of all."""
        refusal, ledger = None, self.run.ledger
        batch = _Batch(
            stable_key([[call.key for call in chunk], time.time_ns()]), [c.key for c in chunk]
        )
        if ledger:
            charges = [await self.run.most(call) for call in chunk]
            if refusal := ledger.budget.refusal(charges[0]):
                return refusal
            self._note(
                "sending", name=batch.name, keys=batch.keys
            )  # so that no reservation is forgotten
            covered = ledger.reserve(zip(batch.keys, charges, strict=True))
            if covered < len(chunk):
                refusal = ledger.budget.refusal(charges[covered])
            batch.keys, chunk = batch.keys[:covered], chunk[:covered]
        self._note("sending", name=batch.name, keys=batch.keys)
        self.sent.update(batch.keys)
        requests: Any = [{"custom_id": call.key, "params": call.body} for call in chunk]
        while chunk and not self.run.stopping:
            response = await receive(self.api.create(requests=requests), PAGE_BYTES)
            if isinstance(response, Response):
                content = decode(response.body)
                if response.status == 200:
                    if isinstance(content, dict) and isinstance(content.get("id"), str):
                        self._note("sent", name=batch.name, batch=content["id"])
                    return refusal  # or perhaps it was sent: the API's list will show it
                failure = read_answer(response.status, response.headers, content)
                assert isinstance(failure, Failure)
                unclear = failure.again and not failure.pushed_back
            else:
                failure, unclear = response, response.usage is None
            if unclear:
                return refusal
            if not failure.pushed_back:
                self._not_sent(batch)
                raise_if_fatal(failure, self.run)
                raise InputError(
                    f"{self.run.client.base_url}: the batch was not accepted ({failure.reason})"
                )
            await self.run.pause(max(self.poll, failure.wait or 0), failure.reason)
        self._not_sent(batch)
        return refusal

    def _not_sent(self, batch: _Batch, *, billed: bool = False) -> None:
        self._note("not sent", name=batch.name)
        self._settle(dict.fromkeys(batch.keys, None if billed else {}))

    def _settle(self, usages: Mapping[str, dict[str, int] | None]) -> None:
        """Settle calls without an answer: their tokens; None for the most that they can have cost."""
        self.summary.at_worst_case += sum(usage is None for usage in usages.values())
        if self.run.ledger:
            self.run.ledger.settle(usages.items(), batch=True)

    @contextlib.asynccontextmanager
    async def _unlocked(self) -> AsyncIterator[None]:
        """Leave the journal to others within the block, and then take it again, whoever has it."""
        self.journal.__exit__(None, None, None)
        yield
        while True:
            try:
                self.journal.__enter__()
                return
            except InputError as error:
                await self._wait(self.poll, str(error))

    async def _wait(self, seconds: float, reason: str) -> None:
        await self.run.pause(seconds, reason)
        if self.run.stopping:
            raise _Stopped

    async def _request(
        self, opening: Callable[[], AbstractAsyncContextManager[Any]], field: str
    ) -> dict[str, Any] | None:
        """An object of the API that has a field, however long the API is out; None if it is gone."""
        started, pause = time.monotonic(), self.poll
        while True:
            response = await receive(opening(), PAGE_BYTES)
            reason = "the API's answer cannot be read"
            if isinstance(response, Failure):
                reason = response.reason
            elif response.status in (404, 410):
                return None
            elif response.status >= 400:
                failure = read_answer(response.status, response.headers, response.body)
                assert isinstance(failure, Failure)
                raise_if_fatal(failure, self.run)
                reason = failure.reason
            else:
                content = decode(response.body)
                if isinstance(content, dict) and isinstance(content.get(field), str | list):
                    return content
            if time.monotonic() - started > OUTAGE_SECONDS:
                self.run.stop(f"the API has been out for a day ({reason}); the same command resumes")
            await self._wait(pause, reason)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _describe(self, batch_id: str) -> dict[str, Any] | None:
        """What the API says of a batch; None if it or its results are gone."""
        description = await self._request(partial(self.api.retrieve, batch_id), "processing_status")
        if description is None or description["processing_status"] != "ended":
            return description
        return description if description.get("results_url") else None

    async def _until_one_ends(
        self, batches: Sequence[_Batch]
    ) -> list[tuple[_Batch, dict[str, Any] | None]]:
        """Wait for batches; returns those that have ended or are gone, with the API's description."""
        async with self._unlocked():
            while True:
                described = [(batch, await self._describe(batch.id or "")) for batch in batches]
                ended = [
                    (batch, description)
                    for batch, description in described
                    if description is None or description["processing_status"] == "ended"
                ]
                if ended:
                    break
                await self._wait(self.poll, f"{len(batches)} batches are under way")
        return ended

    async def _find(self, lost: Sequence[_Batch]) -> None:
        """Find in the API's list the batches whose ids nobody wrote down, by what they hold."""
        known = {batch.id for batch in self._read_log()}
        ids: dict[str, str] = {}
        unclear = False
        async with self._unlocked():
            await self._wait(self.poll, "looking for a batch")  # it may be listed a moment late
            async for listed in self._listed():
                counts = listed.get("request_counts")
                numbers = map(whole_number, counts.values()) if isinstance(counts, dict) else ()
                size = sum(number or 0 for number in numbers)
                candidates = [
                    batch for batch in lost if batch.name not in ids and size in (0, len(batch.keys))
                ]
                if listed["id"] in known or not candidates:
                    continue
                first = await self._first_call(listed["id"])
                unclear |= first is None
                ids |= {batch.name: listed["id"] for batch in candidates if first in batch.keys}
        for batch in lost:
            if batch.name in ids:
                self._note("sent", name=batch.name, batch=ids[batch.name])
            elif unclear and not self.run.options.resend:
                self.left[batch.name] = (
                    f"a batch of {len(batch.keys):,} calls was perhaps sent, and the results that would "
                    "show it are gone; --resend sends it again and may pay for it twice"
                )
            else:
                self._not_sent(batch, billed=unclear)

    async def _listed(self) -> AsyncIterator[dict[str, Any]]:
        """All batches that the API lists, the latest first."""
        seen: dict[str, None] = {}
        while True:
            after: dict[str, Any] = {"after_id": next(reversed(seen))} if seen else {}
            page = await self._request(partial(self.api.list, limit=100, **after), "data")
            new = {
                batch["id"]: batch
                for batch in (page["data"] if page else ())
                if isinstance(batch, dict) and isinstance(batch.get("id"), str)
            }
            for name in [name for name in new if name not in seen]:
                yield new[name]
            if not (page and page.get("has_more")) or new.keys() <= seen.keys():
                return
            seen |= dict.fromkeys(new)

    async def _first_call(self, batch_id: str) -> str | None:
        """A call that a batch holds, which only its results show; None if they are gone."""
        while description := await self._describe(batch_id):
            if description["processing_status"] == "ended":
                rows: list[dict[str, Any]] = []
                for _ in range(FETCHES):
                    await self._results(batch_id, 1, rows.append)
                    if rows:
                        return rows[0]["custom_id"]
                return None
            await self._wait(self.poll, "a batch that may be ours is under way")
        return None

    async def _results(
        self, batch_id: str, size: int, take: Callable[[dict[str, Any]], None]
    ) -> Response | Failure | None:
        """Fetch a batch's results, and hand over each that can be read; returns what went wrong."""
        most = max((call.params["max_tokens"] for call in self.calls.values()), default=0)

        def take_line(line: bytes) -> None:
            row = decode(line)
            if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
                take(row | {"result": row["result"] if isinstance(row.get("result"), dict) else {}})

        limit, seconds = ANSWER_BYTES + TOKEN_BYTES * most, CALL_SECONDS + size
        return await receive_lines(self.api.results(batch_id), limit, seconds, take_line)

    async def _collect(self, batch: _Batch, description: dict[str, Any] | None) -> None:
        """Write a batch's answers to the journal."""
        if not any(active.name == batch.name for active in self._active()):
            return  # another process has collected it meanwhile
        wanted = set(batch.keys)
        answered: set[str] = set()
        billed: dict[str, dict[str, int] | None] = {}  # tokens of calls that brought no answer
        unusable: set[str] = set()

        def take(row: dict[str, Any]) -> None:
            key, result = row["custom_id"], row["result"]
            if key not in wanted or key in answered:
                return
            unusable.discard(key)
            answer = read_answer(200, {}, result.get("message"))
            if key in self.journal:
                answered.add(key)
            elif result.get("type") in ("errored", "expired", "canceled"):
                billed[key] = {}
                error = result.get("error")
                words = error_message(error)
                kind = error["error"].get("type") if words else None
                if kind in ("invalid_request_error", "request_too_large") and key in self.calls:
                    self.failed[key] = words
            elif isinstance(answer, Answer) and key in self.calls:
                answered.add(key)
                self.run.save(self.calls[key], answer, batch=batch.id)
                self.run.bar.update()
            else:  # unusable, or of another version of the study
                billed[key] = answer.usage
                if isinstance(answer, Failure):
                    unusable.add(key)

        problem = None
        for fetch in range(FETCHES if description else 0):
            problem = await self._results(batch.id or "", len(wanted), take)
            missing = wanted - answered - set(billed)
            if not (missing or unusable):
                break
            await self._wait(self.poll * 2**fetch, "the results of a batch are not whole")
        self._settle({key: usage for key, usage in billed.items() if key not in answered})
        missing = wanted - answered - set(billed)
        if missing and not self.run.options.resend:
            reason = getattr(problem, "reason", None) or "the API keeps them for 29 days"
            self.left[batch.name] = (
                f"batch {batch.id}: {len(missing):,} of {len(wanted):,} results are gone "
                f"({reason}); --resend asks for them again and pays for them twice"
            )
            return
        self._settle(dict.fromkeys(missing))
        self.journal.sync()
        self._note("collected", batch=batch.id)


def chunks(calls: Iterable[Call], most: int) -> Iterator[list[Call]]:
    """The calls in chunks of at most `most` calls, and of no more bytes than the API accepts."""
    chunk: list[Call] = []
    total = 0
    for call in calls:
        size = len(json.dumps(call.body))
        if chunk and (len(chunk) == most or total + size > MAX_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(call)
        total += size
    if chunk:
        yield chunk


def _batches(rows: Iterable[dict[str, Any]]) -> list[_Batch]:
    """The batches that a log tells of."""
    batches: dict[str, _Batch] = {}
    for row in rows:
        if row["what"] == "sending":
            batches[row["name"]] = _Batch(row["name"], row["keys"])
        elif row["what"] == "sent":
            batches[row["name"]].id = row["batch"]
        elif row["what"] == "not sent":
            del batches[row["name"]]
        elif row["what"] == "collected":
            for batch in batches.values():
                batch.closed |= batch.id == row["batch"]
    return list(batches.values())
