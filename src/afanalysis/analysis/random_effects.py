"""Whether conditions differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from afanalysis.stats.meta_analysis import heterogeneity

if TYPE_CHECKING:
    import pandas as pd


def gap_heterogeneity(
    gaps: pd.DataFrame, by: Sequence[str] = ("setting",), *, level: float = 0.95
) -> pd.DataFrame:
    """A random-effects summary of the compliance gap over conditions.

    Parameters
    ----------
    gaps
        One row per condition: what `compliance_gap` gives, or estimates, whose other quantities are
        left out. A standard error that has width wherever the interval has is taken from the interval.
    by
        The columns within which conditions are summed up; groups of one condition are left out.
    level
        Confidence level in (0, 1) of the intervals in `gaps` and of those made here.

    Returns
    -------
    DataFrame
        `by`, `k` (conditions), `pooled`, `low`, `high` (the mean gap), `tau` (standard deviation of the
        true gaps; all proportions), `i2` (share of the variance that is not chance, 0-1), `q`,
        `p_value` (Cochran's test), `predicted_low`, `predicted_high` (where the gap of one more
        condition would lie).

    References
    ----------
    `afanalysis.stats.meta_analysis.heterogeneity`.

    Examples
    --------
    >>> import pandas as pd
    >>> gaps = {"setting": "helpful-only", "gap": [0.1, 0.3], "low": [0.05, 0.2], "high": [0.15, 0.4]}
    >>> gap_heterogeneity(pd.DataFrame(gaps))[["k", "tau"]].round(3).values.tolist()
    [[2.0, 0.136]]
    """
    import pandas as pd
    from scipy.special import ndtri

    if "quantity" in gaps:
        gaps = gaps[gaps["quantity"] == "compliance_gap"].rename(columns={"estimate": "gap"})
    rows = []
    for key, part in gaps.groupby(list(by)):
        if len(part) > 1:
            error = (part["high"] - part["low"]) / (2 * float(ndtri((1 + level) / 2)))
            ordered = part.assign(error=error).sort_values("gap", ascending=False)
            summary = heterogeneity(ordered["gap"], ordered["error"], level)
            rows.append(dict(zip(by, key, strict=True)) | vars(summary))
    return pd.DataFrame(rows)
