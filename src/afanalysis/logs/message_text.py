"""The text of a message, which comes as it is or in blocks."""

from __future__ import annotations

from typing import Any


def text_of(content: Any, kind: str = "text", separator: str = "") -> str:
    """The text of a message's content.

    Parameters
    ----------
    content
        A text, or a list of blocks such as `{"type": "text", "text": "Yes."}`.
    kind
        Which blocks: `text`, or `thinking`, whose text is in the field of that name.
    separator
        What to put between blocks.

    Examples
    --------
    >>> text_of([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}])
    'Yes.'
    """
    if isinstance(content, str):
        return content if kind == "text" else ""
    blocks = [block for block in content or () if isinstance(block, dict)]
    return separator.join(block.get(kind) or "" for block in blocks if block.get("type") == kind)
