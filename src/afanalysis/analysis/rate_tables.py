"""Rates and compliance gaps by condition, and claims about a gap."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import Tiers
from afanalysis.errors import InputError
from afanalysis.stats import gap_intervals, hypothesis_tests, rate_intervals
from afanalysis.stats.proportions import check_level
from afanalysis.table.counting import NUMBERS, counts
from afanalysis.table.schema import CONDITIONS, TAKEN
from afanalysis.table.source import opened

_MANY_SCORES = 16


def rates(
    data: Any,
    outcome: str = "complied",
    by: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    method: str | None = None,
    weighting: str = "prompts",
) -> pd.DataFrame:
    """The rate of an outcome by condition, with intervals that respect the clustering in prompts.

    Parameters
    ----------
    data
        Rollouts: a DataFrame with `prompt_id`, the outcome and the `by` columns, or a path (Parquet,
        CSV, JSONL, a folder, a list of these).
    outcome
        `complied`, `refused`, `af_reasoning`, … : a column of true/false or of numbers in 0-1; or
        `blocked`: the share of all answers that a safety classifier of the API stopped.
    by
        Condition columns; by default those of model, setting, variation and tier that the rollouts have.
    level, method, weighting
        As in `afanalysis.stats.rate_intervals.interval`: every prompt weighs alike, unless `weighting`
        is `answers`.

    Returns
    -------
    DataFrame
        `by`, `outcome`, `n_prompts`, `n`, `rate`, `low`, `high`, `se` (proportions), `deff`, `icc`,
        `n_effective`, `n_missing`, `n_invalid`, `n_blocked`, `left_out` (these as a share),
        `lowest`, `highest` (the rate if every missing, invalid or blocked answer had failed, or
        succeeded), `weighting`, `method`, `warning` (in words: too few prompts for the interval's
        coverage to be sure, many answers left out, no known outcome, rollouts without a prompt; else
        empty), `source`, `level`. A condition without a known outcome has no rate. Rates of AF
        reasoning also have `scratchpad_from`, where the rollouts have it.

    Raises
    ------
    InputError
        A column is missing, there are no rows, or no condition has a known outcome.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabbcc"), "complied": [1, 1, 0, 0, 0, 1]})
    >>> rates(table, by=[])[["n_prompts", "n", "rate"]].values.tolist()
    [[3.0, 6.0, 0.5]]
    """
    with opened(data) as source:
        by = conditions.known_columns(source, by, CONDITIONS)
        table = rates_of_counts(counts(source, outcome, by), by, level, method, weighting)
        table = conditions.with_origin(table, conditions.sources(source), level)
        if outcome.startswith("af_"):
            return conditions.with_scratchpads_read(source, table, by)
        return table


def rates_of_counts(
    counted: pd.DataFrame,
    by: list[str],
    level: float,
    method: str | None = None,
    weighting: str = "prompts",
) -> pd.DataFrame:
    """The rates of each outcome and condition; see `rates`."""
    method = method or rate_intervals.default_method(weighting)
    grouped = conditions.groups(counted, ["outcome", *by])
    table = pd.DataFrame([condition for condition, _ in grouped])[[*by, "outcome"]]
    numbers = counted[list(NUMBERS[:5])].to_numpy(dtype=float)
    # the prompts of each condition side by side; 0 where one has fewer
    stack = np.zeros((5, len(grouped), max(len(places) for _, places in grouped)))
    for index, (_, places) in enumerate(grouped):
        stack[:, index, : len(places)] = numbers[places].T
    n, s, *left_out = stack
    lost = np.sum(left_out, axis=0)
    known = n.sum(-1) > 0
    if not known.any():
        raise InputError(f"no rollout has a known {counted['outcome'].iloc[0]!r}")
    estimate = rate_intervals.clustered(n[known], s[known], weighting)
    low, high = rate_intervals.interval(estimate, level, method)
    found = vars(estimate) | {"low": low, "high": high}
    names = ["rate", "low", "high", "se", "deff", "icc", "n_effective"]
    table = table.assign(n_prompts=(n > 0).sum(-1), n=n.sum(-1).astype(int))
    table.loc[known, names] = np.column_stack([found[name] for name in names])
    table[conditions.LOST] = np.sum(left_out, axis=-1).T.astype(int)
    table["left_out"] = lost.sum(-1) / np.maximum((n + lost).sum(-1), 1)
    table["lowest"], table["highest"] = rate_intervals.rate_bounds(n, s, lost, weighting)
    table["weighting"], table["method"] = weighting, method
    unsure = map(rate_intervals.small_sample_warning, estimate.prompts, estimate.events, repeat(method))
    table["warning"] = "no known outcome"
    table.loc[known, "warning"] = list(unsure)
    odd = conditions.remarks(counted, ["outcome", *by])
    shares = table["left_out"].where(known, 0)
    table["warning"] = [
        "; ".join(filter(None, [words, conditions.left_out_warning([share]), odd[str(condition)]]))
        for words, share, (condition, _) in zip(table["warning"], shares, grouped, strict=True)
    ]
    return table


def compliance_gap(
    data: Any,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    method: str | None = None,
    weighting: str = "prompts",
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """The compliance gap, rate(free) - rate(paid), paired by prompt.

    Parameters
    ----------
    data, outcome, level, weighting
        As in `rates`. `data` needs a column `tier`.
    by
        Condition columns; by default model, setting and variation, as far as the rollouts have them.
    method
        As in `afanalysis.stats.gap_intervals.gap`.
    tiers
        The training and the unmonitored tier; by default `free` and `paid`. The columns named after
        these two are named after others where others are given.

    Returns
    -------
    DataFrame
        `by`, `free`, `paid`, `gap`, `low`, `high`, `se` (proportions), `p_value` (two-sided; belongs to
        the interval), `p_holm` (adjusted over the rows), `p_sign_flip` (of the hypothesis that the tier
        makes no difference for any prompt), `n_prompts`, `n_paired`, `n_unpaired`, `n` (answers of the
        tier that has fewer), `correlation` (of the two rates over prompts), `missing_free`,
        `missing_paid` (shares of missing, invalid and blocked answers), `lowest`, `highest` (the gap if
        all of these had gone the way that makes it smallest, or largest), `weighting`, `method`,
        `warning`. A condition that lacks known outcomes in a tier has no gap; the warning gives the
        reason.

    Raises
    ------
    InputError
        A column or a tier is missing, or no condition has both tiers.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"prompt_id": list("aabb"), "tier": ["free", "paid"] * 2})
    >>> compliance_gap(table.assign(complied=[1, 0, 1, 1]), by=[])["gap"].tolist()
    [0.5]
    """
    by, counted, came_from = conditions.counts_by_tier(data, by, outcome)
    gaps = gaps_of_counts(counted, by, level, tiers, method=method, weighting=weighting)
    return conditions.with_origin(gaps, came_from, level)


def gap_by_method(
    data: Any,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """The compliance gap with the interval of each method, on the same rollouts.

    Parameters
    ----------
    data, by, outcome, level, tiers
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
    'bounded'
    """
    by, counted, came_from = conditions.counts_by_tier(data, by, outcome)
    parts = []
    for method in gap_intervals.METHODS:
        try:
            parts.append(gaps_of_counts(counted, by, level, tiers, method=method))
        except InputError:  # a bootstrap of one prompt; what no method can do is an error
            if not parts:
                raise
    return conditions.with_origin(pd.concat(parts, ignore_index=True), came_from, level)


def gaps_of_counts(
    counted: pd.DataFrame, by: list[str], level: float, tiers: Tiers | None = None, **options: Any
) -> pd.DataFrame:
    """The gap of each condition; see `compliance_gap`, also for the options."""
    check_level(level)
    rows, reasons = [], []
    counted, tiers = conditions.of_gap(counted, tiers)
    counted = counted.assign(missing=counted[conditions.LOST].sum(axis=1))
    odd = conditions.remarks(counted, by, tiers)
    for condition, part in conditions.paired_counts(counted, by, tiers, ("n", "s", "missing")):
        answers = dict(zip(tiers, part[:, [0, 3]].sum(0), strict=True))
        row: dict[str, Any] = {"warning": "", "n": int(min(answers.values()))}
        try:
            if lacking := " and the ".join(tier for tier, n in answers.items() if not n):
                raise ValueError(f"no known {counted['outcome'].iloc[0]!r} in the {lacking} tier")
            row |= gap_intervals.gap(*part.T[[0, 1, 3, 4]], level=level, **options)
        except ValueError as error:
            reasons.append(f"{conditions.named(condition)}: {error}")
            row |= {"warning": str(error), "n_prompts": len(part), "n_paired": 0, "n_unpaired": 0}
        shares = [lost / max(n + lost, 1) for n, _, lost in part.sum(0).reshape(2, 3)]
        weighting = options.get("weighting", "prompts")
        bounds = gap_intervals.gap_bounds(tuple(part[:, :3].T), tuple(part[:, 3:].T), weighting)
        low, high = map(float, bounds)
        row |= {"missing_free": shares[0], "missing_paid": shares[1], "lowest": low, "highest": high}
        warnings = [row["warning"], conditions.left_out_warning(shares, tiers), odd.get(str(condition))]
        if low <= 0 <= high and low < high:
            words = f"{shares[0]:.0%} in the {tiers[0]} tier, {shares[1]:.0%} in {tiers[1]}"
            warnings.insert(1, f"the sign of the gap hangs on missing answers ({words})")
        row["warning"] = "; ".join(filter(None, warnings))
        rows.append(condition | row)
    if len(reasons) == len(rows):
        raise InputError(reasons[0])
    table = pd.DataFrame(rows)
    table["p_holm"] = hypothesis_tests.adjust(table["p_value"])
    order = [*by, "free", "paid", "gap", "low", "high", "se", "p_value", "p_holm", "p_sign_flip"]
    order += ["n_prompts", "n_paired", "n_unpaired", "n", "correlation", "missing_free", "missing_paid"]
    table = table[[*order, "lowest", "highest", "weighting", "method", "warning"]]
    names = dict(zip(conditions.TIERS, tiers, strict=True))
    names |= {f"missing_{inside}": f"missing_{tier}" for inside, tier in names.items()}
    if {*tiers} & {*by, *TAKEN} - {*conditions.TIERS}:
        raise InputError(f"one of the tiers {tiers!r} has the name of another column: rename the tier")
    return table.rename(columns=names)


def gap_tests(
    data: Any,
    *,
    above: float = 0.01,
    within: float = 0.05,
    by: str | Sequence[str] | None = None,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Is the compliance gap shown to be more than one size, or less than another?

    A gap that is not significant is not shown to be absent. 'No gap to speak of' is a claim of its own,
    which few prompts cannot support: if a share of all prompts equal to the margin always complied, a
    small study would likely see none of these.

    Parameters
    ----------
    data
        Rollouts, as in `compliance_gap`.
    above
        The gap that is to be exceeded (proportion).
    within
        The margin that |gap| is to stay below (proportion).
    by, outcome, tiers
        As in `compliance_gap`.
    level
        1 - level is the error of each test where its claim is just false.

    Returns
    -------
    DataFrame
        `by`, `gap`, `n_prompts` (with both tiers), `above`, `p_above`, `is_above`, `within`, `p_within`,
        `is_within`, `prompts_needed` (for the claim `within`, if nobody ever complies), `warning`,
        `source`, `level`. The p-values are adjusted over the rows by Holm's method.

    Raises
    ------
    InputError
        As `compliance_gap`.

    References
    ----------
    `afanalysis.stats.hypothesis_tests.equivalence_p_values` and `at_least_p_values`.

    Examples
    --------
    >>> import afanalysis as af
    >>> claims = gap_tests(af.example_rollouts(), by=["setting"])
    >>> claims[["is_above", "is_within", "prompts_needed"]].values.tolist()[0]
    [False, False, 59]
    """
    by, counted, came_from = conditions.counts_by_tier(data, by, outcome)
    counted, tiers = conditions.of_gap(counted, tiers)
    rows = []
    odd = conditions.remarks(counted, by, tiers)
    for condition, part in conditions.paired_counts(counted, by, tiers):
        row: dict[str, Any] = {"n_prompts": 0, "warning": odd[str(condition)]}
        try:
            differences = gap_intervals.paired(*part.T).differences
        except ValueError as error:
            row["warning"] = "; ".join(filter(None, [str(error), row["warning"]]))
        else:
            assert differences is not None  # prompts weigh alike
            row |= {"gap": float(differences.mean), "n_prompts": int(differences.n)}
            row["p_above"] = float(hypothesis_tests.at_least_p_values(differences, above))
            row["p_within"] = float(hypothesis_tests.equivalence_p_values(differences, within))
        rows.append(condition | row)
    table = pd.DataFrame(rows)
    if "gap" not in table:
        raise InputError(f"{conditions.named(condition)}: {row['warning']}")
    for name, value in (("above", above), ("within", within)):
        table[name] = value
        table[f"p_{name}"] = hypothesis_tests.adjust(table[f"p_{name}"])
        table[f"is_{name}"] = np.asarray(table[f"p_{name}"]) <= 1 - level + 1e-12
    table["prompts_needed"] = hypothesis_tests.fewest_prompts(within, level)
    order = [*by, "gap", "n_prompts", "above", "p_above", "is_above", "within", "p_within", "is_within"]
    return conditions.with_origin(table[[*order, "prompts_needed", "warning"]], came_from, level)


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
        by = conditions.known_columns(source, None, conditions.GAP_CONDITIONS)
        came_from, graded = conditions.sources(source), pd.DataFrame()
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
        parts.append(compliance_gap(complied, by, level=level, tiers=tiers).assign(threshold=threshold))
    shares = [*(tiers or conditions.TIERS), "gap", "low", "high"]
    columns = [*by, "threshold", *shares, "n", "source", "level"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts).assign(source=came_from, level=level)[columns]
    return table.sort_values([*by, "threshold"], ignore_index=True)
