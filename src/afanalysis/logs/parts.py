"""Read logs part by part, on all processors, in little memory: texts go to disk, an index comes back."""

from __future__ import annotations

import gc
import json
import math
import multiprocessing
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Fields
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from afanalysis.errors import InputError
from afanalysis.logs.fields import Mapping
from afanalysis.logs.finding import Found
from afanalysis.logs.formats import FORMATS, Part
from afanalysis.logs.json_text import Unreadable
from afanalysis.logs.records import Appender
from afanalysis.logs.rows import Reader, Rejected, Rollout, Vote
from afanalysis.study.hashing import file_hash

# Smaller logs are read in this process: starting others would take longer.
_WORTH_PROCESSES = 32 << 20

_PART = 32 << 20

_EXAMPLES = 3


class Place(NamedTuple):
    """Where a rollout stands in its study; `request` is a hash of its text."""

    setting: str
    variation: str
    model: str
    tier: str
    prompt_id: str
    request: bytes
    source: str


@dataclass
class Index:
    """What has to be known of rollouts while their texts are on disk, a column each.

    Attributes
    ----------
    row
        Its row in the part.
    identity
        16 bytes a rollout.
    named
        Whether its log names it, so that an equal one is a copy.
    check
        A checksum of its record and votes.
    place, votes
        Numbers of `places` and `ballots`.
    sample
        Which sample the log says it is; -1 where it does not.
    score
        NaN where there is none.
    start, length
        Where its record is in the file of all.
    """

    places: dict[Place, int] = field(default_factory=dict)
    ballots: dict[tuple[Vote, ...], int] = field(default_factory=dict)
    identity: bytearray = field(default_factory=bytearray)
    row: array[int] = field(default_factory=lambda: array("q"))
    named: array[int] = field(default_factory=lambda: array("b"))
    valid: array[int] = field(default_factory=lambda: array("b"))
    check: array[int] = field(default_factory=lambda: array("L"))
    place: array[int] = field(default_factory=lambda: array("q"))
    votes: array[int] = field(default_factory=lambda: array("q"))
    sample: array[int] = field(default_factory=lambda: array("q"))
    score: array[float] = field(default_factory=lambda: array("d"))
    start: array[int] = field(default_factory=lambda: array("q"))
    length: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.row)

    def add(self, found: Rollout, row: int, line: bytes, room: int) -> None:
        """Take in one more, but for its start."""
        record = found.record
        place = Place(
            record["setting"],
            record["variation"],
            record["model"],
            record["tier"],
            record["prompt_id"],
            _hash_of(record["request"]),
            record["source"],
        )
        self.identity += found.identity
        self.row.append(row)
        self.named.append(found.named)
        self.valid.append(record["valid"])
        ballot = self.ballots.setdefault(found.votes, len(self.ballots))
        self.check.append(crc32(line, _check_of(found.votes)))
        self.place.append(self.places.setdefault(place, len(self.places)))
        self.votes.append(ballot)
        self.sample.append(-1 if found.sample is None else found.sample)
        self.score.append(math.nan if record["score"] is None else record["score"])
        self.length.append(room + len(line))


@lru_cache(maxsize=1 << 12)
def _check_of(votes: tuple[Vote, ...]) -> int:
    return crc32(repr(votes).encode())


@lru_cache(maxsize=1 << 16)
def _hash_of(request: str) -> bytes:
    return sha256(request.encode()).digest()[:8]


@dataclass
class Tally:
    """How often something happened, by what it was, with the first examples (file, row, text)."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)

    def add(self, reason: str, file: str, row: int, text: str) -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _EXAMPLES:
            shown.append((file, row, text))

    def ranked(self) -> list[tuple[str, int]]:
        """Reasons and counts, the most frequent first."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))

    def take(self, other: Tally, rows_before: int) -> None:
        """Add those of a later part of the same file."""
        for reason, count in other.counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + count
            shown = self.examples.setdefault(reason, [])
            more = [(file, row + rows_before, text) for file, row, text in other.examples[reason]]
            shown += more[: _EXAMPLES - len(shown)]


@dataclass
class Piece:
    """What was read of a part."""

    index: Index = field(default_factory=Index)
    rows: int = 0
    last: int = 0
    systems: dict[str, str] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)
    repaired: Tally = field(default_factory=Tally)
    set_aside: Tally = field(default_factory=Tally)
    noted: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Job:
    """A part to read, and all that reading it takes."""

    part: Part
    format: str
    mapping: Mapping
    asked: Fields[str, Any]
    records: Path
    room: int


