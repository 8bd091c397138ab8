"""Files that are not ours: only regular ones are read, and none that a link brings in from elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

from afanalysis.errors import InputError


def regular_file(path: Path, most: int | None = None) -> Path:
    """The path, which leads to a regular file of at most so many bytes.

    A pipe would hang its reader, and a device may never end.

    Raises
    ------
    InputError
        It does not exist, or is something else or larger.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)[:300]}: cannot be read ({reason})") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "is a folder" if stat.S_ISDIR(status.st_mode) else "is a device or pipe"
        raise InputError(f"{path}: {kind}; name a file")
    if most is not None and status.st_size > most:
        raise InputError(
            f"{path}: holds {status.st_size:,} bytes; a file of this kind has at most {most:,}"
        )
    return path


def files_within(folder: Path, pattern: str) -> list[Path]:
    """The regular files in a folder and its subfolders whose names match, in the order of their names.

    Raises
    ------
    InputError
        One is a link out of the folder, or not a regular file.
    """
    root = folder.resolve()
    files = [regular_file(path) for path in sorted(folder.rglob(pattern)) if not path.is_dir()]
    for file in files:
        if not file.resolve().is_relative_to(root):
            raise InputError(f"{file}: is a link out of {folder}; name the file itself")
    return files
