"""Read JSON that other tools wrote: fast where it is as it should be, forgiving where it is not."""

from __future__ import annotations

import codecs
import json
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import orjson

from afanalysis.errors import InputError
from afanalysis.logs.finding import LONGEST_RECORD

FORGIVEN = "not strict JSON (NaN, half a surrogate pair or a number beyond 64 bits)"

_WHOLE = 64 << 20

_WINDOW = 4 << 20

_BETWEEN = re.compile(r"[\s,]*")


class Unreadable(Exception):
    """A record that cannot be read; the message says why."""


class TooDeep(Exception):
    """A record nested deeper than any log is."""


def parse(content: bytes | memoryview) -> tuple[Any, str]:
    """What a piece of JSON holds, and what had to be forgiven in it.

    Raises
    ------
    Unreadable
        It is no JSON.
    TooDeep
        It is nested more than about a thousand levels deep.
    """
    try:
        return orjson.loads(content), ""
    except orjson.JSONDecodeError as error:
        if "recursion" in str(error).lower():
            raise TooDeep from error
    content = bytes(content)
    if b"\0" in content:
        raise Unreadable("holds NUL bytes")
    try:
        found = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 (byte 0x{content[error.start]:02x})") from error
    except RecursionError as error:
        raise TooDeep from error
    except ValueError as error:
        raise Unreadable(f"is not JSON ({_short(error)})") from error
    return _without_halves(found), FORGIVEN


def _short(error: ValueError) -> str:
    return str(error).partition(": line")[0].partition(" (char")[0]


def _without_halves(found: Any) -> Any:
    """The same with lone surrogates replaced: they are no characters and cannot be written."""
    if isinstance(found, str):
        return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(found, list):
        return [_without_halves(one) for one in found]
    if isinstance(found, dict):
        return {_without_halves(name): _without_halves(value) for name, value in found.items()}
    return found


def lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, memoryview, bool]]:
    """The lines of a file that begin in a range of its bytes, seen in place and not copied.

    Yields
    ------
    tuple
        The line's number in the range, its content without the newline, and whether there was one.

    Raises
    ------
    InputError
        A line is longer than any rollout.
    """
    number = 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        end = size if end is None else end
        file.seek(max(start - 1, 0))
        if start:
            before = file.readline(LONGEST_RECORD + 1)  # ends the line that begins in another range
            at = start - 1 + len(before)
            if not before.endswith(b"\n"):
                at = size if len(before) <= LONGEST_RECORD else _refuse_length(path, start)
        else:
            at = 3 if file.read(3) == codecs.BOM_UTF8 else 0
        width = _WINDOW
        while at < end:
            base = at - at % mmap.ALLOCATIONGRANULARITY
            seen = mmap.mmap(
                file.fileno(), min(width, size - base), offset=base, access=mmap.ACCESS_READ
            )
            view, last = memoryview(seen), seen.rfind(b"\n")
            ended = last >= at - base
            while at < end and at - base <= last:
                stop = seen.find(b"\n", at - base)
                number += 1
                yield number, view[at - base : stop], True
                at = base + stop + 1
            if at >= end or (base + len(seen) < size and ended):
                width = _WINDOW
            elif base + len(seen) == size:
                if size > at:
                    yield number + 1, view[at - base :], False
                return
            elif len(seen) > LONGEST_RECORD:
                _refuse_length(path, at)
            else:
                width *= 2


def _refuse_length(path: Path, at: int) -> NoReturn:
    number = line_number(path, at)
    raise InputError(f"{path}: line {number} is longer than {LONGEST_RECORD >> 20} MB; no rollout is")


def line_number(path: Path, offset: int) -> int:
    """The number of the line in which a byte stands."""
    found = 1
    with path.open("rb") as file:
        while offset > 0 and (chunk := file.read(min(offset, 1 << 20))):
            found += chunk.count(b"\n")
            offset -= len(chunk)
    return found


def elements(path: Path) -> Iterator[tuple[int, Any, str]]:
    """The elements of a JSON list, with their numbers and what had to be forgiven or stood in the way.

    What cannot be read comes last, as `Unreadable`: nothing after it can be told apart.

    Raises
    ------
    InputError
        The file is no list, no UTF-8, or holds something longer or deeper than any rollout.
    """
    if path.stat().st_size <= _WHOLE:
        try:
            whole, forgiven = parse(path.read_bytes().removeprefix(codecs.BOM_UTF8))
        except TooDeep as error:
            raise too_deep(path, "the list") from error
        except Unreadable:
            pass  # reading by pieces tells where
        else:
            if not isinstance(whole, list):
                raise InputError(f"{path}: is not a JSON list; one was expected")
            yield from ((number, one, forgiven) for number, one in enumerate(whole, start=1))
            return
    yield from _windowed(path)


def too_deep(path: Path, what: str) -> InputError:
    """The error for a record that is nested too deep."""
    return InputError(f"{path}: {what} is nested more than a thousand levels deep; no log is")


def _windowed(path: Path) -> Iterator[tuple[int, Any, str]]:
    decoder = json.JSONDecoder()
    number, text, at = 0, "", 0
    with path.open("rb") as file:
        decode = codecs.getincrementaldecoder("utf-8-sig")()
        ended = False

        def more(size: int) -> bool:
            """Read on; whether there was anything."""
            nonlocal text, at, ended
            chunk = file.read(size)
            try:
                read = decode.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                near = line_number(path, file.tell() - len(chunk) + error.start)
                raise InputError(f"{path}: line {near} is not UTF-8 text ({error.reason})") from error
            if "\0" in read:
                raise InputError(f"{path}: holds NUL bytes, as after a crash; it is damaged")
            text, at, ended = text[at:] + read, 0, not chunk
            return not ended

        more(_WINDOW)
        at = len(text) - len(text.lstrip())
        if text[at : at + 1] != "[":
            raise InputError(f"{path}: is not a JSON list; one was expected")
        at += 1
        while True:
            between = _BETWEEN.match(text, at)
            at = between.end() if between else at
            if at == len(text) and more(_WINDOW):
                continue
            if text[at : at + 1] == "]":
                return
            number += 1
            size = _WINDOW
            while True:
                try:
                    found, end = decoder.raw_decode(text, at)
                    if end == len(text) and more(size):
                        continue  # a number might go on
                    break
                except RecursionError as error:
                    raise too_deep(path, f"element {number}") from error
                except ValueError as error:
                    if len(text) - at > LONGEST_RECORD:
                        raise InputError(
                            f"{path}: element {number} is longer than {LONGEST_RECORD >> 20} MB, "
                            f"or no JSON "
                            f"({_short(error)})"
                        ) from error
                    if not more(size):
                        said = f"is not JSON, or the file ends in the middle of it ({_short(error)})"
                        yield number, Unreadable(said), ""
                        return
                    size *= 2
            halves = "\\ud" in text[at:end].lower()
            yield number, _without_halves(found) if halves else found, FORGIVEN if halves else ""
            at = end
