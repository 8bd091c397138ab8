"""Records of logs: JSON of other tools, read fast and forgiving of faults; rows of CSV and Parquet."""

import codecs
import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from afanalysis.errors import InputError
from afanalysis.table.source import opened
from afanalysis.text.untrusted import without_surrogates

# No rollout is longer than this; whatever is, is something else.
LONGEST_RECORD = 32 << 20

FORGIVEN = "not strict JSON (NaN, half a surrogate pair or a number beyond 64 bits)"

_WINDOW = 4 << 20

_BETWEEN = re.compile(r"[\s,]*")

# A row's number in its file, what it holds or why it was rejected, and what was forgiven in it.
Row = tuple[int, Any, str]


class Rejected(Exception):
    """A row from which no rollout can be made; the message says why.

    Parameters
    ----------
    reason
        Why, in words that are the same for all such rows.
    detail
        What was found.
    """

    def __init__(self, reason: str, detail: Any = "") -> None:
        super().__init__(reason)
        self.detail = str(detail)


class NotText(ValueError):
    """Bytes that are not text; the message says why."""


def parse(content: bytes, torn: str = "") -> tuple[Any, str]:
    """A row, and what was forgiven in it; a `Rejected` where it is not JSON."""
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(content), ""
    try:
        return without_surrogates(json.loads(text_of_bytes(content))), FORGIVEN
    except NotText as error:
        reason = str(error)
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON ({_reason(error)})"
    return Rejected(f"a row that {reason}{torn}"), ""


def text_of_bytes(content: bytes) -> str:
    """A text in UTF-8; `NotText` where it is something else."""
    if b"\0" in content:
        raise NotText("holds NUL bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(f"is not UTF-8 (byte 0x{content[error.start]:02x})") from error


def _reason(error: Exception) -> str:
    return str(error).partition(": line")[0].partition(" (char")[0]


def too_long(path: Path | str | None, what: str) -> InputError:
    """The error for a record that is longer than any rollout."""
    return InputError(f"{path}: {what} is longer than {LONGEST_RECORD >> 20} MB; no rollout is")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers.

    Raises
    ------
    InputError
        A line is longer than any rollout.
    """
    with path.open("rb") as file:
        records = iter(lambda: file.readline(LONGEST_RECORD + 1), b"")
        for number, line in enumerate(records, start=1):
            if len(line) > LONGEST_RECORD:
                raise too_long(path, f"line {number}")
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def json_rows(path: Path) -> Iterator[Row]:
    """The rows of a file: the elements of its list, or else its lines."""
    with path.open("rb") as file:
        head = file.read(1 << 16).removeprefix(codecs.BOM_UTF8).lstrip()
    yield from json_list(path) if head.startswith(b"[") else json_lines(path)


def json_lines(path: Path) -> Iterator[Row]:
    """The rows of a file in which each line is an object; a line that cannot be read is `Rejected`."""
    for number, line in lines(path):
        if line.isspace():
            continue
        torn = "" if line.endswith(b"\n") else ", the file ends in the middle of it"
        yield number, *parse(line, torn)


def json_list(path: Path) -> Iterator[Row]:
    """The elements of a JSON list, of which no more is in memory than one and a window.

    An element that cannot be read is `Rejected`; where it is not known where it ends, it is the last.

    Raises
    ------
    InputError
        The file holds something longer than any rollout.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        text, position, number = file.read(_WINDOW).lstrip(), 1, 1
        while True:
            if between := _BETWEEN.match(text, position):
                position = between.end()
            if text.startswith("]", position):
                return
            end, reason = 0, ""
            try:
                _, end = decoder.raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                reason = _reason(error)
            if not 0 < end < len(text):  # even a number might go on in the next window
                if len(text) - position > LONGEST_RECORD:
                    raise too_long(path, f"element {number} ({reason})")
                # at least doubled, so that a long element is not decoded again for every window
                if more := file.read(max(_WINDOW, len(text) - position)):
                    text, position = text[position:] + more, 0
                    continue
                if not end:
                    message = f"a row that is not JSON, or the file ends in the middle of it ({reason})"
                    yield number, Rejected(message), ""
                    return
            yield number, *parse(text[position:end].encode("utf-8", "surrogateescape"))
            position, number = end, number + 1


def object_of(value: Any) -> dict[str, Any]:
    """A value of JSON that should be an object; empty where it is something else."""
    return value if isinstance(value, dict) else {}


def text_of(content: Any, kind: str = "text", separator: str = "") -> str:
    """The text of a message's content.

    Parameters
    ----------
    content
        A text, or a list of blocks such as `{"type": "text", "text": "Yes."}`.
    kind
        Which blocks: `text`, or `thinking`, whose text is in the field of that name.
    separator
        What to put between blocks.

    Examples
    --------
    >>> text_of([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}])
    'Yes.'
    """
    if isinstance(content, str):
        return content if kind == "text" else ""
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    texts = [block.get(kind) for block in blocks if block.get("type") == kind]
    return separator.join(text for text in texts if isinstance(text, str))


_ROWS_AT_ONCE = 2000


def csv_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, by the names in its header; one of another width is `Rejected`.

    Raises
    ------
    InputError
        The file is not CSV in UTF-8, or two of its columns have one name.
    """
    csv.field_size_limit(LONGEST_RECORD)
    text = _text_lines(path)
    header = next(text, "")
    reader = csv.reader(chain([header], text), delimiter=max("\t,;|", key=header.count))
    try:
        names = [name.strip() for name in next(reader, [])]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: two columns are called {repeated[0]!r}; give each its own name")
        for number, cells in enumerate(reader, start=1):
            if len(cells) == len(names):
                yield number, dict(zip(names, cells, strict=True)), ""
            elif cells:
                reason = f"a row that has {len(cells)} fields where the header has {len(names)}"
                yield number, Rejected(reason), ""
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not CSV ({error})") from error


def _text_lines(path: Path) -> Iterator[str]:
    for number, line in lines(path):
        try:
            yield text_of_bytes(line)
        except NotText as error:
            message = f"{path}: line {number} {error}; save the table as CSV in UTF-8"
            raise InputError(message) from error


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a table.

    Raises
    ------
    InputError
        The file is not Parquet, or would fill the memory.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            with opened(path, ".parquet") as source:
                source.refuse_bomb()
            batches = file.iter_batches(batch_size=_ROWS_AT_ONCE)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from ((number, row, "") for number, row in enumerate(rows, start=1))
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as Parquet ({reason})") from error
