"""Append-only files that no interruption can spoil, and the journal: one JSON object per line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from afanalysis.errors import InputError
from afanalysis.study.journal_sql import parse_line

# How many seconds to wait for a file that another process holds: a process that was killed a moment ago
# may have a kernel that is still shutting down.
PATIENCE = 3.0

_KEY_START = len('{"key":"')
_KEY_DIGITS = 32


class LockedFile:
    """A file to which one process at a time appends, each time whole or not at all.

    Parameters
    ----------
    path
        The file; its folder is created if necessary.

    Raises
    ------
    InputError
        The file cannot be written, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=PATIENCE)
            self._lock.acquire()
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except Timeout as error:
            raise InputError(
                f"{self.path}: another process is writing to it; wait until it has ended, or stop it"
            ) from error
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); choose a folder that can"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sync()
        self._release()

    def _release(self) -> None:
        os.close(self._file)
        self._lock.release()

    def write(self, content: bytes) -> None:
        """Append with a single `write` call.

        A full disk leaves the file as it was.
        """
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, content) < len(content):
                raise OSError(28, "No space left on device")
        except OSError as error:
            os.ftruncate(self._file, size)
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); everything written before is safe. "
                "Make room and try again"
            ) from error

    def sync(self) -> None:
        """Make what has been written survive a power cut."""
        os.fsync(self._file)


class Journal(LockedFile):
    """The records already made, by key, and a way to add one.

    A record begins with its key, so a process killed at any time leaves whole lines and at most one torn
    last line. On opening, a torn line is moved to `NAME.torn`, and its call is made again. While a
    journal is open, no other process can open it.

    Raises
    ------
    InputError
        As for `LockedFile`, or a line is not a record.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.keys: set[bytes] = set()
        self.torn = 0

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._read_keys()
        except BaseException:
            self._release()
            raise
        return self

    def _read_keys(self) -> None:
        with self.path.open("rb") as lines:
            size = 0
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    self._set_aside(line, size)
                    break
                size += len(line)
                try:
                    self.keys.add(bytes.fromhex(line[_KEY_START : _KEY_START + _KEY_DIGITS].decode()))
                except ValueError as error:
                    raise InputError(
                        f"{self.path}: line {number} is not a record of this package (it must begin "
                        f"with its key); move the file away to start afresh"
                    ) from error

    def _set_aside(self, line: bytes, size: int) -> None:
        self.torn += 1
        with self.path.with_name(self.path.name + ".torn").open("ab") as torn:
            torn.write(line + b"\n")
        os.ftruncate(self._file, size)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self.keys

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Write one record."""
        line = json.dumps({"key": key, **record}, ensure_ascii=True, separators=(",", ":"))
        self.write(line.encode() + b"\n")
        self.keys.add(bytes.fromhex(key))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a journal, in file order.

    Raises
    ------
    InputError
        The file is missing, its last line is torn, or a line is not a JSON object.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield parse_line(path, number, line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
