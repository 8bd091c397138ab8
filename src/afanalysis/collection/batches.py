"""Make calls through Message Batches: half the price, hours instead of minutes, each call exactly once.

What happens to a batch is written to `NAME.batches.jsonl` before and after each step: the calls about to
be sent, then the batch's id as soon as the API has given it, then that its results are in. A run that is
stopped between the first two finds its batch again in the API's own list. Any machine that has the
study's folder and a key of the same workspace can resume.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from afanalysis.collection.calls import Answer, Call, CallRun
from afanalysis.collection.live import raise_if_fatal, run_live
from afanalysis.errors import InputError
from afanalysis.study.hashing import stable_key
from afanalysis.study.journal import Journal, read_records

# The API accepts 256 MB per batch.
MAX_BYTES = 200_000_000
ROUNDS = 3


async def run_calls(run: CallRun, calls: Iterable[Call], total: int, description: str) -> None:
    """Make calls as the run's options say: live, or through Message Batches."""
    if run.options.batch:
        await _BatchRunner(run).make(list(calls))
    else:
        await run_live(run, calls, total, description)


@dataclass
class _Batch:
    """A batch as recorded in the log."""

    name: str
    keys: list[str]
    sent_at: datetime
    id: str | None = None
    collected: bool = False

    @property
    def open(self) -> bool:
        return self.id is not None and not self.collected


class _BatchRunner:
    """Sends what the journal does not hold yet, in batches, and writes each answer to it.

    The budget is checked before each batch is sent. A call that the API finds invalid is listed as
    failed; one that expired or met an error of the API is sent again, `ROUNDS` times in total.
    """

    def __init__(self, run: CallRun) -> None:
        self.run, self.summary, self.journal = run, run.summary, run.journal
        self.api = run.client.messages.batches
        self.invalid: set[str] = set()

    async def make(self, calls: list[Call]) -> None:
        """Make the calls; a batch's results come in any order, so all calls must be in memory."""
        summary = self.summary
        summary.skipped += sum(call.key in self.journal for call in calls)
        by_key = {call.key: call for call in calls}
        path = self.journal.path
        with Journal(path.with_name(f"{path.stem}.batches.jsonl")) as self._log:
            batches = _read_log(self._log.path)
            await self._find_lost(batches)
            for _ in range(ROUNDS):
                waiting = {key for batch in batches if batch.open for key in batch.keys}
                due = (call for call in calls if self._is_due(call, waiting))
                for chunk in chunks(due, self.run.options.batch_size):
                    summary.stopped = self.run.exhausted()
                    if summary.stopped:
                        break
                    batches.append(await self._send(chunk))
                still_open = [batch for batch in batches if batch.open]
                for batch in still_open:
                    await self._collect(batch, by_key)
                if summary.stopped or not still_open:
                    break
        if not summary.stopped:
            summary.failed += [
                f"{call.key}: no answer after {ROUNDS} batches"
                for call in calls
                if self._is_due(call, set())
            ]

    def _is_due(self, call: Call, waiting: set[str]) -> bool:
        key = call.key
        return not (key in self.journal or key in waiting or key in self.invalid)

    def _note(self, what: str, **content: Any) -> None:
        moment = datetime.now(UTC).isoformat()
        self._log.append(stable_key([what, moment, content]), {"what": what, "at": moment, **content})
        self._log.sync()

    async def _send(self, chunk: list[Call]) -> _Batch:
        keys = [call.key for call in chunk]
        name = stable_key([keys, time.time_ns()])
        self._note("sending", name=name, keys=keys)
        requests: Any = [{"custom_id": call.key, "params": _body(call)} for call in chunk]
        try:
            batch = await self.api.create(requests=requests)
        except Exception as error:
            raise_if_fatal(error, self.run.client, first=True)
            raise InputError(
                f"{self.run.client.base_url}: the batch was not accepted ({error})"
            ) from error
        self._note("sent", name=name, batch=batch.id)
        return _Batch(name, keys, datetime.now(UTC), batch.id)

    async def _find_lost(self, batches: list[_Batch]) -> None:
        """Find in the API's list the batches whose ids a stopped run had no time to write down."""
        lost = [batch for batch in batches if batch.id is None]
        if not lost:
            return
        known = {batch.id for batch in batches}
        since = min(batch.sent_at for batch in lost) - timedelta(minutes=5)
        async for listed in self.api.list(limit=100):
            if listed.created_at < since:
                break
            if listed.id in known:
                continue
            size = sum(listed.request_counts.model_dump().values())
            for batch in (batch for batch in lost if batch.id is None and len(batch.keys) == size):
                # only its results show which calls a batch holds
                if await self._first_result(listed.id) in batch.keys:
                    batch.id = listed.id
                    self._note("sent", name=batch.name, batch=listed.id)
                    break
        for batch in lost:
            if batch.id is None:
                self._note("not sent", name=batch.name)
                batches.remove(batch)

    async def _first_result(self, batch_id: str) -> str | None:
        """The key of the call whose result comes first."""
        await self._until_ended(batch_id)
        async for result in await self.api.results(batch_id):
            return result.custom_id
        return None

    async def _until_ended(self, batch_id: str) -> None:
        while (await self.api.retrieve(batch_id)).processing_status != "ended":
            await asyncio.sleep(self.run.options.poll_seconds)

    async def _collect(self, batch: _Batch, by_key: dict[str, Call]) -> None:
        """Write a batch's answers to the journal."""
        assert batch.id is not None
        await self._until_ended(batch.id)
        async for row in await self.api.results(batch.id):
            call = by_key.get(row.custom_id)
            if call is None or call.key in self.journal:
                continue  # of another version of the study, or written before an interruption
            if row.result.type == "succeeded":
                answer = Answer.from_message(row.result.message, attempts=1, latency_s=0.0)
                self.run.save(call, answer, batch=batch.id)
            elif row.result.type == "errored":
                error = row.result.error.error
                if error.type == "invalid_request_error":
                    self.invalid.add(call.key)
                    self.summary.failed.append(f"{call.key}: {error.message}")
        self.journal.sync()
        self._note("collected", batch=batch.id)
        batch.collected = True


def chunks(calls: Iterable[Call], most: int) -> Iterator[list[Call]]:
    """The calls in chunks of at most `most` calls, and of no more bytes than the API accepts."""
    chunk: list[Call] = []
    total = 0
    for call in calls:
        size = len(json.dumps(_body(call)))
        if chunk and (len(chunk) == most or total + size > MAX_BYTES):
            yield chunk
            chunk, total = [], 0
        chunk.append(call)
        total += size
    if chunk:
        yield chunk


def _body(call: Call) -> dict[str, Any]:
    """A call's parameters as the API expects them."""
    params = dict(call.params)
    return params | params.pop("extra_body", {})


def _read_log(path: Path) -> list[_Batch]:
    batches: dict[str, _Batch] = {}
    for row in read_records(path):
        if row["what"] == "sending":
            sent_at = datetime.fromisoformat(row["at"])
            batches[row["name"]] = _Batch(row["name"], row["keys"], sent_at)
        elif row["what"] == "sent":
            batches[row["name"]].id = row["batch"]
        elif row["what"] == "not sent":
            del batches[row["name"]]
        elif row["what"] == "collected":
            for batch in batches.values():
                batch.collected |= batch.id == row["batch"]
    return list(batches.values())
