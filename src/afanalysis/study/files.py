"""Read and write the files of a study (YAML, JSON, CSV), with errors that name the place."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from afanalysis.errors import InputError
from afanalysis.table.database import regular_file
from afanalysis.text.untrusted import escape_invisible, guard_formula, without_surrogates

if TYPE_CHECKING:
    import pandas as pd

# No file that people write is longer than the first, and no list of prompts than the second (bytes).
MAX_YAML = 1 << 20
MAX_TEXT = 256 << 20
# No JSON list of prompts is longer than the first (bytes), and no line of a table than the second.
MAX_JSON = 16 << 20
MAX_LINE = 32 << 20
# What YAML may grow to where its aliases are followed (characters), and how deep it may nest.
MAX_FOLLOWED = 2 << 20
MAX_NESTING = 50
MAX_COLUMNS = 1000


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """The text of a regular file of at most so many bytes.

    Raises
    ------
    InputError
        The file cannot be read, is too long, or is not UTF-8.
    """
    try:
        return regular_file(path, most).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})") from error


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, and how to write one: ends the sentence "PATH: is not".

    Raises
    ------
    InputError
        The file cannot be read, is not UTF-8 or not YAML, holds something other than a mapping, or is
        made to do harm: by its size, its depth, or aliases of aliases.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class loader(base):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            for name, times in Counter(str(key.value) for key, _ in node.value).items():
                if times > 1:
                    problem = f"{name} stands there twice; YAML would take the last"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
            return dict(super().construct_mapping(node, deep))

    text = read_text(path, MAX_YAML)
    try:
        _refuse_bombs(yaml.parse(text, loader))
        content = yaml.load(text, loader)
    # PyYAML fails in many ways on values such as 2020-99-99 or !!bool maybe
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {min(mark.line, text.count(chr(10))) + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())[:150]
        raise InputError(f"{path}: is not valid YAML{line} ({problem})") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise InputError(f"{path}: is not {what}")
    mapping: dict[str, Any] = without_surrogates(content)
    return mapping


def _refuse_bombs(events: Iterable[Any]) -> None:
    """Raise an error of YAML where it is nested or grows beyond what anybody writes."""
    import yaml

    sizes: dict[str | None, int] = {}
    parents: list[tuple[str | None, int]] = []
    size = 0
    for event in events:
        anchor, before = getattr(event, "anchor", None), size
        size += len(getattr(event, "value", "")) + 1
        if isinstance(event, yaml.AliasEvent):
            size += sizes.get(anchor, 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            parents.append((anchor, before))
            sizes[anchor] = MAX_FOLLOWED + 1  # an alias within itself never ends
        else:
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, before = parents.pop()
            sizes[anchor] = size - before
        problem = ""
        if len(parents) > MAX_NESTING:
            problem = f"nested more than {MAX_NESTING} levels deep; write it flatter"
        if size > MAX_FOLLOWED:
            problem = f"its aliases (*) make it larger than {MAX_FOLLOWED:,} characters; write it out"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; empty if the file does not exist.

    Raises
    ------
    InputError
        The file does not hold a JSON object.
    """
    if not path.exists():
        return {}
    return json_object(read_text(path).encode(), f"{path}:", "; move it away")


def json_object(content: bytes, place: str, remedy: str = "") -> dict[str, Any]:
    """The object that some JSON holds, as `json_value` reads it.

    Raises
    ------
    InputError
        It does not hold one; the message begins with the place and ends with the remedy.
    """
    value = json_value(content, place, remedy)
    if not isinstance(value, dict):
        raise InputError(f"{place} is not a JSON object{remedy}")
    return value


def json_value(content: bytes, place: str, remedy: str = "") -> Any:
    """What some JSON holds; half of a surrogate pair, which no table can hold, is U+FFFD.

    Raises
    ------
    InputError
        It is not JSON; the message begins with the place and ends with the remedy.
    """
    try:
        value = json.loads(content)
        return without_surrogates(value) if may_hold_halves(content) else value
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON ({str(error)[:200]}){remedy}") from error


def json_list(path: Path) -> list[tuple[str, Any]]:
    """The elements of a JSON list, or of a file of one JSON value per line, each with its place.

    Raises
    ------
    InputError
        The file cannot be read, is too long, or holds something else.
    """
    content = read_text(path, MAX_JSON).removeprefix("\ufeff")
    if content.lstrip().startswith("["):
        values = json_value(content.encode(), f"{path}:")
        return [(f"element {number}", value) for number, value in enumerate(values, start=1)]
    lines = [(f"line {number}", line) for number, line in enumerate(content.split("\n"), start=1)]
    remedy = "; write a list, or one object per line"
    return [(n, json_value(line.encode(), f"{path}: {n}", remedy)) for n, line in lines if line.strip()]


def may_hold_halves(content: bytes) -> bool:
    """Whether JSON may hold half of a surrogate pair, escaped or as a byte sequence of its own."""
    return b"\\ud" in content or b"\\uD" in content or b"\xed" in content


