"""Read Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.log_rows import Row

_ROWS_AT_ONCE = 2000


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a table.

    Raises
    ------
    InputError
        The file is not Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    numbers = count(1)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from ((next(numbers), row, "") for row in batch.to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as Parquet ({reason})") from error
