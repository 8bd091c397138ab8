"""Make calls through Message Batches: half the price, hours instead of minutes, each call exactly once.

What happens to a batch is written to `NAME.batches.jsonl` before and after each step: the calls about to
be sent, then the batch's id as soon as the API has given it, then that its results are in. A run that is
stopped between the first two finds its batch again in the API's own list, by what it holds. Any machine
that has the study's folder and a key of the same workspace can resume.

The journal is held while something is sent or written, and free while batches are under way.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from afanalysis.collection import responses
from afanalysis.collection.calls import Call, CallRun, graceful_end
from afanalysis.collection.live import raise_if_fatal, run_live
from afanalysis.collection.responses import CALL_SECONDS, Failure, decode, longest, read_answer, receive
from afanalysis.errors import InputError
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.ledger import Usage, whole_number
from afanalysis.text import progress

# The API accepts 256 MB per batch.
MAX_BYTES = 200_000_000

# How often a call is sent, and how often results that are not whole are fetched.
ROUNDS = 3
FETCHES = 4

# The errors of a call that would fail again.
_INVALID = ("invalid_request_error", "request_too_large")

# The longest pause, in seconds, while the API does not answer, and when to give up.
LONGEST_PAUSE = 300.0
OUTAGE_SECONDS = 24 * 3600.0


async def run_calls(
    run: CallRun, plan: Callable[[], Iterable[Call]], total: int, description: str
) -> None:
    """Make calls as the run's options say: live, or through Message Batches.

    Only the API itself takes batches here; calls to a study's own endpoints are made live.

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
    with bar as run.bar, graceful_end(run), contextlib.suppress(_Stopped):
        runner = _BatchRunner(run)
        batched = set() if run.options.batch else keys_under_way(run.journal.path)
        waiting: set[str] = set()

        def live_calls() -> Iterator[Call]:
            for call in plan():
                if call.key in batched:
                    waiting.add(call.key)
                elif not run.in_batch(call):
                    yield call

        if not run.options.batch or len(run.servers) > 1:
            await run_live(run, live_calls)
        if run.options.batch:
            await runner.make({call.key: call for call in plan() if run.in_batch(call)})
        elif waiting:
            run.stop(f"{len(waiting):,} calls are in batches; --batch fetches their answers")
    if run.ledger:
        run.ledger.flush()


@dataclass
class _Batch:
    """A batch as recorded in the log; it has no id if it was perhaps not sent."""

    name: str
    keys: list[str]
    id: str = ""


def log_of(journal: Path) -> Path:
    """The log of the batches whose answers go to a journal."""
    return journal.with_name(f"{journal.stem}.batches.jsonl")


def keys_under_way(journal: Path, *, lock: bool = True) -> set[str]:
    """The calls of batches that have not been collected; without a lock nothing is written."""
    return {key for batch in _under_way(log_of(journal), lock) for key in batch.keys}


def _under_way(log: Path, lock: bool = True) -> list[_Batch]:
    """The batches with answers that have not been collected.

    Answers to calls that the run did not want, because the study has changed or another judge was asked,
    stay where they are: the study may want them again.
    """
    batches: dict[str, _Batch] = {}
    if log.exists():
        with Journal(log) if lock else contextlib.nullcontext():  # sets a torn line aside
            for row in read_records(log):
                if row["what"] == "sending":
                    batches[row["name"]] = _Batch(row["name"], row["keys"])
                elif row["what"] == "sent":
                    batches[row["name"]].id = row["batch"]
                elif row["what"] == "not sent":
                    del batches[row["name"]]
                elif row["what"] == "collected":
                    for batch in batches.values():
                        if batch.id == row["batch"]:
                            batch.keys = row.get("not_wanted", [])
    return [batch for batch in batches.values() if batch.keys]


class _Stopped(Exception):
    """The run is to end, and something that it waits for has not come."""