@contextlib.contextmanager
def as_written(path: Path) -> Iterator[None]:
    """A block that takes what a file holds to be of the form in which the package writes it.

    Raises
    ------
    InputError
        It is not.
    """
    try:
        yield
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: is damaged ({problem}); restore it, or move it away") from error


def read_csv(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table by its header's names, each with its line number; missing cells are empty.

    Parameters
    ----------
    path
        The file, of any form that `csv_cells` reads.
    required
        Names that the header must have.

    Raises
    ------
    InputError
        The file cannot be read as CSV, or lacks a required column.
    """
    rows = csv_cells(path)
    _, names = next(rows, (1, []))
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: has {len(names):,} columns; at most {MAX_COLUMNS:,} are read")
    for name in required:
        if name not in names:
            raise InputError(f"{path}: has no column {name!r}; it has {column_names(names)}")
    for line, cells in rows:
        yield line, dict(zip_longest(names, cells[: len(names)], fillvalue=""))


def csv_cells(
    path: Path, most: int | None = MAX_TEXT, content: BinaryIO | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The cells of a table as people and spreadsheets save it: first the header, then row by row.

    Cells are divided by the comma, semicolon, tab or bar that the header holds most of, or by the one
    that a first line such as `sep=;` names. A byte order mark, rows without content and empty columns
    after the last name are left out. A row may have fewer or more cells than the header.

    Parameters
    ----------
    path
        The file.
    most
        How many bytes it may hold; None for any number.
    content
        What it holds, where it has been opened.

    Returns
    -------
    iterator
        The number of the line in which a row ends, and its cells.

    Raises
    ------
    InputError
        The file cannot be read, is longer, or is not CSV in UTF-8.
    """
    csv.field_size_limit(MAX_LINE)
    lines, width = _lines(regular_file(path, most), content), 0
    try:
        header = next(filter(str.strip, lines), "")
        named = re.fullmatch(r'"?sep=([,;\t|])"?\s*', header, re.IGNORECASE)
        header = next(lines, "") if named else header
        delimiter = named[1] if named else delimiter_of(header)
        reader = csv.reader(chain([header], lines), delimiter=delimiter)
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if not width:
                cells = [name.strip() for name in cells]
                width = max(number for number, name in enumerate(cells, start=1) if name)
            yield reader.line_num + bool(named), cells if any(cells[width:]) else cells[:width]
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error


def _lines(path: Path, content: BinaryIO | None) -> Iterator[str]:
    with io.TextIOWrapper(
        content or path.open("rb"), "utf-8-sig", "surrogateescape", newline=""
    ) as file:
        lines = iter(lambda: file.readline(MAX_LINE + 1), "")
        for number, line in enumerate(lines, start=1):
            if len(line) > MAX_LINE:
                raise InputError(f"{path}: line {number} is longer than {MAX_LINE >> 20} MB")
            other = not line.isascii() and re.search("[\udc80-\udcff]", line)
            if other or (number == 1 and "\0" in line):  # UTF-16 holds NUL
                raise InputError(f"{path}: line {number} is not UTF-8 text; save it as CSV in UTF-8")
            yield line


def delimiter_of(header: str) -> str:
    """What divides the cells of a table with this header; what is in quotes does not count.

    Examples
    --------
    >>> delimiter_of('rollout;"note, or none";af')
    ';'
    """
    return max(",;\t|", key=re.sub(r'"[^"]*("|$)', "", header).count)


def column_names(names: Iterable[str]) -> str:
    """The names of a table's columns as an error lists them."""
    return escape_invisible(", ".join(name for name in names if name) or "none", 300)


def cannot_write(path: Path | str, error: OSError) -> InputError:
    """The error for a file or folder that cannot be written."""
    reason = error.strerror or str(error).splitlines()[0][:300]
    advice = "everything written before is safe; make room, or choose a folder that can be written to"
    return InputError(f"{path}: cannot be written ({reason}); {advice}")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: under the name that the block gets, then put in place.

    Raises
    ------
    InputError
        It cannot be written; nothing is left of it then.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all; what no file can hold is replaced by U+FFFD."""
    with written_whole(path) as temporary:
        temporary.write_text(without_surrogates(text), encoding="utf-8")
    return path


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame, **settings: Any) -> Path:
    """Write a table as CSV, whole or not at all, with no text that a spreadsheet takes for a formula.

    `settings` are those of `DataFrame.to_csv`.
    """
    safe = table.rename(columns=guard_formula)
    for name in safe.select_dtypes(exclude=["number", "bool"]):
        safe[name] = [guard_formula(cell) if isinstance(cell, str) else cell for cell in safe[name]]
        if any("\r" in cell for cell in safe[name] if isinstance(cell, str)):
            settings["quoting"] = csv.QUOTE_NONNUMERIC  # or a carriage return would end the row
    with written_whole(path) as temporary:
        safe.to_csv(temporary, index=False, **settings)
    return path
