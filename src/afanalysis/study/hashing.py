"""Names made from content: the same content has the same name on every machine."""

import hashlib
import json
from pathlib import Path
from typing import Any


def stable_key(content: Any) -> str:
    """The key of what JSON can hold: 32 hex digits."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def text_hash(text: str) -> str:
    """The name by which a text is stored once and referred to often: 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
