"""Rates and compliance gaps by condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from afanalysis.analysis.conditions import (
    GAP_CONDITIONS,
    groups,
    known_columns,
    named,
    paired_counts,
    sources,
    stacked,
)
from afanalysis.errors import InputError
from afanalysis.stats import gap_intervals
from afanalysis.stats import rate_intervals as statistics
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.table.counting import counts
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import opened

if TYPE_CHECKING:
    import pandas as pd


def rates(
    data: Any,
    outcome: str = "complied",
    by: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    method: str = "wilson",
    seed: int = 0,
) -> pd.DataFrame:
    """The rate of an outcome by condition, with intervals that respect the clustering in prompts.

    Parameters
    ----------
    data
        Rollouts: a DataFrame with `prompt_id`, the outcome and the `by` columns, or a path (Parquet,
        CSV, JSONL, a folder, a list of these).
    outcome
        `complied`, `refused`, `af_reasoning`, … : a column of true/false or of numbers in 0-1.
    by
        Condition columns; by default those of model, setting, variation and tier that the rollouts have.
    level, method, seed
        As in `afanalysis.stats.rate_intervals.rate`.

    Returns
    -------
    DataFrame
        `by`, `outcome`, `n_prompts`, `n`, `rate`, `low`, `high`, `se` (proportions), `deff`, `icc`,
        `n_effective`, `n_missing`, `n_invalid`, `method`, `warning` (in words, where too few prompts or
        events leave the coverage of the interval unsure; else empty).

    Raises
    ------
    InputError
        A column is missing, there are no rows, or a condition has no known outcome.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabbcc"), "complied": [1, 1, 0, 0, 0, 1]})
    >>> rates(table, by=[])[["n_prompts", "n", "rate"]].values.tolist()
    [[3.0, 6.0, 0.5]]
    """
    by = known_columns(data, by, CONDITIONS)
    return rates_of_counts(counts(data, outcome, by), by, level, method, seed)


def rates_of_counts(
    counted: pd.DataFrame, by: list[str], level: float, method: str = "wilson", seed: int = 0
) -> pd.DataFrame:
    import pandas as pd

    numbers = counted[["n", "s", "n_missing", "n_invalid"]].to_numpy(dtype=float)
    conditions = groups(counted, ["outcome", *by])
    table = pd.DataFrame([condition for condition, _ in conditions])[[*by, "outcome"]]
    n, s, missing, invalid = stacked(numbers, conditions)
    for index in (n.sum(-1) == 0).nonzero()[0]:
        condition = dict(conditions[index][0])
        outcome = condition.pop("outcome")
        raise InputError(f"{named(condition)}: no rollout has a known {outcome!r}")
    estimate = statistics.clustered(n, s)
    if method == "bootstrap":
        each = [
            statistics.rate(*row, level=level, method=method, seed=seed)
            for row in zip(n, s, strict=True)
        ]
        low, high = [rate.low for rate in each], [rate.high for rate in each]
    else:
        low, high = statistics.interval(estimate, level, method)  # type: ignore[assignment]
    table["n_prompts"], table["n"] = estimate.prompts.astype(int), estimate.n.astype(int)
    table["rate"], table["low"], table["high"], table["se"] = estimate.rate, low, high, estimate.se
    table["deff"], table["icc"], table["n_effective"] = estimate.deff, estimate.icc, estimate.n_effective
    table["n_missing"], table["n_invalid"] = missing.sum(-1).astype(int), invalid.sum(-1).astype(int)
    table["method"] = method
    table["warning"] = list(map(statistics.small_sample_warning, estimate.prompts, estimate.events))
    return table


def compliance_gap(
    data: Any,
    by: Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    method: str = "adjusted-t",
    seed: int = 0,
) -> pd.DataFrame:
    """The compliance gap, rate(free) - rate(paid), paired by prompt.

    Parameters
    ----------
    data, outcome, level, method, seed
        As in `rates`; `method` as in `afanalysis.stats.gap_intervals.gap`. `data` needs a column
        `tier` with the values `free` and `paid`.
    by
        Condition columns; by default model, setting and variation, as far as the rollouts have them.

    Returns
    -------
    DataFrame
        `by`, `free`, `paid`, `gap`, `low`, `high`, `se` (proportions), `p_value` (sign-flip test,
        two-sided), `p_holm` (adjusted over the rows), `n_prompts`, `n_paired`, `n_unpaired`, `n`
        (samples of the tier that has fewer), `correlation` (of the two rates
        over prompts), `method`, `warning`.

    Raises
    ------
    InputError
        A column is missing, a tier is unknown, or a condition lacks one tier.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabb"), "tier": ["free", "paid"] * 2})
    >>> compliance_gap(table.assign(complied=[1, 0, 1, 1]), by=[])["gap"].tolist()
    [0.5]
    """
    by = known_columns(data, by, GAP_CONDITIONS)
    return gaps_of_counts(counts(data, outcome, [*by, "tier"]), by, level, method, seed)


def gap_by_method(
    data: Any, by: Sequence[str] | None = None, *, outcome: str = "complied", level: float = 0.95
) -> pd.DataFrame:
    """The compliance gap with the interval of each method, on the same rollouts.

    Parameters
    ----------
    data, by, outcome, level
        As in `compliance_gap`.

    Returns
    -------
    DataFrame
        The columns of `compliance_gap`, `source` and `level`; one row per method and condition, methods
        in the order of `afanalysis.stats.gap_intervals.METHODS`.

    Examples
    --------
    >>> import afanalysis as af
    >>> gap_by_method(af.example_rollouts(), ["setting"])["method"].iloc[0]
    'adjusted-t'
    """
    import pandas as pd

    with opened(data) as source:
        by = known_columns(source, by, GAP_CONDITIONS)
        counted = counts(source, outcome, [*by, "tier"])
        came_from = sources(source)
    parts = [gaps_of_counts(counted, by, level, method) for method in gap_intervals.METHODS]
    return pd.concat(parts, ignore_index=True).assign(source=came_from, level=level)


def gaps_of_counts(
    counted: pd.DataFrame, by: list[str], level: float, method: str = "adjusted-t", seed: int = 0
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for condition, part in paired_counts(counted, by):
        try:
            interval = vars(gap_intervals.gap(*part.T, level=level, method=method, seed=seed))
        except ValueError as error:
            raise InputError(f"{named(condition)}: {error}") from error
        rows.append(condition | interval | {"n": int(min(part[:, 0].sum(), part[:, 2].sum()))})
    table = pd.DataFrame(rows)
    table["p_holm"] = adjust(table["p_value"])
    order = [*by, "free", "paid", "gap", "low", "high", "se", "p_value", "p_holm", "n_prompts"]
    order += ["n_paired", "n_unpaired", "n", "correlation", "method", "warning"]
    return table[order]
