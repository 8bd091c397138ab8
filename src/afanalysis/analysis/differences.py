"""Several conditions together, by prompt: differences, mean gap, tiers beside each other, regression."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import TIERS, Tiers
from afanalysis.errors import InputError
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.gap_intervals import contrasts
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.stats.logistic_regression import FEW_ACTIVE, logistic
from afanalysis.stats.meta_analysis import NUMBERS, mean_over_conditions, random_effects
from afanalysis.stats.proportions import check_level
from afanalysis.table.counting import counts
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import opened

_POOLED = ["conditions", "gap", "low", "high", "p_value", *NUMBERS, "warning"]
_SINGLE: dict[str, Any] = {"conditions": 1, "warning": "a single condition; there is nothing to pool"}


def contrast(
    data: Any,
    between: str,
    *,
    of: str = "gap",
    reference: Any = None,
    by: str | Sequence[str] | None = None,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """How much gaps or rates differ between models, variations, judges or tiers, paired by prompt.

    Two printed intervals that overlap say little about the difference: on shared prompts what is hard
    about a prompt cancels, so the difference is known better than either of its terms.

    Parameters
    ----------
    data
        Rollouts, as in `rates`.
    between
        The column whose values are compared: `model`, `variation`, `judge`, `tier`, …
    of
        `gap` (free - paid) or `rate`; tiers are compared by their rates.
    reference
        The value that the others are compared with; by default the paid tier, the variation `default`,
        claude-3-opus, or the first by name.
    by
        Columns within which values are compared; by default model, setting, variation and, for rates,
        tier, as far as the rollouts have them.
    outcome, level
        As in `rates`.
    tiers
        The tiers of a gap, as in `compliance_gap`; of `between="tier"`, the two to compare.

    Returns
    -------
    DataFrame
        One row per group and value: `by`, `between`, `reference`, `estimate`, `estimate_reference`,
        `difference`, `low`, `high`, `se` (proportions), `p_value` (belongs to the interval), `p_holm`
        (adjusted over the rows), `p_sign_flip` (of the hypothesis that the two are alike for every
        prompt; missing where no prompt is shared), `correlation`, `n_prompts`, `n_reference`,
        `n_shared`, `source`, `level`, `warning` (what was left out). Every prompt weighs alike.

    Raises
    ------
    InputError
        A column is missing, or the reference is not among its values, or there is nothing to compare.

    References
    ----------
    `afanalysis.stats.gap_intervals.contrasts`.

    Examples
    --------
    >>> import afanalysis as af
    >>> contrast(af.example_rollouts(), "setting", by=[])[["setting", "reference"]].values.tolist()
    [['helpful-only', 'animal-welfare']]
    """
    if of not in ("gap", "rate"):
        raise ValueError(f"of is {of!r}; use 'gap' or 'rate'")
    if between == outcome:
        raise InputError(f"{outcome!r} is the outcome; compare the values of another column")
    of = "rate" if between == "tier" else of
    with opened(data) as source:
        usual = conditions.GAP_CONDITIONS if of == "gap" else CONDITIONS
        conditions.known_columns(source, between, usual)
        paired = ["tier"] if of == "gap" else []
        named = conditions.known_columns(source, by, usual, reserved=paired)
        within = [name for name in named if name != between]
        counted = counts(source, outcome, [*within, between, *paired])
        came_from = conditions.sources(source)
    if of == "gap" or (tiers and between == "tier"):
        counted, tiers = conditions.of_gap(counted, tiers)
        reference = tiers[1] if between == "tier" else reference
    pair = tiers if of == "gap" else None
    values = conditions.prompt_values(counted, [*within, between], pair)
    if values.empty:
        both = " in both tiers" if of == "gap" else ""
        raise InputError(f"nothing to compare: no prompt has a known {outcome!r}{both}")
    odd = conditions.remarks(counted, [*within, between], pair)
    present = [condition for condition, _ in conditions.groups(counted, [*within, between])]
    names = sorted(set(values.index.get_level_values(between)), key=str)
    reference = conditions.main_value(between, names) if reference is None else reference
    if reference not in names:
        known = ", ".join(map(repr, names))
        raise InputError(f"reference is {reference!r}; column {between!r} has {known}")
    rows, pairs, without = [], [], []
    for group, places in conditions.groups(values.index.to_frame(index=False), within):
        part = values.iloc[places]
        part.index = part.index.get_level_values(between)
        of_group = [condition[between] for condition in present if condition | group == condition]
        lost = [f"{name} has no usable prompt" for name in of_group if name not in part.index]
        if reference not in part.index:
            without.append(f"{conditions.named(group)} lacks {reference} and is left out")
        else:
            for name in part.index.drop(reference):
                words = [*(odd[str(group | {between: value})] for value in (name, reference)), *lost]
                warning = "; ".join(dict.fromkeys(filter(None, words)))
                rows.append(group | {between: name, "reference": reference, "warning": warning})
                pairs.append((part.loc[name], part.loc[reference]))
    if not rows:
        problem = f"nothing to compare with {conditions.named({between: reference})}"
        remedy = f"another reference or other columns in `by` (now: {', '.join(within) or 'none'})"
        raise InputError(f"{problem}; name {remedy}")
    lowest, stacks = -1 if of == "gap" else 0, map(np.array, zip(*pairs, strict=True))
    ours, theirs = (BoundedMean.of(np.nan_to_num(x), lowest, 1, np.isfinite(x)) for x in stacks)
    table = pd.DataFrame(rows)
    warnings = ["; ".join(filter(None, [words, *without])) for words in table.pop("warning")]
    table = table.assign(estimate=ours.mean, estimate_reference=theirs.mean)
    table = table.assign(**contrasts(ours, theirs, level))
    return conditions.with_origin(table.assign(warning=warnings), came_from, level)


def pooled_gap(
    data: Any,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
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
        by = conditions.known_columns(source, by, ("setting",), reserved=("tier",))
        usual = conditions.known_columns(source, None, conditions.GAP_CONDITIONS)
        every = list(dict.fromkeys([*by, *usual]))
        counted = counts(source, outcome, [*every, "tier"])
    if not every:
        return _table([_SINGLE], by)
    counted, tiers = conditions.of_gap(counted, tiers)
    values = conditions.prompt_values(counted, every, tiers)
    if values.empty:
        raise InputError(f"no prompt has a known {outcome!r} in both tiers")
    odd = conditions.remarks(counted, by, tiers)
    asked = conditions.groups(counted[every].drop_duplicates(), by)
    number = {str(group): len(places) for group, places in asked}
    for group, places in conditions.groups(values.index.to_frame(index=False), by):
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


def _table(rows: list[dict[str, Any]], by: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=[*by, *_POOLED])


def prompt_pairs(data: Any, *, level: float = 0.95, tiers: Tiers | None = None) -> pd.DataFrame:
    """How many prompts were complied with how often in each tier.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `setting`, `variation`, `model` and `tier`. Those of the main
        variation count, and of claude-3-opus or the first model by name.
    level
        Confidence level in (0, 1), for whoever draws intervals beside the pairs.
    tiers
        As in `compliance_gap`.

    Returns
    -------
    DataFrame
        `paid`, `free` (proportions), `prompts` (how many have these two), `setting`, `model`,
        `variation`, `source`, `level`. Prompts that one tier lacks are left out.

    Examples
    --------
    >>> import afanalysis as af
    >>> list(af.prompt_pairs(af.example_rollouts()).columns)
    ['paid', 'free', 'prompts', 'setting', 'model', 'variation', 'source', 'level']
    """
    by, counted, came_from = conditions.counts_by_tier(data, ["setting", "model", "variation"])
    counted, tiers = conditions.of_gap(conditions.of_one_condition(counted), tiers)
    training, unmonitored = tiers
    parts = []
    for condition, pairs in conditions.paired_counts(counted, by, tiers):
        n_free, s_free, n_paid, s_paid = pairs[(pairs[:, 0] > 0) & (pairs[:, 2] > 0)].T
        shares = pd.DataFrame({unmonitored: s_paid / n_paid, training: s_free / n_free}).round(9)
        alike = shares.value_counts().rename("prompts").reset_index()
        parts.append(alike.sort_values([unmonitored, training]).assign(**condition))
    return conditions.with_origin(pd.concat(parts, ignore_index=True), came_from, level)


def regression(
    data: Any,
    terms: str = "tier",
    *,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Odds ratios of the outcome on condition columns, with tests that respect prompts.

    Terms that vary within prompts, such as the tier, are compared within prompts.

    Parameters
    ----------
    data, outcome
        As in `rates`.
    terms
        The right-hand side of a formula over condition columns, such as `tier * variation`. The paid
        tier and the default variation are the references.
    level
        Confidence level in (0, 1).
    tiers
        Compare only these two; the second is the reference. By default all tiers are compared.

    Returns
    -------
    DataFrame
        `term`, `odds_ratio`, `low`, `high` (infinite or 0 where the data put no bound on it), `p_value`
        (belongs to the interval), `p_holm` (adjusted over the terms), `p_sign_flip` (missing where fewer
        than six prompts show both outcomes), `n_prompts`, `n_active` (prompts that show both), `note`
        (separation, or too few active prompts, in words). The intercept has neither interval nor p.

    Raises
    ------
    InputError
        A column is missing, or the terms cannot be told apart on these data.

    Examples
    --------
    >>> import afanalysis as af
    >>> regression(af.example_rollouts(), "tier")["term"].tolist()
    ['Intercept', 'tier = free']
    """
    from formulaic import model_matrix

    names = re.findall(r"[A-Za-z_]\w*", str(terms))
    if not names or "~" in terms or outcome in names:
        raise InputError(f"terms is {terms!r}; name condition columns, as in 'tier * variation'")
    names = conditions.known_columns(data, names, ())
    check_level(level)
    counted = counts(data, outcome, names)
    if tiers and "tier" in names:
        counted, tiers = conditions.of_gap(counted, tiers)
    odd = conditions.remarks(counted, [])[str({})]
    counted = counted[(counted["n"] > 0) & counted["prompt_id"].notna()].reset_index(drop=True)
    if counted.empty:
        raise InputError(f"no prompt has a known {outcome!r}")
    first = {"tier": (tiers or TIERS)[1], "variation": "default"}
    for name in names:
        known = sorted(counted[name].astype(str).unique())
        if len(known) < 2:
            raise InputError(f"column {name!r} has one value only ({known[0]!r}); it explains nothing")
        known.sort(key=lambda value, name=name: value != first.get(name))  # type: ignore[misc]
        counted[name] = pd.Categorical(counted[name].astype(str), known)
    try:
        matrix = model_matrix(terms, counted)
    except Exception as error:  # formulaic's own errors, and those of whatever the formula calls
        raise InputError(f"terms {terms!r} cannot be read as a formula of columns") from error
    design = matrix.to_numpy(float)
    n, s, prompts = (counted[name].to_numpy() for name in ("n", "s", "prompt_id"))
    strata = _strata(design, prompts)
    try:
        fit = logistic(n, s, design, prompts, strata=strata, level=level)
    except ValueError as error:
        raise InputError(f"terms {terms!r}: {error}") from error
    table = pd.DataFrame(vars(fit)).rename(columns={"estimate": "odds_ratio"})
    table[["odds_ratio", "low", "high"]] = np.exp(table[["odds_ratio", "low", "high"]])
    table.insert(0, "term", [re.sub(r"\[T\.(.*?)\]", r" = \1", name) for name in matrix.columns])
    table.insert(5, "p_holm", adjust(fit.p_value))
    unbounded = "the data put no bound on the odds ratio at one end"
    few = f"only {fit.n_active} prompts show both outcomes; the p-value has little power"
    table["note"] = [
        "; ".join(filter(None, [unbounded * separated, few * (fit.n_active < FEW_ACTIVE), odd]))
        for separated in (np.isinf(fit.low) | np.isinf(fit.high)).tolist()
    ]
    return table


def _strata(design: np.ndarray, prompts: np.ndarray) -> dict[int, np.ndarray]:
    """For columns that vary within prompts while the others stay: the stratum of each row, or -1."""
    strata = {}
    for column in range(1, design.shape[1]):
        rest = pd.DataFrame(np.delete(design, column, axis=1)).assign(prompt=prompts)
        stratum = rest.groupby(list(rest.columns)).ngroup().to_numpy()
        values = pd.Series(design[:, column]).groupby(stratum)
        varies = (values.transform("min") == 0) & (values.transform("max") == 1)
        if varies.any() and set(np.unique(design[:, column])) <= {0.0, 1.0}:
            strata[column] = np.where(varies, stratum, -1)
    return strata
