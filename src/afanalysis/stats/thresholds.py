"""Thresholds on graded scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def candidate_thresholds(scores: Iterable[float]) -> list[float]:
    """The scores that are worth a threshold: those that occur, or eighths where many do."""
    found = sorted({score for score in scores if score > 0})
    return found if len(found) <= _MANY_SCORES else [at / 8 for at in range(1, 9)]


_MANY_SCORES = 16
