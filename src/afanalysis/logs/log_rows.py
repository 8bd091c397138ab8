"""What the readers of the formats give: rows, those rejected, and the texts of messages."""

from typing import Any


class Rejected(Exception):
    """A row from which no rollout can be made; the message says why.

    Parameters
    ----------
    reason
        Why, in words that are the same for all such rows.
    detail
        What was found.
    """

    def __init__(self, reason: str, detail: Any = "") -> None:
        super().__init__(reason)
        self.detail = str(detail)


# A row's number in its file, what it holds or why it was rejected, and what was forgiven in it.
Row = tuple[int, Any, str]


def object_of(value: Any) -> dict[str, Any]:
    """A value of JSON that should be an object; empty where it is something else."""
    return value if isinstance(value, dict) else {}


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
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    texts = [block.get(kind) for block in blocks if block.get("type") == kind]
    return separator.join(text for text in texts if isinstance(text, str))