class _BatchRunner:
    """Sends what the journal does not hold yet, in batches, and writes each answer to it.

    The budget covers each batch before it is sent. A call that the API finds invalid is listed as
    failed; one that expired or met an error of the API is sent again, `ROUNDS` times in total.
    """

    def __init__(self, run: CallRun) -> None:
        self.run, self.journal, self.poll = run, run.journal, run.options.poll_seconds
        self.log = log_of(self.journal.path)
        self.server = run.server("")
        self.api = self.server.client.messages.batches.with_streaming_response
        self.calls: dict[str, Call] = {}
        self.failed: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self.left: dict[str, str] = {}  # batches that this run leaves as they are, and why

    async def make(self, calls: dict[str, Call]) -> None:
        """Make the calls; a batch's results come in any order, so all calls must be in memory."""
        run, self.calls = self.run, calls
        run.summary.skipped += sum(key in self.journal for key in calls)
        try:
            while not run.stopping:
                refusal = await self._send_due()
                ours = [each for each in _under_way(self.log) if not calls.keys().isdisjoint(each.keys)]
                batches = [batch for batch in ours if batch.name not in self.left]
                if not batches and refusal:
                    run.stop(refusal)
                elif not batches:
                    break
                elif lost := [batch for batch in batches if not batch.id]:
                    await self._find(lost)
                else:
                    await self._collect_one(batches)
        finally:
            for key in calls:
                if self.sent[key] == ROUNDS and key not in self.journal:
                    self.failed.setdefault(key, f"no answer after {ROUNDS} batches")
            run.summary.failed += [f"{key}: {reason}" for key, reason in self.failed.items()]
            run.summary.failed += self.left.values()

    def _note(self, what: str, **content: Any) -> None:
        if self.run.ledger:
            self.run.ledger.flush()
        moment = datetime.now(UTC).isoformat()
        with Journal(self.log) as log:
            log.append(stable_key([what, moment, content]), {"what": what, "at": moment, **content})

    async def _send_due(self) -> str | None:
        """Send what is due, as far as the budget covers it; returns why it does not cover the rest."""
        settled = keys_under_way(self.journal.path) | self.failed.keys()
        due = (
            call
            for key, call in self.calls.items()
            if key not in self.journal and key not in settled and self.sent[key] < ROUNDS
        )
        for chunk in chunks(due, self.run.options.batch_size):
            refusal = await self._send(chunk)
            if refusal or self.run.stopping:
                return refusal
        return None

    async def _send(self, chunk: Sequence[Call]) -> str | None:
        """Send a batch of as many of the calls as the budget covers; returns why not of all."""
        refusal, ledger = None, self.run.ledger
        keys = [call.key for call in chunk]
        batch = _Batch(stable_key([keys, time.time_ns()]), keys)
        if ledger:
            charges = [await self.run.most(call) for call in chunk]
            if refusal := ledger.budget.refusal(charges[0]):
                return refusal
            self._note("sending", name=batch.name, keys=keys)  # first: no reservation is forgotten
            covered = ledger.reserve(zip(keys, charges, strict=True))
            if covered < len(chunk):
                refusal = ledger.budget.refusal(charges[covered])
            batch.keys, chunk = keys[:covered], chunk[:covered]
        self._note("sending", name=batch.name, keys=batch.keys)
        self.sent.update(batch.keys)
        requests: Any = [{"custom_id": call.key, "params": call.body} for call in chunk]
        while chunk and not self.run.stopping:
            response = await receive(self.api.create(requests=requests))
            if not isinstance(response, Failure):
                if isinstance(name := decode(response[1]).get("id"), str):
                    self._note("sent", name=batch.name, batch=name)
                return refusal
            if response.pushed_back and response.usage == {}:
                await self.run.pause(max(self.poll, response.wait or 0), response.reason)
            elif response.usage is None or (response.again and response.status):
                return refusal  # perhaps it was sent: the API's list will show it
            else:
                self._not_sent(batch)
                raise_if_fatal(response, self.server)
                raise InputError(f"{self.server.address}: no batch was accepted ({response.reason})")
        self._not_sent(batch)
        return refusal

    def _not_sent(self, batch: _Batch, *, billed: bool = False) -> None:
        self.run.settle(dict.fromkeys(batch.keys, None if billed else {}), batch=True)
        self._note("not sent", name=batch.name)

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

    async def _request(self, ask: Callable[[], Any], field: str) -> dict[str, Any]:
        """An object of the API that has a field, however long the API is out; empty if it is gone."""
        started, pause = time.monotonic(), self.poll
        while True:
            response = await receive(ask())
            reason = "the API's answer cannot be read"
            if isinstance(response, Failure):
                if response.status in (404, 410):
                    return {}
                raise_if_fatal(response, self.server)
                reason = response.reason
            elif isinstance((content := decode(response[1])).get(field), str | list):
                return content
            if time.monotonic() - started > OUTAGE_SECONDS:
                self.run.stop(f"the API has been out for a day ({reason}); the same command resumes")
            await self._wait(pause, reason)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _has_ended(self, batch_id: str) -> bool | None:
        """Whether a batch has ended; None if its results are gone."""
        batch = await self._request(partial(self.api.retrieve, batch_id), "processing_status")
        if batch and batch["processing_status"] != "ended":
            return False
        return True if batch.get("results_url") else None

    async def _find(self, lost: Sequence[_Batch]) -> None:
        """Find in the API's list the batches whose ids nobody wrote down, by what they hold."""
        known = {row["batch"] for row in read_records(self.log) if "batch" in row}
        names = {batch.name for batch in lost}
        ids: dict[str, str] = {}
        unclear = False
        async with self._unlocked():
            await self._wait(self.poll, "looking for a batch")  # it may be listed a moment late
            async for batch_id, size in self._listed():
                left = [batch for batch in lost if batch.name not in ids]
                alike = [batch for batch in left if size in (0, len(batch.keys))]
                if alike and batch_id not in known:
                    first = await self._first_call(batch_id)
                    unclear |= first is None
                    ids |= {batch.name: batch_id for batch in alike if first in batch.keys}
        for batch in _under_way(self.log):
            if batch.id or batch.name not in names:
                continue  # another process has found it meanwhile
            if batch.name in ids:
                self._note("sent", name=batch.name, batch=ids[batch.name])
            elif unclear and not self.run.options.resend:
                perhaps = f"a batch of {len(batch.keys):,} calls was perhaps sent"
                reason = f"{perhaps}, and the results that would show it are gone"
                self.left[batch.name] = f"{reason}; --resend sends it again and may pay for it twice"
            else:
                self._not_sent(batch, billed=unclear)

    async def _listed(self) -> AsyncIterator[tuple[str, int]]:
        """All batches that the API lists, the latest first: the id and the number of calls."""
        after: dict[str, Any] = {}
        while True:
            page = await self._request(partial(self.api.list, limit=100, **after), "data")
            rows = [row for row in page.get("data", ()) if isinstance(row, dict) and "id" in row]
            for row in rows:
                counts = decode(row.get("request_counts")).values()
                yield str(row["id"]), sum(whole_number(count) or 0 for count in counts)
            if not (rows and page.get("has_more")) or after.get("after_id") == rows[-1]["id"]:
                return
            after = {"after_id": rows[-1]["id"]}

    async def _first_call(self, batch_id: str) -> str | None:
        """A call that a batch holds, which only its results show; None if they are gone."""
        while (ended := await self._has_ended(batch_id)) is False:
            await self._wait(self.poll, "a batch that may be ours is under way")
        first: list[str] = []
        for _ in range(FETCHES if ended else 0):
            await self._fetch(batch_id, 1, lambda key, _: first.append(key))
            if first:
                break
        return first[0] if first else None

    async def _fetch(self, batch_id: str, size: int, take: Callable[[str, dict[str, Any]], None]) -> int:
        """Fetch a batch's results, and hand over each that can be read; returns the number of lines."""
        lines = 0

        def take_line(line: bytes) -> None:
            nonlocal lines
            lines += bool(line)
            row = decode(line)
            if isinstance(row.get("custom_id"), str) and isinstance(row.get("result"), dict):
                take(row["custom_id"], row["result"])

        tokens = max((call.params["max_tokens"] for call in self.calls.values()), default=0)
        await receive(self.api.results(batch_id), longest(tokens), CALL_SECONDS + size, take_line)
        return lines

    async def _collect_one(self, batches: Sequence[_Batch]) -> None:
        """Wait until one of the batches has ended or is gone, and write its answers to the journal."""
        ended: bool | None = False
        async with self._unlocked():
            for batch in cycle(batches):
                if (ended := await self._has_ended(batch.id)) is not False:
                    break
                if batch is batches[-1]:
                    await self._wait(self.poll, f"{len(batches)} batches are under way")
        if batch.id in {batch.id for batch in _under_way(self.log)}:  # else collected by another process
            await self._collect(batch, fetches=FETCHES if ended else 0)

    async def _collect(self, batch: _Batch, fetches: int) -> None:
        missing = self.calls.keys() & batch.keys
        others = [key for key in batch.keys if key not in missing]
        if self.run.ledger:  # which does not know the batches that versions without one have sent
            calls = [self.calls[key] for key in batch.keys if key in missing and key not in self.journal]
            charges = [(call.key, await self.run.most(call)) for call in calls]
            self.run.ledger.reserve(charges, already_sent=True)
        usages: dict[str, Usage] = {}  # of calls whose answers are not kept
        unreadable: dict[str, Usage] = {}

        def take(key: str, result: dict[str, Any]) -> None:
            if key not in missing:
                return
            answer = read_answer(result.get("message"))
            if key in self.journal:  # written before an interruption
                pass
            elif result.get("type") in ("errored", "expired", "canceled"):
                usages[key] = {}
                error = decode(result.get("error"))
                if decode(error.get("error")).get("type") in _INVALID:
                    self.failed[key] = responses.error_message(error)
            elif isinstance(answer, Failure):
                unreadable[key] = answer.usage
                return
            else:
                self.run.save(self.calls[key], answer, batch=batch.id)
            missing.discard(key)

        lines = 0
        for fetch in range(fetches):
            lines = await self._fetch(batch.id, len(batch.keys), take)
            if not missing:
                break
            pause = min(self.poll * 2**fetch, LONGEST_PAUSE)
            await self._wait(pause, "the results of a batch are not whole")
        self.run.settle(usages, batch=True)
        gone = len(missing - set(unreadable)) if lines < len(batch.keys) else 0
        if gone and not self.run.options.resend:
            problem = f"batch {batch.id}: {gone:,} of {len(batch.keys):,} results are gone"
            remedy = "--resend asks for them again and pays for them twice"
            self.left[batch.name] = f"{problem} (the API keeps them for 29 days); {remedy}"
            return
        self.run.settle({key: unreadable.get(key) for key in missing}, batch=True)
        self.journal.sync()
        self._note("collected", batch=batch.id, **({"not_wanted": others} if others else {}))


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
