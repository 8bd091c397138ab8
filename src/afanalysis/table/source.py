"""Open rollouts for queries: a table, files or folders as one DuckDB view."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.table.schema import SCHEMA

if TYPE_CHECKING:
    import duckdb

# The SQL that reads each kind of file.
READERS = {
    ".parquet": "read_parquet(?, union_by_name = true, hive_partitioning = true)",
    ".csv": "read_csv(?, union_by_name = true)",
    ".jsonl": "read_json(?, format = 'newline_delimited', union_by_name = true)",
    ".ndjson": "read_json(?, format = 'newline_delimited', union_by_name = true)",
}


@dataclass(frozen=True)
class Source:
    """Rollouts opened for queries: a DuckDB connection in which they are the view `rollouts`."""

    connection: duckdb.DuckDBPyConnection
    kinds: dict[str, str]


@contextmanager
def opened(data: Any) -> Iterator[Source]:
    """Open rollouts for queries within the block.

    Parameters
    ----------
    data
        A DataFrame, a path, a folder of Parquet, a list of paths, or a source that is already open.

    Raises
    ------
    InputError
        The data do not exist, are empty or cannot be read as rollouts; also for a query in the block.
    """
    import duckdb

    if isinstance(data, Source):
        yield data
        return
    place = "the table"
    connection = duckdb.connect()
    try:
        connection.execute("SET preserve_insertion_order = false")
        if hasattr(data, "columns"):
            if data.empty:
                raise InputError("the table is empty; it must hold one row per rollout")
            connection.register("rollouts", data)
        else:
            paths = [Path(data)] if isinstance(data, (str, Path)) else [Path(path) for path in data]
            place = ", ".join(map(str, paths))
            connection.execute(f"CREATE VIEW rollouts AS FROM {_reader(paths, place)}")
        described = connection.sql("DESCRIBE rollouts").fetchall()
        yield Source(connection, {row[0]: row[1] for row in described})
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:300]
        raise InputError(f"{place}: cannot be read as rollouts ({reason})") from error
    finally:
        connection.close()


def _reader(paths: list[Path], place: str) -> str:
    """The SQL that reads the files."""
    files: list[str] = []
    for path in paths:
        if path.is_dir():
            files += sorted(map(str, path.rglob("*.parquet")))
        elif path.exists():
            files.append(str(path))
        else:
            raise InputError(f"{path}: no such file or folder")
    kinds = {Path(file).suffix for file in files}
    if len(kinds) != 1 or kinds - set(READERS):
        raise InputError(
            f"{place}: found {', '.join(sorted(kinds)) or 'no files'}; rollouts are Parquet, CSV or "
            "JSONL files of one kind"
        )
    if any(Path(file).stat().st_size == 0 for file in files):
        raise InputError(f"{place}: is empty; a rollouts table has one row per rollout")
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    kind = kinds.pop()
    reader = READERS[kind].replace("?", f"[{quoted}]", 1)
    if kind != ".csv":
        return reader
    texts = [name for name in _header(files) if SCHEMA.get(name) == "string"]
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in texts)  # ids such as 007 are not numbers
    return reader.replace(")", f", types = {{{types}}})") if texts else reader


def _header(files: list[str]) -> list[str]:
    """The columns that all of these CSV files have."""
    headers = []
    for file in files:
        with open(file, encoding="utf-8-sig", errors="replace", newline="") as lines:
            headers.append(next(csv.reader(lines), []))
    return [name for name in headers[0] if all(name in header for header in headers)]


def columns(data: Any) -> list[str]:
    """The names of a table's columns; its rows are not read."""
    with opened(data) as source:
        return list(source.kinds)


def distinct(data: Any, column: str) -> list[str]:
    """The distinct values of a column as text, sorted."""
    with opened(data) as source:
        rows = source.connection.sql(f'SELECT DISTINCT "{column}" FROM rollouts').fetchall()
    return sorted(str(value) for (value,) in rows)
