"""Read and write the small files of a study (YAML, JSON, CSV), with errors that name the place."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, and how to write one: ends the sentence "PATH: is not".

    Raises
    ------
    InputError
        The file cannot be read, is not UTF-8 or not YAML, or holds something other than a mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{path}: is not valid YAML{line} ({problem})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not {what}")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; empty if the file does not exist.

    Raises
    ------
    InputError
        The file does not hold a JSON object.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); move it away") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; move it away")
    return content


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file, whole or not at all.

    Raises
    ------
    InputError
        It cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror}); make room first") from error


def read_csv(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header, each with its line number; missing fields are empty.

    Raises
    ------
    InputError
        The file cannot be read as CSV, or lacks a required column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            for name in required:
                if name not in (reader.fieldnames or ()):
                    raise InputError(f"{path}: has no column {name!r}")
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error
