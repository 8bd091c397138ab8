"""The formats of other tools: how each is recognised, and what reads it."""

import codecs
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from afanalysis import logs
from afanalysis.errors import InputError
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.logs.json_records import json_rows
from afanalysis.logs.log_rows import Row
from afanalysis.logs.results import USUAL_FIELDS, batch_rows, columns_of_place, pipeline_rows
from afanalysis.logs.tables import csv_rows, parquet_rows
from afanalysis.table.foreign_files import regular_file

_HEAD = 1 << 16


@dataclass(frozen=True)
class Format:
    """A format of logs.

    Attributes
    ----------
    recognises
        Whether a file is of this format, by its ending and its first bytes.
    rows
        Reads a file's rows; those of batches also take the requests that they answer.
    usual
        By column the field that fills it.
    place
        The columns that a file's place fills for all its rows.
    """

    recognises: Callable[[str, bytes], bool]
    rows: Callable[..., Iterator[Row]]
    usual: Mapping[str, str] = field(default_factory=dict)
    place: Callable[[Path], dict[str, str]] = lambda _: {}


def _is_inspect(suffix: str, head: bytes) -> bool:
    is_log = head.startswith(b"{") and b'"eval"' in head and b'"version"' in head
    return suffix == ".eval" or (is_log and suffix not in (".jsonl", ".ndjson"))


def _is_pipeline(_: str, head: bytes) -> bool:
    marked = b'"tags"' in head or b'"strong_reject_score"' in head
    return head.startswith((b"{", b"[")) and b'"user_input"' in head and marked


def _is_batch(_: str, head: bytes) -> bool:
    return head.startswith(b"{") and b'"custom_id"' in head and b'"result"' in head


# By their names on the command line, in the order in which they are tried.
FORMATS = {
    "inspect": Format(_is_inspect, inspect_rows),
    "parquet": Format(
        lambda suffix, head: suffix == ".parquet" or head.startswith(b"PAR1"), parquet_rows
    ),
    "csv": Format(lambda suffix, _: suffix in (".csv", ".tsv"), csv_rows),
    "pipeline": Format(_is_pipeline, pipeline_rows, USUAL_FIELDS, columns_of_place),
    "batches": Format(_is_batch, batch_rows),
    "jsonl": Format(lambda _, head: head.startswith(b"{"), json_rows),
    "json": Format(lambda _, head: head.startswith(b"["), json_rows),
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
    for name, format in FORMATS.items():
        if format.recognises(path.suffix.lower(), head):
            return name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {what}" for name, what in logs.FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")
