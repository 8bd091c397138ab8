"""An append-only file of records, one JSON object a line, that no interruption can spoil."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.journal_sql import parse_line

# How long a journal that another process holds is waited for: a process that was killed a moment ago may
# have a kernel that is still ending.
PATIENCE = 3.0

_KEY_AT = len('{"key":"')

_KEY_DIGITS = 32


class Journal:
    """The records already made, by key, and a way to add one.

    A record is written with one `write` call and begins with its key, so a process killed at any
    instant leaves whole lines and at most one torn last line. On opening, a torn line is set aside in
    `NAME.torn`, to be made again. While a journal is open no other process can open it.

    Parameters
    ----------
    path
        The file; its folder is made if need be.

    Raises
    ------
    InputError
        The folder cannot be written, another process has the journal open, or a line is no record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: set[bytes] = set()
        self.torn = 0

    def __enter__(self) -> Journal:
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=PATIENCE)
            self._lock.acquire()
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except Timeout as error:
            raise InputError(
                f"{self.path}: another process is writing to it; wait until that one has ended, or "
                "stop it"
            ) from error
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); choose a folder that can"
            ) from error
        try:
            self._read_keys()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.fsync(self._file)
        self._release()

    def _release(self) -> None:
        os.close(self._file)
        self._lock.release()

    def _read_keys(self) -> None:
        with self.path.open("rb") as lines:
            whole = 0
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    self._set_aside(line, whole)
                    break
                whole += len(line)
                try:
                    self.keys.add(bytes.fromhex(line[_KEY_AT : _KEY_AT + _KEY_DIGITS].decode()))
                except ValueError as error:
                    raise InputError(
                        f"{self.path}: line {number} is not a record of this package (it must begin "
                        f"with its key); move the file away to start afresh"
                    ) from error

    def _set_aside(self, line: bytes, whole: int) -> None:
        self.torn += 1
        with self.path.with_name(self.path.name + ".torn").open("ab") as torn:
            torn.write(line + b"\n")
        os.ftruncate(self._file, whole)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self.keys

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Write one record.

        A disk that is full leaves the file as it was before, and everything already written in it.
        """
        line = json.dumps({"key": key, **record}, ensure_ascii=True, separators=(",", ":"))
        content = line.encode() + b"\n"
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, content)
            if written < len(content):
                raise OSError(28, "No space left on device")
        except OSError as error:
            os.ftruncate(self._file, before)
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); all earlier records are safe. "
                "Make room and start the same command again"
            ) from error
        self.keys.add(bytes.fromhex(key))

    def sync(self) -> None:
        """Make what has been written survive a power cut."""
        os.fsync(self._file)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a small JSON file; empty where there is none.

    Raises
    ------
    InputError
        It is not a JSON object.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); move it away") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; move it away")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file, whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


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
