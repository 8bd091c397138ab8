"""Append-only files that no interruption can spoil; journals, one JSON object per line; their SQL."""

import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from filelock import FileLock, Timeout

from afanalysis.errors import InputError
from afanalysis.study.files import cannot_write, json_object, may_hold_halves
from afanalysis.study.folders import JUDGEMENTS, LABELS, LEDGER, ROLLOUTS
from afanalysis.table.database import quote_path, regular_file

# How many seconds to wait for a file that another process holds: a process that was killed a moment ago
# may have a kernel that is still shutting down.
PATIENCE = 3.0

_KEY_START = len('{"key":"')
_KEY_DIGITS = 32


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[None]:
    """Hold a study's folder, so that its files can be replaced: nothing is appended to any of them.

    Raises
    ------
    InputError
        Another process holds one of them; the message names it.
    """
    with contextlib.ExitStack() as locks:
        for name in (ROLLOUTS, JUDGEMENTS, LABELS, LEDGER):
            file = LockedFile(folder / name)
            file.lock()
            locks.callback(file.release)
        yield


class LockedFile:
    """A file to which one process at a time appends, each time whole or not at all.

    Parameters
    ----------
    path
        The file; its folder is created if necessary.
    brief
        It is held for moments only: what is written reaches the disk when the system writes it.

    Raises
    ------
    InputError
        The file cannot be written, or another process holds it.
    """

    def __init__(self, path: Path, *, brief: bool = False) -> None:
        self.path, self.brief = path, brief
        self._lock_path = path.with_name(f".{path.name}.lock")
        self._lock = FileLock(self._lock_path, timeout=PATIENCE)
        self.release = self._lock.release  # let others append again
        self._file = -1
        self._written = False

    def __enter__(self) -> Self:
        self.lock()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            self.release()
            raise cannot_write(self.path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:  # else given back already
            if self._written and not self.brief:
                self.sync()
            os.close(self._file)
            self._file = -1
            self.release()

    def lock(self) -> None:
        """Let no other process append, whether the file exists or not."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(poll_interval=0.002)
        except Timeout as error:
            holder = self._lock_path.read_text(encoding="utf-8") or "unknown"
            problem = f"another process is writing to it ({holder})"
            raise InputError(f"{self.path}: {problem}; wait until it has ended, or stop it") from error
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if not self.brief:  # tell processes that wait who holds the file
            # never the whole command line: it can hold a password
            words = [Path(sys.argv[0]).name, *filter(str.isidentifier, sys.argv[1:2])]
            with contextlib.suppress(OSError):  # of a full disk, which must not hide what follows
                self._lock_path.write_text(f"process {os.getpid()}, {' '.join(words)}", encoding="utf-8")

    def write(self, content: bytes) -> None:
        """Append with a single `write` call.

        A full disk leaves the file as it was.
        """
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(28, "No space left on device")
            self._written = True
        except OSError as error:
            os.ftruncate(self._file, size)
            raise cannot_write(self.path, error) from error

    def sync(self) -> None:
        """Make what has been written survive a power cut."""
        os.fsync(self._file)
        self._written = False


class Journal(LockedFile):
    """The records already made, by key, and a way to add one.

    A record begins with its key, so a process killed at any time leaves whole lines and at most one torn
    last line. On opening, a torn line is moved to `NAME.torn`, and its call is made again. While a
    journal is open, no other process can open it. It can be left and entered again.

    Raises
    ------
    InputError
        As for `LockedFile`, or a line is not a record.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        self.keys: set[bytes] = set()
        try:
            self._read_keys()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _read_keys(self) -> None:
        with self.path.open("rb") as lines:
            size = 0
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    with self.path.with_name(self.path.name + ".torn").open("ab") as torn:
                        torn.write(line + b"\n")
                    os.truncate(self.path, size)
                    break
                size += len(line)
                try:
                    self.keys.add(bytes.fromhex(line[_KEY_START : _KEY_START + _KEY_DIGITS].decode()))
                except ValueError as error:
                    problem = "is not a record of this package, which begins with its key"
                    remedy = "move the file away to start afresh"
                    raise InputError(f"{self.path}: line {number} {problem}; {remedy}") from error

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self.keys

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Write one record."""
        line = json.dumps({"key": key, **record}, ensure_ascii=True, separators=(",", ":"))
        self.write(line.encode() + b"\n")
        self.keys.add(bytes.fromhex(key))


def read_records(path: Path, required: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The records of a journal, in file order; all have the required fields.

    Raises
    ------
    InputError
        The file is missing, its last line is torn, or a line is not a JSON object or lacks a field.
    """
    try:
        with regular_file(path).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield parse_line(path, number, line, required)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


Result = TypeVar("Result")
# No record is longer than this many bytes.
LONGEST_RECORD = 40 << 20
# The fields without which a line means nothing, and what sets a torn last line aside.
_REQUIRED = {ROLLOUTS: ("key", "sample", "valid"), JUDGEMENTS: ("rollout", "judge")}
_WRITERS = {ROLLOUTS: "collect", JUDGEMENTS: "judge"}


def journal_table(path: Path, columns: Mapping[str, str]) -> str:
    """The SQL that reads a journal; `columns` maps names to DuckDB types."""
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return (
        f"read_json({quote_path(path)}, format = 'newline_delimited', records = true, "
        f"columns = {{{kinds}}}, maximum_object_size = {LONGEST_RECORD})"
    )


def votes_table(path: Path) -> str:
    """The SQL that reads the journal of a study's votes."""
    return sql_text("votes", path=quote_path(path), longest=LONGEST_RECORD)


def sql_text(name: str, **parts: object) -> str:
    """The SQL of a file beside this one, with its parts filled in."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8").format(**parts)


def required_field(column: str) -> str:
    """The SQL of a field without which a record means nothing; `repair` names the line that lacks it."""
    return f"coalesce({column}, error('a line has no {column.split('.')[-1]}'))"


def query_journals(query: Callable[..., Result], *paths: Path) -> Result:
    """Run a query on journals, and again on repaired copies if DuckDB rejects one of their lines.

    Parameters
    ----------
    query
        Takes as many paths as there are in `paths`.
    paths
        The journals.

    Raises
    ------
    InputError
        A line is torn or not JSON; the message names it.
    """
    return next(stream_journals(lambda *journals: iter([query(*journals)]), *paths))


def stream_journals(query: Callable[..., Iterator[Result]], *paths: Path) -> Iterator[Result]:
    """The rows of a query on journals as they come; after a rejected line, from repaired copies."""
    import duckdb

    for path in paths:
        regular_file(path)
    number = 0
    try:
        for row in query(*paths):
            yield row
            number += 1
    except duckdb.IOException as error:
        raise InputError(f"{paths[0].parent}: cannot be read ({_first_line(error)})") from error
    except duckdb.Error:
        with tempfile.TemporaryDirectory(prefix="afanalysis-") as folder:
            repaired = [repair(path, Path(folder, path.name)) for path in paths]
            try:
                yield from itertools.islice(query(*repaired), number, None)
            except duckdb.Error as again:
                raise InputError(f"{paths[0]}: cannot be read ({_first_line(again)})") from again


def repair(path: Path, copy: Path) -> Path:
    """Copy a journal, replacing every lone surrogate, which no table can hold, by U+FFFD.

    Raises
    ------
    InputError
        A line is torn or not a JSON object.
    """
    with path.open("rb") as lines, copy.open("wb") as repaired:
        for number, line in enumerate(lines, start=1):
            record = parse_line(path, number, line, _REQUIRED.get(path.name, ()))
            repaired.write(json.dumps(record).encode() + b"\n" if may_hold_halves(line) else line)
    return copy


def parse_line(path: Path, number: int, line: bytes, required: Sequence[str] = ()) -> dict[str, Any]:
    """The record that a line of a journal holds, its text made valid."""
    if not line.endswith(b"\n"):
        writer = _WRITERS.get(path.name)
        remedy = f"{writer} again, which sets it aside, or remove it" if writer else "remove it"
        raise InputError(f"{path}: line {number} is torn (it has no line end); {remedy}")
    record = json_object(line, f"{path}: line {number}")
    for name in required:
        if record.get(name) is None:
            raise InputError(f"{path}: line {number} has no {name!r}; remove the line")
    return record


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
