"""Text that others wrote, made valid and safe to show."""

from __future__ import annotations

import json
import unicodedata
from typing import Any


def escape_invisible(text: str | None, most: int = 4000) -> str:
    r"""A model's text for reading: hidden characters spelled out, and cut if it is very long.

    Characters that reorder, hide or break text (control, format, private, unassigned) are written as
    their code points, so that the reader sees everything that is there.

    Examples
    --------
    >>> escape_invisible("a\u202eb")
    'a⟨U+202E⟩b'
    """
    text = text or ""
    shown = "".join(
        f"⟨U+{ord(letter):04X}⟩"
        if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
        and letter not in "\n\t"
        else letter
        for letter in text[:most]
    )
    return shown if len(text) <= most else f"{shown}… [{len(text) - most:,} characters more]"


def guard_formula(text: str) -> str:
    """A text for a CSV cell, after an apostrophe where a spreadsheet would take it for a formula.

    Examples
    --------
    >>> guard_formula("=1+1"), guard_formula("1+1")
    ("'=1+1", '1+1')
    """
    return "'" + text if text.startswith(tuple("=+-@\t\r")) else text


def without_surrogates(value: Any) -> Any:
    r"""What JSON can hold, with lone surrogates replaced: they are not characters and cannot be written.

    Examples
    --------
    >>> without_surrogates({"text": "a\ud800"}) == {"text": "a\ufffd"}
    True
    """
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
