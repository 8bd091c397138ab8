"""Names made from content: the same content has the same name on any machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def stable_key(content: Any) -> str:
    """An id made from what it names: the same content gives the same 32 hex digits on any machine."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def text_hash(text: str) -> str:
    """The name by which a text is stored once and referred to often."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
