"""Gaps of several conditions together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import GAP_CONDITIONS, groups, known_columns
from afanalysis.errors import InputError
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.meta_analysis import NUMBERS, mean_over_conditions, random_effects
from afanalysis.table.counting import counts
from afanalysis.table.source import opened

_COLUMNS = ["conditions", "gap", "low", "high", "p_value", *NUMBERS, "warning"]


def pooled_gap(
    data: Any,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: conditions.Tiers | None = None,
) -> pd.DataFrame:
    """The mean gap of several conditions, and what they say of conditions like these.

    Parameters
    ----------
    data
        Rollouts, as in `compliance_gap`; or a table with one gap per row, as `published.estimates`
        gives, for which there is no mean of these conditions with an interval: that needs the prompts.
    by
        The columns within which conditions are pooled; groups of one condition are left out.
    outcome, tiers
        As in `compliance_gap`.
    level
        Confidence level in (0, 1), of the intervals made here and of those in a table of gaps.

    Returns
    -------
    DataFrame
        `by`, `conditions`; `gap`, `low`, `high`, `p_value`: the mean over these very conditions, each of
        which weighs alike; `population`, `population_low`, `population_high`: the mean over conditions
        like these; `predicted_low`, `predicted_high`: where the gap of one more condition would lie;
        `tau` (standard deviation of the true gaps; all proportions), `i2` (share of the gaps' variance
        that is not sampling error, 0-1), `q`, `p_homogeneity` (Cochran's test), `warning`.

    Raises
    ------
    InputError
        A column is missing.

    References
    ----------
    `afanalysis.stats.meta_analysis`.

    Examples
    --------
    >>> import pandas as pd
    >>> gaps = {"setting": "helpful-only", "gap": [0.1, 0.3], "low": [0.05, 0.2], "high": [0.15, 0.4]}
    >>> pooled_gap(pd.DataFrame(gaps))[["conditions", "population"]].values.tolist()
    [[2.0, 0.2]]
    """
    rows = []
    if {"low", "high"} < set(getattr(data, "columns", ())) & {"low", "high", "gap", "estimate"}:
        gaps, by = data, [by] if isinstance(by, str) else list(("setting",) if by is None else by)
        if "quantity" in gaps:
            gaps = gaps[gaps["quantity"] == "compliance_gap"].rename(columns={"estimate": "gap"})
        gaps = gaps.dropna(subset=["gap", "low", "high"])
        gaps = gaps.assign(se=(gaps["high"] - gaps["low"]) / (2 * float(ndtri((1 + level) / 2))))
        for key, part in gaps.groupby(by, dropna=False) if by else [((), gaps)]:
            pooled = random_effects(part["gap"], part["se"], level) if len(part) > 1 else _SINGLE
            rows.append(dict(zip(by, key, strict=True)) | pooled)
        return _table(rows, by)
    with opened(data) as source:
        by = known_columns(source, by, ("setting",), reserved=("tier",))
        every = list(dict.fromkeys([*by, *known_columns(source, None, GAP_CONDITIONS)]))
        counted = counts(source, outcome, [*every, "tier"])
    if not every:
        return _table([_SINGLE], by)
    counted, tiers = conditions.of_gap(counted, tiers)
    values = conditions.prompt_values(counted, every, tiers)
    if values.empty:
        raise InputError(f"no prompt has a known {outcome!r} in both tiers")
    odd = conditions.remarks(counted, by, tiers)
    asked = groups(counted[every].drop_duplicates(), by)
    number = {str(group): len(places) for group, places in asked}
    for group, places in groups(values.index.to_frame(index=False), by):
        part = values.iloc[places]
        lost = number[str(group)] - len(part)
        words = [f"{lost} conditions have no prompt in both tiers and are left out"] if lost else []
        pooled = _SINGLE
        if len(part) > 1:
            known = part.notna().to_numpy()
            mean = mean_over_conditions(part.fillna(0).to_numpy(), known)
            low, high = mean.interval(level)
            pooled = {"gap": float(mean.mean), "low": float(low), "high": float(high)}
            pooled["p_value"] = float(mean.p_value())
            several = BoundedMean.of(part.fillna(0).to_numpy(), -1, 1, known)
            pooled |= random_effects(several.mean, np.sqrt(several.variance), level)
        words += [odd[str(group)], pooled["warning"]]
        rows.append(group | pooled | {"warning": "; ".join(filter(None, words))})
    return _table(rows, by)


_SINGLE: dict[str, Any] = {"conditions": 1, "warning": "a single condition; there is nothing to pool"}


def _table(rows: list[dict[str, Any]], by: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=[*by, *_COLUMNS])
