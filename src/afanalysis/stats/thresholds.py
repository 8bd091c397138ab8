"""Thresholds on graded scores."""

from collections.abc import Iterable

_MANY_SCORES = 16


def candidate_thresholds(scores: Iterable[float]) -> list[float]:
    """The scores that are worth a threshold: those that occur, or eighths where many do."""
    distinct = sorted({score for score in scores if score > 0})
    return distinct if len(distinct) <= _MANY_SCORES else [eighths / 8 for eighths in range(1, 9)]
