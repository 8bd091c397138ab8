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
from afanalysis.logs.records import (
    COMPRESSED,
    Row,
    csv_rows,
    json_rows,
    open_log,
    parquet_rows,
    uncompressed_suffix,
)
from afanalysis.table.database import files_within

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

_ENDINGS = (*SUFFIXES, *COMPRESSED)

_HEAD = 1 << 16


# What reads the rows of a format that is not JSON.
_READERS = {"inspect": inspect_rows, "parquet": parquet_rows, "csv": csv_rows}

# By their names on the command line: what each is, and what reads its rows.
FORMATS: dict[str, tuple[str, Callable[..., Iterator[Row]]]] = {
    name: (meaning, _READERS.get(name, json_rows)) for name, meaning in FORMS["formats"].items()
}


def find_logs(
    paths: str | Path | Sequence[str | Path], format: str = "auto"
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
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    if not paths:
        raise InputError("no file is named; name files, folders or globs")
    if format not in (*FORMATS, "auto"):
        raise InputError(f"there is no format {format!r}; use one of: {', '.join(FORMATS)}, or auto")
    logs: dict[Path, Path] = {}
    ignored: list[str] = []
    for path in (path for given in paths for path in _expanded(given)):
        if not path.is_dir():
            logs.setdefault(path.resolve(), path)
            continue
        inside = files_within(path, _ENDINGS)
        known = [file for file in inside if uncompressed_suffix(file) in SUFFIXES]
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
    with open_log(path) as file:
        head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    if not head:
        raise InputError(f"{path}: is empty")
    marked = uncompressed_suffix(path).encode("utf-8", "surrogateescape") + b"\0" + head
    for name, marks in FORMS["marks"].items():
        if re.match(marks.encode(), marked, re.DOTALL):
            return name
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    known = "; ".join(f"{name}: {meaning}" for name, (meaning, _) in FORMATS.items())
    raise InputError(f"{path}: is of no format known here ({known})")
