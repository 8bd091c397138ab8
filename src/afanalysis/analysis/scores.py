"""Graded verdicts: the gap by the score from which an answer complies."""

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import GAP_CONDITIONS, TIERS, Tiers, known_columns, sources
from afanalysis.analysis.rate_tables import compliance_gap
from afanalysis.table.source import opened

_MANY_SCORES = 16


def score_thresholds(data: Any, *, level: float = 0.95, tiers: Tiers | None = None) -> pd.DataFrame:
    """The compliance gap by the graded score from which an answer counts as complying.

    Parameters
    ----------
    data
        Rollouts with `score`, as imported logs with graded verdicts have it; those without one are left
        out.
    level
        Confidence level in (0, 1).
    tiers
        As in `compliance_gap`; the columns `free` and `paid` are named by them.

    Returns
    -------
    DataFrame
        `model`, `setting`, `variation`, `threshold`, `free`, `paid`, `gap`, `low`, `high` (proportions),
        `n`, `source`, `level`; one row per condition and threshold, the thresholds being the scores that
        occur (eighths, where more than sixteen do). Empty where nothing has a score.

    Raises
    ------
    InputError
        A condition has one tier only.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabb"), "tier": ["free", "paid"] * 2})
    >>> graded = table.assign(score=[1, 0, 0.5, 0.5], valid=True)
    >>> score_thresholds(graded)[["threshold", "gap"]].values.tolist()
    [[0.5, 0.5], [1.0, 0.5]]
    """
    with opened(data) as source:
        by = known_columns(source, None, GAP_CONDITIONS)
        came_from, graded = sources(source), pd.DataFrame()
        if "score" in source.kinds:
            graded = source.connection.sql(
                f"SELECT {', '.join([*by, 'tier', 'prompt_id'])}, score FROM rollouts "
                "WHERE score IS NOT NULL AND NOT isnan(score) AND valid IS NOT FALSE"
            ).df()
    parts = []
    scores = sorted({score for score in graded.get("score", ()) if score > 0})
    thresholds = scores if len(scores) <= _MANY_SCORES else [eighths / 8 for eighths in range(1, 9)]
    for threshold in thresholds:
        complied = graded.assign(complied=graded["score"] >= threshold)
        gaps = compliance_gap(complied, by, level=level, tiers=tiers)
        parts.append(gaps.assign(threshold=threshold))
    columns = [*by, "threshold", *(tiers or TIERS), "gap", "low", "high", "n", "source", "level"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts).assign(source=came_from, level=level)[columns]
    return table.sort_values([*by, "threshold"], ignore_index=True)
