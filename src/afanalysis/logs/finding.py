"""Find the files to import, and refuse those that are made to do harm."""

from __future__ import annotations

import glob
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from afanalysis.errors import InputError

SUFFIXES = (".eval", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

# No rollout is longer than this; whatever is, is something else.
LONGEST_RECORD = 32 << 20

# An archive whose content is this many times its size, and larger than that many bytes, is a bomb.
MOST_EXPANSION = 200

EXPANSION_ALLOWED = 1 << 30

MOST_MEMBERS = 1_000_000


@dataclass(frozen=True)
class Found:
    """A file to import, and how it is called in the report."""

    path: Path
    name: str


def find(paths: Sequence[str | Path]) -> tuple[list[Found], list[str]]:
    """The files that paths, folders and globs stand for, each once and in the order of their names.

    Returns
    -------
    tuple
        The files, and the names of those in folders that are of no format known here.

    Raises
    ------
    InputError
        Nothing is there, nothing in it can be imported, or links lead in a circle.
    """
    found: dict[Path, Found] = {}
    others: list[str] = []
    for given in paths:
        for path in _expanded(given):
            if path.is_dir():
                inside = list(_walk(path))
                others += [one.name for one in inside if one.path.suffix.lower() not in SUFFIXES]
                files = [one for one in inside if one.path.suffix.lower() in SUFFIXES]
                if not files:
                    raise InputError(f"{path}: holds no file that ends in {', '.join(SUFFIXES)}")
            else:
                files = [Found(path, path.name)]
            for file in files:
                found.setdefault(file.path.resolve(), file)
    return sorted(found.values(), key=lambda one: (one.name, str(one.path))), sorted(others)


def _expanded(given: str | Path) -> list[Path]:
    try:
        if Path(given).exists():
            return [Path(given)]
        matching = sorted(glob.glob(str(given), recursive=True))
    except OSError as error:
        raise InputError(f"{given}: cannot be read ({error.strerror})") from error
    if not matching:
        raise InputError(f"{given}: there is no such file or folder")
    return [Path(one) for one in matching]


def _walk(folder: Path) -> Iterator[Found]:
    """The files in a folder, links followed."""
    above: dict[str, tuple[str, ...]] = {str(folder): (os.path.realpath(folder),)}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        for name in folders:
            inside = os.path.join(place, name)
            real = os.path.realpath(inside)
            if real in above[place]:
                raise InputError(f"{inside}: is a link that leads back to {real}; remove it")
            above[inside] = (*above[place], real)
        for name in files:
            path = Path(place, name)
            if not path.exists():
                raise InputError(f"{path}: is a link that leads nowhere or to itself; remove it")
            yield Found(path, path.relative_to(folder).as_posix())


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error


class Archive:
    """A zip archive that is read member by member, never unpacked, and refused where it is made to harm.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        It is no archive, its content is out of all proportion to its size, or a member is named as if
        it belonged outside of the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise InputError(f"{path}: is not a zip archive, or a damaged one ({error})") from error
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise InputError(f"{path}: holds {len(members):,} members; no log does")
        for member in members:
            name = member.filename.replace("\\", "/")
            if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
                raise InputError(f"{path}: member {member.filename!r} points outside of the archive")
        whole = sum(member.file_size for member in members)
        size = path.stat().st_size
        if whole > EXPANSION_ALLOWED and whole > MOST_EXPANSION * size:
            raise InputError(
                f"{path}: {size:,} bytes would unpack to {whole:,}; that is a bomb and not a log"
            )
        self.names = sorted({member.filename for member in members})

    def read(self, name: str) -> bytes:
        """The content of a member, of which no more is unpacked than a record may be long."""
        try:
            with self._zip.open(name) as member:
                content = member.read(LONGEST_RECORD + 1)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise InputError(f"{self.path}: member {name!r} cannot be read ({error})") from error
        except Exception as error:  # each compression has errors of its own
            raise InputError(f"{self.path}: member {name!r} is damaged ({error})") from error
        if len(content) > LONGEST_RECORD:
            raise InputError(
                f"{self.path}: member {name!r} is longer than {LONGEST_RECORD >> 20} MB; no rollout is"
            )
        return content

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
