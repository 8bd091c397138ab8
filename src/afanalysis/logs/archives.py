"""Zip archives from elsewhere, read without harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs.finding import LONGEST_RECORD

# An archive whose content is this many times its size, and larger than that many bytes, is a bomb.
_MOST_EXPANSION = 200

_EXPANSION_ALLOWED = 1 << 30

_MOST_MEMBERS = 1_000_000


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive that is to be read member by member, never unpacked.

    Raises
    ------
    InputError
        It is not an archive, its content is out of all proportion to its size, or a member's name
        points outside of the archive.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"{path}: is not a zip archive, or a damaged one ({error})") from error
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise InputError(f"{path}: holds {len(members):,} members; no log does")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
            raise InputError(f"{path}: member {member.filename!r} points outside of the archive")
    unpacked, size = sum(member.file_size for member in members), path.stat().st_size
    if unpacked > _EXPANSION_ALLOWED and unpacked > _MOST_EXPANSION * size:
        raise InputError(
            f"{path}: {size:,} bytes would unpack to {unpacked:,}; that is a bomb and not a log"
        )
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member, of which no more is unpacked than a record may be long."""
    try:
        with archive.open(name) as member:
            content = member.read(LONGEST_RECORD + 1)
    except Exception as error:  # each compression has errors of its own
        raise InputError(
            f"{archive.filename}: member {name!r} cannot be read, or is damaged ({error})"
        ) from error
    if len(content) > LONGEST_RECORD:
        raise InputError(
            f"{archive.filename}: member {name!r} is longer than {LONGEST_RECORD >> 20} MB; no rollout "
            "is"
        )
    return content
