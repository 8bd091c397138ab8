"""Open rollouts for queries: a table, files or folders as one DuckDB view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
from afanalysis.errors import InputError
from afanalysis.table.schema import SCHEMA

_READERS = {
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
    """Open rollouts for queries, for as long as the block lasts.

    Parameters
    ----------
    data
        A DataFrame, a path, a folder of Parquet, a list of paths, or a source that is open already.

    Raises
    ------
    InputError
        There is nothing there, or it cannot be read as rollouts; also from within the block.
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
                raise InputError("the table is empty; it must hold one row a rollout")
            connection.register("rollouts", data)
        else:
            paths = [Path(data)] if isinstance(data, (str, Path)) else [Path(one) for one in data]
            place = ", ".join(map(str, paths))
            connection.execute(f"CREATE VIEW rollouts AS FROM {_reader(paths, place)}")
        described = connection.sql("DESCRIBE rollouts").fetchall()
        yield Source(connection, {row[0]: row[1] for row in described})
    except duckdb.Error as error:
        first = str(error).splitlines()[0][:300]
        raise InputError(f"{place}: cannot be read as rollouts ({first})") from error
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
            raise InputError(f"{path}: there is no such file or folder")
    kinds = {Path(file).suffix for file in files}
    if len(kinds) != 1 or kinds - set(_READERS):
        raise InputError(
            f"{place}: found {', '.join(sorted(kinds)) or 'no files'}; rollouts are Parquet, CSV or "
            "JSONL files of one kind"
        )
    if any(Path(file).stat().st_size == 0 for file in files):
        raise InputError(f"{place}: is empty; a rollouts table has one row a rollout")
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    kind = kinds.pop()
    reader = _READERS[kind].replace("?", f"[{quoted}]", 1)
    if kind != ".csv":
        return reader
    texts = [name for name in _header(files) if SCHEMA.get(name) == "string"]
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in texts)  # ids such as 007 are no numbers
    return reader.replace(")", f", types = {{{types}}})") if texts else reader


def _header(files: list[str]) -> list[str]:
    """The columns that all of some CSV files have."""
    import csv

    found: list[str] = []
    for file in files:
        with open(file, encoding="utf-8-sig", errors="replace", newline="") as lines:
            names = next(csv.reader(lines), [])
        found = [name for name in found if name in names] if found else names
    return found


def columns(data: Any) -> list[str]:
    """The names of a table's columns, without reading its rows."""
    with opened(data) as source:
        return list(source.kinds)


def distinct(data: Any, column: str) -> list[str]:
    """The distinct values of a column as text, sorted."""
    with opened(data) as source:
        found = source.connection.sql(f'SELECT DISTINCT "{column}" FROM rollouts').fetchall()
    return sorted(str(row[0]) for row in found)
