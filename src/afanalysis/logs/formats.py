"""Find the files to import, and the format of each: how it is recognised, and what reads it."""

import codecs
import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.fields import FORMS
from afanalysis.logs.inspect_logs import inspect_rows
from afanalysis.logs.records import Row, csv_rows, json_rows, parquet_rows
from afanalysis.logs.results import batch_rows, pipeline_rows
from afanalysis.table.database import files_within, regular_file

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

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


def find_logs(
    paths: Sequence[str | Path], format: str = "auto"
) -> tuple[list[tuple[str, Path, str]], list[str]]:
    """The files that paths, folders and globs stand for, each once.

    Returns
    -------
    tuple
        The files' names in the report, paths and formats, in the order of the names; and the names of
        those in folders that are of no format known here.

    Raises
    ------
    InputError
        A path does not exist, nothing in it can be imported, a link leads out of a folder, or the format
        is unknown or not recognised.
    """
    if format not in (*FORMATS, "auto"):
        raise InputError(f"there is no format {format!r}; use one of: {', '.join(FORMATS)}, or auto")
    logs: dict[Path, Path] = {}
    ignored: list[str] = []
    for path in (path for given in paths for path in _expanded(given)):
        if not path.is_dir():
            logs.setdefault(path.resolve(), path)
            continue
        inside = files_within(path, SUFFIXES)
        known = [file for file in inside if file.suffix.lower() in SUFFIXES]
        if not known:
            raise InputError(f"{path}: holds no file that ends in {', '.join(SUFFIXES)}")
        ignored += [file.relative_to(path).as_posix() for file in inside if file not in known]
        for file in known:
            logs.setdefault(file.resolve(), file)
    common = os.path.commonpath([os.path.dirname(os.path.abspath(log)) for log in logs.values()])
    files = []
    for log in logs.values():
        recognised = recognise(log)
        name = Path(os.path.relpath(log, common)).as_posix()
        files.append((name, log, recognised if format == "auto" else format))
    return sorted(files), sorted(ignored)


def _expanded(given: str | Path) -> list[Path]:
    if os.path.exists(given):
        return [Path(given)]
    # only a star makes a pattern: `a[1].csv` and `why?.csv` are names
    matching = sorted(glob.glob(str(given), recursive=True)) if "*" in str(given) else []
    if not matching:
        raise InputError(f"{given}: there is no such file or folder")
    return [Path(match) for match in matching]


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
