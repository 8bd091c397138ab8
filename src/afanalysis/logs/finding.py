"""Find the files to import."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from afanalysis.errors import InputError

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

# No rollout is longer than this; whatever is, is something else.
LONGEST_RECORD = 32 << 20


@dataclass(frozen=True)
class LogFile:
    """A file to import, and its name in the report."""

    path: Path
    name: str


def find_logs(paths: Sequence[str | Path]) -> tuple[list[LogFile], list[str]]:
    """The files that paths, folders and globs stand for, each once and in the order of their names.

    Returns
    -------
    tuple
        The files, and the names of those in folders that are of no format known here.

    Raises
    ------
    InputError
        A path does not exist, nothing in it can be imported, or links lead in a circle.
    """
    files: dict[Path, LogFile] = {}
    ignored: list[str] = []
    for path in (path for given in paths for path in _expanded(given)):
        if not path.is_dir():
            files.setdefault(path.resolve(), LogFile(path, path.name))
            continue
        inside = list(_walk(path))
        logs = [file for file in inside if file.path.suffix.lower() in SUFFIXES]
        if not logs:
            raise InputError(f"{path}: holds no file that ends in {', '.join(SUFFIXES)}")
        ignored += [file.name for file in inside if file not in logs]
        for file in logs:
            files.setdefault(file.path.resolve(), file)
    return sorted(files.values(), key=lambda file: (file.name, str(file.path))), sorted(ignored)


def _expanded(given: str | Path) -> list[Path]:
    try:
        if Path(given).exists():
            return [Path(given)]
        matching = sorted(glob.glob(str(given), recursive=True))
    except OSError as error:
        raise InputError(f"{given}: cannot be read ({error.strerror})") from error
    if not matching:
        raise InputError(f"{given}: there is no such file or folder")
    return [Path(match) for match in matching]


def _walk(top: Path) -> Iterator[LogFile]:
    """The files in a folder, links followed."""
    above: dict[str, tuple[str, ...]] = {str(top): (os.path.realpath(top),)}
    for folder, subfolders, names in os.walk(top, followlinks=True, onerror=_cannot_be_read):
        for name in subfolders:
            inside = os.path.join(folder, name)
            real = os.path.realpath(inside)
            if real in above[folder]:
                raise InputError(f"{inside}: is a link that leads back to {real}; remove it")
            above[inside] = (*above[folder], real)
        for name in names:
            path = Path(folder, name)
            if not path.exists():
                raise InputError(f"{path}: is a link that leads nowhere or to itself; remove it")
            yield LogFile(path, path.relative_to(top).as_posix())


def _cannot_be_read(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
