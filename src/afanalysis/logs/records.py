"""The file of records: several processes append to it at once, and each record is written once.

A record's key, sample and origin are known only when all logs have been read, so each line begins with
room for them, which is filled in at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from afanalysis.errors import InputError

_AT_ONCE = 4 << 20


def head(study: str, key: str = "", sample: int = 0, origin: str = "", row: int = 0) -> bytes:
    """The beginning of a line, of the same width for all rollouts of a study."""
    known = f'{{"key":"{key:32}","study":"{study}","sample":{sample:>9},'
    return f'{known}"origin":"{origin[:8]:8}:{row:09}",'.encode()


class Appender:
    """Appends records to a file that other processes append to as well.

    Parameters
    ----------
    path
        The file.
    room
        How many bytes to leave at the beginning of each line.
    """

    def __init__(self, path: Path, room: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = b" " * room
        self._waiting: list[bytes] = []
        self._size = 0
        self.starts: list[int] = []

    def append(self, line: bytes) -> None:
        """Take in a record; `starts` tells in the end where it is."""
        self._waiting += (self._room, line)
        self._size += len(self._room) + len(line)
        if self._size > _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in so far."""
        content = b"".join(self._waiting)
        if self._file.write(content) != len(content):
            raise OSError(28, "No space left on device")
        at = self._file.tell() - len(content)
        for line in self._waiting[1::2]:
            self.starts.append(at)
            at += len(self._room) + len(line)
        self._waiting, self._size = [], 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def fill(path: Path, heads: Iterable[bytes], starts: Sequence[int]) -> None:
    """Write the heads of lines into the room left for them."""
    with path.open("r+b", buffering=0) as file:
        for start, content in sorted(zip(starts, heads, strict=True)):  # in order is much faster
            file.seek(start)
            file.write(content)


def keep_only(path: Path, starts: Sequence[int], lengths: Sequence[int]) -> list[int]:
    """Keep only some lines of a file; where they begin now.

    Raises
    ------
    InputError
        The file does not hold whole lines at these places.
    """
    if sum(lengths) == path.stat().st_size:
        return list(starts)
    order = sorted(range(len(starts)), key=starts.__getitem__)
    moved = [0] * len(starts)
    kept = path.with_name(f"{path.name}.kept")
    at = 0
    with path.open("rb") as source, kept.open("wb", buffering=_AT_ONCE) as target:
        for number in order:
            source.seek(starts[number])
            line = source.read(lengths[number])
            if not line.endswith(b"\n"):
                raise InputError(f"{path}: was written to by another process; import again")
            target.write(line)
            moved[number] = at
            at += len(line)
    kept.replace(path)
    return moved
