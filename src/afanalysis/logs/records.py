"""Records of logs: JSON of other tools, read fast and forgiving of faults; rows of CSV and Parquet."""

import codecs
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from afanalysis.errors import InputError
from afanalysis.logs.fields import COLUMNS, squeezed
from afanalysis.study.files import csv_cells
from afanalysis.table.database import refuse_bomb, regular_file
from afanalysis.table.source import opened
from afanalysis.text.untrusted import without_surrogates

# No rollout is longer than this; whatever is, is something else.
LONGEST_RECORD = 32 << 20

FORGIVEN = "not strict JSON (NaN, half a surrogate pair or a number beyond 64 bits)"

# A JSON log that is one object is read whole; `inspect log convert --to eval` converts a larger one.
LARGEST_OBJECT = 512 << 20

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}

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


@contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a log, unpacked if its name ends in `.gz` or `.zst`.

    Raises
    ------
    InputError
        It is not a regular file, or it is damaged; whether it is a bomb, `content_hash` finds.
    """
    form = COMPRESSED.get(path.suffix.lower())
    try:
        with regular_file(path).open("rb") as file:
            if form:
                import pyarrow

                yield io.BufferedReader(pyarrow.CompressedInputStream(file, form))
            else:
                yield file
    except OSError as error:
        problem = "cannot be read" if error.strerror else "is damaged, or not what its name says"
        raise InputError(f"{path}: {problem} ({error.strerror or error})") from error


def content_hash(path: Path) -> str:
    """The SHA-256 of what a log holds, compressed or not; `InputError` where it is a bomb."""
    digest, count = hashlib.sha256(), 0
    with open_log(path) as file:
        while content := file.read(1 << 20):
            digest.update(content)
            count += len(content)
            refuse_bomb(path, path.stat().st_size, count, "log")
    return digest.hexdigest()


def uncompressed_suffix(path: Path) -> str:
    """The ending of a file's name in lower case, without that of a compression."""
    inner = Path(path.stem) if path.suffix.lower() in COMPRESSED else path
    return inner.suffix.lower()


def parse(content: bytes, torn: str = "") -> tuple[Any, str]:
    """A row, and what was forgiven in it; a `Rejected` where it is not JSON."""
    reason, forgiven = "holds NUL bytes", FORGIVEN
    with suppress(orjson.JSONDecodeError, RecursionError):
        row = orjson.loads(content)
        if not _has_rounded(row):
            return row, ""
        forgiven = ""
    try:
        if b"\0" not in content:
            return without_surrogates(json.loads(content.decode())), forgiven
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 (byte 0x{content[error.start]:02x})"
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON ({_reason(error)})"
    return Rejected(f"a row that {reason}{torn}"), ""


def _has_rounded(row: Any) -> bool:
    """Whether a number in a row may have been a whole one beyond 64 bits, such as an id."""
    kind = type(row)
    if kind is dict or (kind is list and len(row) < 4):
        return any(map(_has_rounded, row.values() if kind is dict else row))
    return kind is float and abs(row) >= 1 << 63


def _reason(error: Exception) -> str:
    return str(error).partition(": line")[0].partition(" (char")[0]


def too_long(path: Path | str | None, what: str, most: int = LONGEST_RECORD) -> InputError:
    """The error for a record that is longer than any rollout, or an object that is too long to read."""
    advice = "no rollout is" if most == LONGEST_RECORD else "save it in a form that is read in parts"
    return InputError(f"{path}: {what} is longer than {most >> 20} MB; {advice}")


def json_rows(path: Path, where: str = "") -> Iterator[Row]:
    """The rows of a file: the elements of its list, its lines, or the list at a path within its object.

    Raises
    ------
    InputError
        The file is one object that is not a row, and `where` names none of its lists.
    """
    with open_log(path) as file:
        two = (file.readline(LONGEST_RECORD) for _ in "12")
        first, second = (line.removeprefix(codecs.BOM_UTF8).strip() for line in two)
    if first.startswith(b"["):
        yield from json_list(path)
    elif where or (uncompressed_suffix(path) == ".json" and not second.startswith(b"{")):
        yield from _rows_within(path, where)
    else:
        yield from json_lines(path)


