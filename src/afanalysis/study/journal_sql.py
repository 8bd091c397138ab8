"""Journals as DuckDB tables, whatever an interruption or a model's text has left in them."""

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from afanalysis.errors import InputError
from afanalysis.study.files import json_object, may_hold_halves
from afanalysis.study.folders import JUDGEMENTS, ROLLOUTS
from afanalysis.table.database import quote_path
from afanalysis.table.foreign_files import regular_file

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
