"""Read tables: Parquet, and CSV separated by commas, semicolons, tabs or bars."""

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.json_records import LONGEST_RECORD, NotText, Rejected, Row, lines, text_of_bytes
from afanalysis.table.source import opened

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
