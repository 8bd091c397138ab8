"""Journals as DuckDB tables, whatever an interruption or a model's text has left in them."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from afanalysis.errors import InputError
from afanalysis.text.untrusted import without_surrogates

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")
# No record is longer than this many bytes.
LONGEST_RECORD = 40 << 20


def journal_table(path: Path, columns: Mapping[str, str]) -> str:
    """The SQL that reads a journal; `columns` maps names to DuckDB types."""
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    quoted = str(path).replace("'", "''")
    return (
        f"read_json('{quoted}', format = 'newline_delimited', columns = {{{kinds}}}, "
        f"maximum_object_size = {LONGEST_RECORD})"
    )


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
    import duckdb

    try:
        return query(*paths)
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException):
            raise InputError(f"{paths[0].parent}: cannot be read ({_first_line(error)})") from error
        with tempfile.TemporaryDirectory(prefix="afanalysis-") as folder:
            repaired = [repair(path, Path(folder, path.name)) for path in paths]
            try:
                return query(*repaired)
            except duckdb.Error as again:
                raise InputError(f"{paths[0]}: cannot be read ({_first_line(again)})") from again


def stream_journal(query: Callable[[Path], Iterator[Result]], path: Path) -> Iterator[Result]:
    """The rows of a query on one journal as they come; after a rejected line, from a repaired copy."""
    import duckdb

    number = 0
    try:
        for row in query(path):
            yield row
            number += 1
    except duckdb.Error:
        with tempfile.TemporaryDirectory(prefix="afanalysis-") as folder:
            yield from itertools.islice(query(repair(path, Path(folder, path.name))), number, None)


def connect() -> duckdb.DuckDBPyConnection:
    """A connection to a database in memory."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")  # which would go to standard output
    return connection


def repair(path: Path, copy: Path) -> Path:
    """Copy a journal, replacing every lone surrogate, which no table can hold, by U+FFFD.

    Raises
    ------
    InputError
        A line is torn or not a JSON object.
    """
    with path.open("rb") as lines, copy.open("wb") as repaired:
        for number, line in enumerate(lines, start=1):
            record = parse_line(path, number, line)
            if b"\\ud" in line.lower():
                line = json.dumps(without_surrogates(record)).encode() + b"\n"
            repaired.write(line)
    return copy


def parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """The record that a line of a journal holds."""
    if not line.endswith(b"\n"):
        raise InputError(
            f"{path}: line {number} is torn (it has no line end); collect or judge again, which sets it "
            "aside, or remove it"
        )
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}: line {number} is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: line {number} is not a JSON object")
    return record


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
