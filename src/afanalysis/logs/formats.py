"""The formats of other tools: how each is recognised, and what reads it."""

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.logs.json_records import json_rows
from afanalysis.logs.log_rows import Row
from afanalysis.logs.results import batch_rows, pipeline_rows
from afanalysis.logs.tables import csv_rows, parquet_rows
from afanalysis.logs.values import FORMS
from afanalysis.table.foreign_files import regular_file

_HEAD = 1 << 16


# By their names on the command line: what each is, and what reads its rows. Rows of batches also take
# the requests that they answer.
FORMATS: dict[str, tuple[str, Callable[..., Iterator[Row]]]] = {
    "inspect": ("logs of Inspect AI, .eval or .json", inspect_rows),
    "parquet": ("a table", parquet_rows),
    "csv": ("a table, one row per answer or one row per prompt", csv_rows),
    "pipeline": ("results of the open-source pipeline, JSON", pipeline_rows),
    "batches": ("results of Message Batches, JSONL", batch_rows),
    "jsonl": ("one object per answer and line", json_rows),
    "json": ("a list of objects, one per answer", json_rows),
}


def recognise(path: Path) -> str:
    """The name of a file's format, by its ending and its first bytes.

    Raises
    ------
    InputError
        It is empty or of none of these formats.
    """
    try:
        with regular_file(path).open("rb") as file:
            head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise InputError(f"{path}: is empty")
    marked = path.suffix.lower().encode("utf-8", "surrogateescape") + b"\0" + head
    for name, marks in FORMS["marks"].items():
        if re.match(marks.encode(), marked, re.DOTALL):
            return name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {meaning}" for name, (meaning, _) in FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")