def _rows_within(path: Path, where: str) -> Iterator[Row]:
    """The rows in the list of an object; the object itself if it is a row."""
    whole, forgiven = parse(whole_log(path))
    lists = dict(_lists_of_objects(whole, ""))
    if where and where not in lists:
        known = ", ".join(lists) or "none"
        raise InputError(f"{path}: has no list of objects at {where!r}; its lists: {known}")
    rows = lists.get(where)
    if rows is None and lists and not _is_row(whole):
        name = max(lists, key=lambda name: (_is_row(lists[name][0]), len(lists[name])))
        problem = f"is one object, whose list {name!r} holds {len(lists[name]):,} objects"
        advice = f"if they are the rows: --rows {name} (of {', '.join(lists)})"
        raise InputError(f"{path}: {problem}; {advice}")
    yield from ((number, row, forgiven) for number, row in enumerate(rows or [whole], start=1))


def whole_log(path: Path) -> bytes:
    """What a log holds that is one object; `InputError` where that is too long."""
    with open_log(path) as file:
        content = file.read(LARGEST_OBJECT + 1)
    if len(content) > LARGEST_OBJECT:
        raise too_long(path, "the object", LARGEST_OBJECT)
    return content.removeprefix(codecs.BOM_UTF8)


def _is_row(value: Any) -> bool:
    """Whether an object is an answer, whatever lists it holds."""
    answers = (*COLUMNS["completion"], *COLUMNS["output"], *COLUMNS["messages"], "content")
    return any(inner and squeezed(name) in answers for name, inner in object_of(value).items())


def _lists_of_objects(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """The lists of objects within an object, by their paths with dots."""
    for name, inner in object_of(value).items() if depth < 5 else ():
        path = f"{place}.{name}".lstrip(".")
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield path, inner
        yield from _lists_of_objects(inner, path, depth + 1)


def json_lines(path: Path) -> Iterator[Row]:
    """The rows of a file in which each line is an object; a line that cannot be read is `Rejected`.

    Raises
    ------
    InputError
        A line is longer than any rollout.
    """
    with open_log(path) as file:
        lines = iter(lambda: file.readline(LONGEST_RECORD + 1), b"")
        for number, line in enumerate(lines, start=1):
            if len(line) > LONGEST_RECORD:
                raise too_long(path, f"line {number}")
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            torn = "" if line.endswith(b"\n") else ", the file ends in the middle of it"
            if not line.isspace():
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
    with open_log(path) as content:
        file = io.TextIOWrapper(content, "utf-8-sig", "surrogateescape", newline="")
        text, position, number = file.read(_WINDOW).lstrip(), 1, 1
        while True:
            if between := _BETWEEN.match(text, position):
                position = between.end()
            if text.startswith("]", position):
                if (text[position + 1 :] + file.read(_WINDOW)).strip():
                    yield number, Rejected("what follows the end of the file's list"), ""
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


_ROWS_AT_ONCE = 2000


def csv_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, by the names in its header; one of another width is `Rejected`.

    Raises
    ------
    InputError
        The file is not CSV in UTF-8, or two of its columns have one name.
    """
    with open_log(path) as content:
        rows = csv_cells(path, None, content)
        _, names = next(rows, (0, []))
        repeated = sorted({name for name in names if name and names.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: two columns are called {repeated[0]!r}; give each its own name")
        for number, (_, cells) in enumerate(rows, start=1):
            if any("\0" in cell for cell in cells):
                yield number, Rejected("a row that holds NUL bytes"), ""
            elif len(cells) == len(names):
                yield number, dict(zip(names, cells, strict=True)), ""
            else:
                reason = f"a row that has {len(cells)} fields where the header has {len(names)}"
                yield number, Rejected(reason), ""


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
