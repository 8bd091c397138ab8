"""Find the files to import."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.table.foreign_files import files_within

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

# No rollout is longer than this; whatever is, is something else.
LONGEST_RECORD = 32 << 20


def find_logs(paths: Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """The files that paths, folders and globs stand for, each once.

    Returns
    -------
    tuple
        The files, and the names of those in folders that are of no format known here.

    Raises
    ------
    InputError
        A path does not exist, nothing in it can be imported, or a link leads out of a folder.
    """
    files: dict[Path, Path] = {}
    ignored: list[str] = []
    for path in (path for given in paths for path in _expanded(given)):
        if not path.is_dir():
            files.setdefault(path.resolve(), path)
            continue
        inside = files_within(path, SUFFIXES)
        logs = [file for file in inside if file.suffix.lower() in SUFFIXES]
        if not logs:
            raise InputError(f"{path}: holds no file that ends in {', '.join(SUFFIXES)}")
        ignored += [file.relative_to(path).as_posix() for file in inside if file not in logs]
        for file in logs:
            files.setdefault(file.resolve(), file)
    return list(files.values()), sorted(ignored)


def _expanded(given: str | Path) -> list[Path]:
    if os.path.exists(given):
        return [Path(given)]
    # only a star makes a pattern: `a[1].csv` and `why?.csv` are names
    matching = sorted(glob.glob(str(given), recursive=True)) if "*" in str(given) else []
    if not matching:
        raise InputError(f"{given}: there is no such file or folder")
    return [Path(match) for match in matching]