def split(files: Sequence[tuple[Found, str]]) -> list[tuple[Part, str]]:
    """The parts in which files are read: large ones whose lines are rows in several."""
    parts = []
    for file, name in files:
        size = file.path.stat().st_size
        if size > 2 * _PART and FORMATS[name].by_lines(file):
            cuts = list(range(0, size, _PART))
            ends = [*cuts[1:], None]
            parts += [(Part(file, a, b), name) for a, b in zip(cuts, ends, strict=True)]
        else:
            parts.append((Part(file), name))
    return parts


def read(
    files: Sequence[tuple[Found, str]],
    mapping: Mapping,
    asked: Fields[str, Any],
    records: Path,
    room: int,
    progress: Callable[[int], Any],
) -> tuple[list[tuple[Found, Piece]], list[str]]:
    """Read files, with their formats' names, and put the records of their rollouts into one file.

    Parameters
    ----------
    files
        Files and the names of their formats.
    mapping, asked
        What the user says of them.
    records, room
        The file, and how many bytes to leave at the beginning of its lines.
    progress
        Called with the bytes of each part that was read.

    Returns
    -------
    tuple
        Of each part its file and what was read of it, in the order of the files; and the files' SHA-256.

    Raises
    ------
    InputError
        A file cannot be read, or is made to do harm.
    """
    jobs = [Job(part, name, mapping, asked, records, room) for part, name in split(files)]
    pieces: dict[int, Piece] = {}

    def here(at: int) -> None:
        pieces[at] = _read(jobs[at])
        progress(_size(jobs[at].part))

    whole = sum(file.path.stat().st_size for file, _ in files)
    helpers = min(os.cpu_count() or 1, len(jobs)) - 1
    if whole < _WORTH_PROCESSES or not helpers:
        for at in range(len(jobs)):
            here(at)
        hashes = [file_hash(file.path) for file, _ in files]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(helpers, context) as processes:
            hashing = [processes.submit(file_hash, file.path) for file, _ in files]
            waiting = [processes.submit(_read, job) for job in jobs]
            try:
                for at in reversed(range(len(jobs))):  # this process takes from the other end
                    if waiting[at].cancel():
                        here(at)
                for at, future in enumerate(waiting):
                    if at not in pieces:
                        pieces[at] = future.result()
                        progress(_size(jobs[at].part))
                hashes = [future.result() for future in hashing]
            finally:
                processes.shutdown(cancel_futures=True)
    return [(job.part.file, pieces[at]) for at, job in enumerate(jobs)], hashes


def _size(part: Part) -> int:
    end = part.file.path.stat().st_size if part.end is None else part.end
    return end - part.start


@contextmanager
def _without_collector() -> Iterator[None]:
    """The garbage collector off: rows hold no cycles, and it would search them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collector()
def _read(job: Job) -> Piece:
    """Read one part."""
    format, file = FORMATS[job.format], job.part.file
    reader = Reader(job.mapping, format.usual, format.file(file))
    piece = Piece()
    records = Appender(job.records, job.room)
    try:
        for number, row, forgiven in format.rows(job.part, job.asked):
            piece.rows, piece.last = piece.rows + 1, number
            if isinstance(row, Unreadable):
                piece.set_aside.add(f"a row that {row}", file.name, number, "")
                continue
            if isinstance(row, Rejected):
                piece.set_aside.add(str(row), file.name, number, row.detail)
                continue
            if forgiven:
                piece.repaired.add(forgiven, file.name, number, "")
            for found in reader.rollouts(row):
                if isinstance(found, Rejected):
                    piece.set_aside.add(str(found), file.name, number, found.detail)
                    continue
                for reason, text in found.repairs:
                    piece.repaired.add(reason, file.name, number, text)
                for reason, text in found.notes:
                    piece.noted.add(reason, file.name, number, text)
                line = _line(found.record)
                records.append(line)
                if found.system:
                    piece.systems[found.record["system"]] = found.system
                piece.index.add(found, number, line, job.room)
        records.flush()
        piece.index.start = array("q", records.starts)
    finally:
        records.close()
    for column, origin in reader.elsewhere.items():
        piece.columns.setdefault(column, set()).add(origin)
    for plan in reader.plans:
        for side, fields in (
            ("", plan.fields),
            *((f"{tier}.", one) for tier, one in plan.tiers.items()),
        ):
            for column, name in fields.items():
                piece.columns.setdefault(f"{side}{column}", set()).add(name)
        piece.unused |= set(plan.unused)
    return piece


def _line(record: dict[str, Any]) -> bytes:
    """A record without its opening brace, which comes with its key."""
    try:
        text = orjson.dumps(record, default=str)
    except TypeError:  # a number beyond 64 bits, or half a surrogate pair
        text = json.dumps(record, default=str).encode()
    return text[1:] + b"\n"


def refuse_unknown(name: str) -> None:
    """Raise `InputError` where there is no format of a name."""
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"there is no format {name!r}; use one of: {known}, or auto")
