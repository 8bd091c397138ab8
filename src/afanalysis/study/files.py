"""Read and write the files of a study (YAML, JSON, CSV), with errors that name the place."""

from __future__ import annotations

import contextlib
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.table.database import regular_file
from afanalysis.text.untrusted import guard_formula, without_surrogates

if TYPE_CHECKING:
    import pandas as pd

# No file that people write is longer than the first, and no list of prompts than the second (bytes).
MAX_YAML = 1 << 20
MAX_TEXT = 256 << 20
# What YAML may grow to where its aliases are followed (characters), and how deep it may nest.
MAX_FOLLOWED = 2 << 20
MAX_NESTING = 50
MAX_COLUMNS = 1000


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """The text of a regular file of at most so many bytes.

    Raises
    ------
    InputError
        The file cannot be read, is too long, or is not UTF-8.
    """
    try:
        return regular_file(path, most).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})") from error


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
        The file cannot be read, is not UTF-8 or not YAML, holds something other than a mapping, or is
        made to do harm: by its size, its depth, or aliases of aliases.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class loader(base):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            for name, times in Counter(str(key.value) for key, _ in node.value).items():
                if times > 1:
                    problem = f"{name} stands there twice; YAML would take the last"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
            return dict(super().construct_mapping(node, deep))

    text = read_text(path, MAX_YAML)
    try:
        _refuse_bombs(yaml.parse(text, loader))
        content = yaml.load(text, loader)
    # PyYAML fails in many ways on values such as 2020-99-99 or !!bool maybe
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {min(mark.line, text.count(chr(10))) + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())[:150]
        raise InputError(f"{path}: is not valid YAML{line} ({problem})") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise InputError(f"{path}: is not {what}")
    mapping: dict[str, Any] = without_surrogates(content)
    return mapping


def _refuse_bombs(events: Iterable[Any]) -> None:
    """Raise an error of YAML where it is nested or grows beyond what anybody writes."""
    import yaml

    sizes: dict[str | None, int] = {}
    parents: list[tuple[str | None, int]] = []
    size = 0
    for event in events:
        anchor, before = getattr(event, "anchor", None), size
        size += len(getattr(event, "value", "")) + 1
        if isinstance(event, yaml.AliasEvent):
            size += sizes.get(anchor, 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            parents.append((anchor, before))
            sizes[anchor] = MAX_FOLLOWED + 1  # an alias within itself never ends
        else:
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, before = parents.pop()
            sizes[anchor] = size - before
        problem = ""
        if len(parents) > MAX_NESTING:
            problem = f"nested more than {MAX_NESTING} levels deep; write it flatter"
        if size > MAX_FOLLOWED:
            problem = f"its aliases (*) make it larger than {MAX_FOLLOWED:,} characters; write it out"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; empty if the file does not exist.

    Raises
    ------
    InputError
        The file does not hold a JSON object.
    """
    if not path.exists():
        return {}
    return json_object(read_text(path).encode(), f"{path}:", "; move it away")


def json_object(content: bytes, place: str, remedy: str = "") -> dict[str, Any]:
    """The object that some JSON holds; half of a surrogate pair, which no table can hold, is U+FFFD.

    Raises
    ------
    InputError
        It does not hold one; the message begins with the place and ends with the remedy.
    """
    try:
        value = json.loads(content)
        if may_hold_halves(content):
            value = without_surrogates(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON ({str(error)[:200]}){remedy}") from error
    if not isinstance(value, dict):
        raise InputError(f"{place} is not a JSON object{remedy}")
    return value


def may_hold_halves(content: bytes) -> bool:
    """Whether JSON may hold half of a surrogate pair, escaped or as a byte sequence of its own."""
    return b"\\ud" in content or b"\\uD" in content or b"\xed" in content


@contextlib.contextmanager
def as_written(path: Path) -> Iterator[None]:
    """A block that takes what a file holds to be of the form in which the package writes it.

    Raises
    ------
    InputError
        It is not.
    """
    try:
        yield
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: is damaged ({problem}); restore it, or move it away") from error


def read_csv(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header, each with its line number; missing fields are empty.

    Raises
    ------
    InputError
        The file cannot be read as CSV, or lacks a required column.
    """
    try:
        with regular_file(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names = reader.fieldnames or ()
            if len(names) > MAX_COLUMNS:
                raise InputError(f"{path}: has {len(names):,} columns; at most {MAX_COLUMNS:,} are read")
            for name in required:
                if name not in names:
                    raise InputError(f"{path}: has no column {name!r}")
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error


def cannot_write(path: Path | str, error: OSError) -> InputError:
    """The error for a file or folder that cannot be written."""
    reason = error.strerror or str(error).splitlines()[0][:300]
    advice = "everything written before is safe; make room, or choose a folder that can be written to"
    return InputError(f"{path}: cannot be written ({reason}); {advice}")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: under the name that the block gets, then put in place.

    Raises
    ------
    InputError
        It cannot be written; nothing is left of it then.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all; what no file can hold is replaced by U+FFFD."""
    with written_whole(path) as temporary:
        temporary.write_text(without_surrogates(text), encoding="utf-8")
    return path


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame, **settings: Any) -> Path:
    """Write a table as CSV, whole or not at all, with no text that a spreadsheet takes for a formula.

    `settings` are those of `DataFrame.to_csv`.
    """
    safe = table.rename(columns=guard_formula)
    for name in safe.select_dtypes(exclude=["number", "bool"]):
        safe[name] = [guard_formula(cell) if isinstance(cell, str) else cell for cell in safe[name]]
        if any("\r" in cell for cell in safe[name] if isinstance(cell, str)):
            settings["quoting"] = csv.QUOTE_NONNUMERIC  # or a carriage return would end the row
    with written_whole(path) as temporary:
        safe.to_csv(temporary, index=False, **settings)
    return path
