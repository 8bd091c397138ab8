"""The one place where DuckDB is opened and SQL is quoted, and where strangers' files are checked."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.errors import InputError

if TYPE_CHECKING:
    import duckdb


def connect(*files: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory whose SQL can reach these files and nothing else.

    It loads no extension, its settings are locked, and what does not fit into memory goes to a folder of
    its own in the system's temporary one.
    """
    import duckdb

    spill = Path(tempfile.gettempdir(), f"afanalysis-{secrets.token_hex(8)}")
    config = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(config={**config, "temp_directory": str(spill)})
    # to DuckDB an escaped name is a second file
    names = [quote(file) for file in files for quote in (quote_path, quote_target)]
    connection.execute(
        "SET enable_progress_bar = false;"  # it would go to stdout
        f"SET allowed_paths = [{', '.join(names)}]; SET enable_external_access = false;"
        "SET lock_configuration = true"
    )
    return connection


def quote_names(*names: str) -> str:
    """Names of columns as SQL, separated by commas.

    Examples
    --------
    >>> print(quote_names("tier", 'x" y'))
    "tier", "x"" y"
    """
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def quote_path(file: Path) -> str:
    """The path of a file to read as SQL; `a[1].csv` is a pattern to DuckDB unless it is escaped."""
    escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file.absolute()))
    return quote_text(escaped)


def quote_target(file: Path) -> str:
    """The path of a file to write as SQL."""
    return quote_text(str(file.absolute()))


def quote_text(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


# What is this many times as large in memory as on disk, and larger than that many bytes, is a bomb.
_MOST_EXPANSION = 200
_EXPANSION_ALLOWED = 1 << 30


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
    if most is not None and (size := status.st_size) > most:
        raise InputError(f"{path}: holds {size:,} bytes; a file of this kind has at most {most:,}")
    return path


def files_within(folder: Path, suffixes: Container[str]) -> list[Path]:
    """The files in a folder and its subfolders, in the order of their names.

    A link to a folder within is not followed, as its files are among them already.

    Parameters
    ----------
    folder
        The folder.
    suffixes
        Those of the files to be read, in lower case.

    Raises
    ------
    InputError
        A folder cannot be read or is a link out of this one, or a file to be read is such a link or not
        a regular file.
    """
    root, files = os.path.realpath(folder), []
    for parent, subfolders, names in os.walk(folder, onerror=_raise):
        inside = [Path(parent, name) for name in names]
        files += inside
        to_read = [regular_file(path) for path in inside if path.suffix.lower() in suffixes]
        for path in [*to_read, *(Path(parent, name) for name in subfolders)]:
            if path.is_symlink() and os.path.commonpath([root, os.path.realpath(path)]) != root:
                raise InputError(f"{path}: is a link out of {folder}; name what it leads to")
    return sorted(files)


def refuse_bomb(path: Path, size: int, unpacked: int, kind: str) -> None:
    """Raise `InputError` for a small file that would fill the memory if it were read whole."""
    if unpacked > _EXPANSION_ALLOWED and unpacked > _MOST_EXPANSION * size:
        problem = f"{size:,} bytes would unpack to {unpacked:,}; that is a bomb and not a {kind}"
        raise InputError(f"{path}: {problem}")


def _raise(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
