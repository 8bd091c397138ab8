"""Open rollouts for queries: a table, files or folders as one DuckDB view."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from afanalysis.errors import InputError
from afanalysis.table import database
from afanalysis.table.database import quote_names
from afanalysis.table.schema import SCHEMA

# The SQL that reads each kind of file.
READERS = {
    ".parquet": "read_parquet(?, union_by_name = true, hive_partitioning = true)",
    ".csv": "read_csv(?, union_by_name = true)",
    ".jsonl": "read_json(?, format = 'newline_delimited', union_by_name = true)",
    ".ndjson": "read_json(?, format = 'newline_delimited', union_by_name = true)",
}


# By the type of `refused`, the SQL of who complied.
_OPPOSITES = {"BOOLEAN": "NOT refused"} | dict.fromkeys(("DOUBLE", "FLOAT", "BIGINT"), "1 - refused")


@dataclass(frozen=True)
class Source:
    """Rollouts opened for queries: a DuckDB connection in which they are the view `rollouts`."""

    connection: duckdb.DuckDBPyConnection
    kinds: dict[str, str]
    files: tuple[Path, ...] = ()

    def refuse_bomb(self) -> None:
        """Raise `InputError` for small files that would fill the memory if they were read whole."""
        lengths = [
            f"coalesce(sum(strlen({quote_names(name)}{'' if kind == 'VARCHAR' else '::VARCHAR'})), 0)"
            for name, kind in self.kinds.items()
            if kind in ("VARCHAR", "BLOB", "JSON") or kind.endswith((")", "]"))
        ]
        query = f"SELECT {' + '.join(['count(*) * ?', *lengths])} FROM rollouts"
        [(size,)] = self.connection.execute(query, [8 * len(self.kinds)]).fetchall()
        if self.files:
            on_disk = sum(file.stat().st_size for file in self.files)
            database.refuse_bomb(self.files[0], on_disk, size, "table")


@contextmanager
def opened(data: Any, suffix: str = "") -> Iterator[Source]:
    """Open rollouts for queries within the block; a table that says who refused says who complied.

    Parameters
    ----------
    data
        A DataFrame, a path, a folder of Parquet, a list of paths, or a source that is already open.
    suffix
        Read the files as if their names ended in this.

    Raises
    ------
    InputError
        The data do not exist, are empty or cannot be read as rollouts; also for a query in the block.
    """
    if isinstance(data, Source):
        yield data
        return
    files: list[Path] = []
    place = "the table"
    if not hasattr(data, "columns"):
        paths = [Path(data)] if isinstance(data, (str, Path)) else [Path(path) for path in data]
        place = ", ".join(map(str, paths))
        files = paths if suffix else _files(paths, place)
    elif data.empty:
        raise InputError("the table is empty; it must hold one row per rollout")
    connection = database.connect(*files)
    try:
        if files:
            reader = _reader(connection, files, suffix or files[0].suffix)
            connection.execute(f"CREATE VIEW rollouts AS FROM {reader}")
        else:
            connection.register("rollouts", data)
        kinds = _kinds(connection)
        opposite = _OPPOSITES.get(kinds.get("refused", ""))
        if opposite and "complied" not in kinds:
            connection.execute("ALTER VIEW rollouts RENAME TO given")
            connection.execute(f"CREATE VIEW rollouts AS SELECT *, {opposite} AS complied FROM given")
            kinds = _kinds(connection)
        yield Source(connection, kinds, tuple(files))
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:300]
        raise InputError(f"{place}: cannot be read as rollouts ({reason})") from error
    finally:
        connection.close()


def _kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.sql("DESCRIBE rollouts").fetchall()}


def _files(paths: list[Path], place: str) -> list[Path]:
    """The files that paths and folders stand for, all of one kind."""
    files: list[Path] = []
    for path in paths:
        if os.path.isdir(path):
            inside = database.files_within(path, (".parquet",))
            files += [file for file in inside if file.suffix == ".parquet"]
        elif os.path.exists(path):
            files.append(database.regular_file(path))
        else:
            raise InputError(f"{path}: no such file or folder")
    kinds = {file.suffix for file in files}
    if len(kinds) != 1 or kinds - set(READERS):
        problem = f"found {', '.join(sorted(kinds)) or 'no files'}"
        raise InputError(f"{place}: {problem}; rollouts are Parquet, CSV or JSONL files of one kind")
    if any(file.stat().st_size == 0 for file in files):
        raise InputError(f"{place}: is empty; a rollouts table has one row per rollout")
    return files


def _reader(connection: duckdb.DuckDBPyConnection, files: list[Path], suffix: str) -> str:
    """The SQL that reads the files."""
    reader = READERS[suffix].replace("?", f"[{', '.join(map(database.quote_path, files))}]", 1)
    if suffix != ".csv":
        return reader
    names = [row[0] for row in connection.sql(f"DESCRIBE FROM {reader}").fetchall()]
    texts = [name for name in names if SCHEMA.get(name) == "string"]
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in texts)  # ids such as 007 are not numbers
    return f"{reader.removesuffix(')')}, types = {{{types}}})" if texts else reader


def columns(data: Any) -> list[str]:
    """The names of a table's columns; its rows are not read."""
    with opened(data) as source:
        return list(source.kinds)


def distinct(data: Any, column: str) -> list[str]:
    """The distinct values of a column as text, sorted."""
    with opened(data) as source:
        rows = source.connection.sql(f"SELECT DISTINCT {quote_names(column)} FROM rollouts").fetchall()
    return sorted(str(value) for (value,) in rows)
