"""The formats of other tools: how each is recognised, and what reads it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from afanalysis import logs
from afanalysis.errors import InputError
from afanalysis.logs import pipeline_results
from afanalysis.logs.batch_results import Requests, batch_rows
from afanalysis.logs.csv_tables import csv_rows
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.logs.json_records import json_lines, json_list
from afanalysis.logs.log_rows import Row
from afanalysis.logs.parquet_tables import parquet_rows

_HEAD = 1 << 16


@dataclass(frozen=True)
class Format:
    """A format of logs.

    Attributes
    ----------
    name
        What it is called on the command line.
    recognises
        Whether a file is of this format, by its ending and its first bytes.
    rows
        Reads a file's rows; with the requests that it answers, where a format needs them.
    usual
        By column the field that fills it.
    place
        The columns that a file's place fills for all its rows.
    """

    name: str
    recognises: Callable[[str, bytes], bool]
    rows: Callable[[Path, Requests], Iterator[Row]]
    usual: Mapping[str, str] = field(default_factory=dict)
    place: Callable[[Path], dict[str, str]] = lambda _: {}


def _object_with(head: bytes, *fields: bytes) -> bool:
    return head.startswith(b"{") and all(b'"%b"' % name in head for name in fields)


# In the order in which they are tried.
FORMATS = {
    format.name: format
    for format in (
        Format(
            "inspect",
            lambda suffix, head: (
                suffix == ".eval"
                or (suffix not in (".jsonl", ".ndjson") and _object_with(head, b"eval", b"version"))
            ),
            lambda path, _: inspect_rows(path),
        ),
        Format(
            "parquet",
            lambda suffix, head: suffix == ".parquet" or head.startswith(b"PAR1"),
            lambda path, _: parquet_rows(path),
        ),
        Format("csv", lambda suffix, _: suffix in (".csv", ".tsv"), lambda path, _: csv_rows(path)),
        Format(
            "pipeline",
            lambda _, head: (
                head[:1] in (b"{", b"[")
                and b'"user_input"' in head
                and (b'"tags"' in head or b'"strong_reject_score"' in head)
            ),
            lambda path, _: pipeline_results.pipeline_rows(path),
            pipeline_results.USUAL_FIELDS,
            pipeline_results.columns_of_place,
        ),
        Format("batches", lambda _, head: _object_with(head, b"custom_id", b"result"), batch_rows),
        Format("jsonl", lambda _, head: head.startswith(b"{"), lambda path, _: json_lines(path)),
        Format("json", lambda _, head: head.startswith(b"["), lambda path, _: json_list(path)),
    )
}


def recognise(path: Path) -> Format:
    """The format of a file, by its ending and its first bytes.

    Raises
    ------
    InputError
        It is empty or of none of these formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise InputError(f"{path}: is empty")
    for format in FORMATS.values():
        if format.recognises(path.suffix.lower(), head):
            return format
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {what}" for name, what in logs.FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")
