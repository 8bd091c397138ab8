"""The formats of other tools: how each is recognised, and what reads it."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.logs.json_records import json_rows
from afanalysis.logs.log_rows import Row
from afanalysis.logs.results import batch_rows, pipeline_rows
from afanalysis.logs.tables import csv_rows, parquet_rows
from afanalysis.table.foreign_files import regular_file

_HEAD = 1 << 16


def _is_inspect(suffix: str, head: bytes) -> bool:
    is_log = head.startswith(b"{") and b'"eval"' in head and b'"version"' in head
    return suffix == ".eval" or (is_log and suffix not in (".jsonl", ".ndjson"))


def _is_parquet(suffix: str, head: bytes) -> bool:
    return suffix == ".parquet" or head.startswith(b"PAR1")


def _is_csv(suffix: str, _: bytes) -> bool:
    return suffix in (".csv", ".tsv")


def _is_pipeline(_: str, head: bytes) -> bool:
    marked = b'"tags"' in head or b'"strong_reject_score"' in head
    return head.startswith((b"{", b"[")) and b'"user_input"' in head and marked


def _is_batch(_: str, head: bytes) -> bool:
    return head.startswith(b"{") and b'"custom_id"' in head and b'"result"' in head


# By their names on the command line, in the order in which they are tried: what each is, whether a file
# has it (by its ending and its first bytes), and what reads its rows. Rows of batches also take the
# requests that they answer.
FORMATS: dict[str, tuple[str, Callable[[str, bytes], bool], Callable[..., Iterator[Row]]]] = {
    "inspect": ("logs of Inspect AI, .eval or .json", _is_inspect, inspect_rows),
    "parquet": ("a table", _is_parquet, parquet_rows),
    "csv": ("a table, one row per answer or one row per prompt", _is_csv, csv_rows),
    "pipeline": ("results of the open-source pipeline, JSON", _is_pipeline, pipeline_rows),
    "batches": ("results of Message Batches, JSONL", _is_batch, batch_rows),
    "jsonl": ("one object per answer and line", lambda _, head: head[:1] == b"{", json_rows),
    "json": ("a list of objects, one per answer", lambda _, head: head[:1] == b"[", json_rows),
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
    for name, (_, recognises, _) in FORMATS.items():
        if recognises(path.suffix.lower(), head):
            return name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {meaning}" for name, (meaning, *_) in FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")
