"""The one place where DuckDB is opened, and where names and texts become SQL."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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
