"""Graded verdicts: the gap by the score from which an answer complies."""

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import GAP_CONDITIONS, known_columns, sources
from afanalysis.analysis.rate_tables import compliance_gap
from afanalysis.stats.thresholds import candidate_thresholds
from afanalysis.table.source import opened


def score_thresholds(data: Any, *, level: float = 0.95) -> pd.DataFrame:
    """The compliance gap by the graded score from which an answer counts as complying.

    Parameters
    ----------
    data
        Rollouts with `score`, as imported logs with graded verdicts have it; those without one are left
        out.
    level
        Confidence level in (0, 1).

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
    parts = []
    with opened(data) as source:
        by = known_columns(source, None, GAP_CONDITIONS)
        scores = []
        if "score" in source.kinds:
            graded_rows = (
                "FROM rollouts WHERE score IS NOT NULL AND NOT isnan(score) AND valid IS NOT FALSE"
            )
            rows = source.connection.sql(f"SELECT DISTINCT score {graded_rows}")
            scores = [row[0] for row in rows.fetchall()]
            names = ", ".join([*by, "tier", "prompt_id"])
        for threshold in candidate_thresholds(scores):
            graded = source.connection.sql(
                f"SELECT {names}, score >= {threshold} AS complied {graded_rows}"
            ).df()
            gaps = compliance_gap(graded, by, level=level)
            parts.append(gaps.assign(threshold=threshold, source=sources(source), level=level))
    columns = [*by, "threshold", "free", "paid", "gap", "low", "high", "n", "source", "level"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts)[columns].sort_values([*by, "threshold"], ignore_index=True)
