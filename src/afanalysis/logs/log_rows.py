"""What the readers of the formats give: rows, and rows from which no rollout can be made."""

from __future__ import annotations

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
