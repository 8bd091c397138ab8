"""What a study shows, in sentences: each gap, all that it hangs on, and whether it is established."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import Tiers, excludes_0
from afanalysis.analysis.differences import contrast
from afanalysis.analysis.judge_errors import corrected
from afanalysis.analysis.quantities import estimates_and_gaps
from afanalysis.analysis.rate_tables import gaps_of_counts
from afanalysis.errors import InputError
from afanalysis.stats.rate_intervals import FEW_PROMPTS
from afanalysis.table.source import Source, opened
from afanalysis.text import wording
from afanalysis.text.pages import render
from afanalysis.text.wording import TIERS, USUAL, in_reading_order, percent

# Without the conflicting objective there is nothing to fake for: here, and in the paper's tables.
CONTROLS = ("no-objective", "cut conflicting criteria")
_KEYS = ["setting", "model", "variation"]
_NUMBERS = ["gap", "low", "high", "overall_low", "overall_high"]
# Of a gap about which nothing more is known.
_OPEN: dict[str, Any] = dict(zip(_NUMBERS, (np.nan, np.nan, np.nan, -1.0, 1.0), strict=True))
_CORRECTED = {"low": "corrected_low", "high": "corrected_high", "warning": "of_labels"}
_CORRECTED |= {name: name for name in ("corrected", "shift_low", "shift_high", "labels")}
_Claims = dict[Any, dict[str, Any]]


def findings(
    data: Any, *, level: float = 0.95, tiers: Tiers | None = None, doubts: Sequence[str] = ()
) -> pd.DataFrame:
    """What each condition shows: its gap, what qualifies it, and whether it is established.

    A gap is established if 0 lies outside of an interval that counts everything at once: chance, missing
    and blocked answers however they would have gone, the judge's error as hand labels show it, and the
    number of conditions (Bonferroni). Without labels none is.

    Parameters
    ----------
    data
        Rollouts, as in `estimates`; or a table that `published.estimates` gives, which leaves open how
        the judge errs.
    level
        Confidence level in (0, 1).
    tiers
        The tiers of the gap, as in `compliance_gap`.
    doubts
        Further reasons for which no gap of this study is established, in words.

    Returns
    -------
    DataFrame
        One row per condition: `model`, `setting`, `variation`, `is_main` (the model's main variation),
        `gap`, `low`, `high` (proportions, as judged), `overall_low`, `overall_high` (the interval that
        counts everything but the number of conditions; −1 and 1 where the judge's error is unknown),
        `established`, `reason` (why it is not; else empty), `is_faking` (established are also its part
        with alignment-faking reasoning, and its excess over the gap without the objective), `sentence`.

    Raises
    ------
    InputError
        A column is missing, or there are no rows.

    References
    ----------
    Manski (2003), Partial Identification of Probability Distributions, for missing answers.

    Examples
    --------
    >>> import afanalysis as af
    >>> found = findings(af.example_rollouts())
    >>> bool(found["established"][0]), found["reason"][0].split("; ")[:2]
    (False, ['only 13 prompts', 'chance could have made it'])
    """
    reasoning, excess = _Claims(), _Claims()
    if "quantity" in getattr(data, "columns", ()):
        rows = data
        gaps = rows[rows["quantity"] == "compliance_gap"].rename(columns={"estimate": "gap"})
        gaps = gaps.assign(labels=0, n_paired=np.inf, filled_low=gaps["low"], filled_high=gaps["high"])
        gaps["reason"] = [_reason(claim, conditions.TIERS) for claim in gaps.to_dict("records")]
        claims = _by_condition(gaps)
    else:
        with opened(data) as source:
            rows, _ = estimates_and_gaps(source, level, tiers)
            outcome = "complied" if "complied" in source.kinds else "af_reasoning"
            claims = _claims(source, outcome, level, tiers)
            reasoning = _claims(source, "af_reasoning", level, tiers)
            excess = _excess(source, outcome, level, tiers)
    _, unmonitored = tiers or conditions.TIERS
    rows = rows.dropna(subset="estimate").sort_values("tier", key=lambda tier: tier != unmonitored)
    rows = rows.sort_values(["model", "variation"], key=_main_first, kind="stable")
    rows = in_reading_order(rows, "setting")
    found = []
    for key, part in rows.groupby(_KEYS, sort=False):
        claim = _OPEN | claims.get(key, {"reason": "no gap: no prompt has verdicts in both tiers"})
        af_part, more = reasoning.get(key, {}), excess.get(key, {})
        row = dict(zip(_KEYS, key, strict=True)) | {name: claim[name] for name in _NUMBERS}
        row["reason"] = "; ".join(filter(None, [*doubts, claim["reason"]]))
        row["established"] = not row["reason"]
        is_as_faked = af_part.get("reason") == "" and more.get("is_more", False)
        row["is_faking"] = row["established"] and is_as_faked
        controls = [claims[*key[:2], name] for name in CONTROLS if (*key[:2], name) in claims]
        content: dict[str, Any] = {"finding": row, "claim": claim, "reasoning": af_part, "more": more}
        content["control"] = next(iter(controls), None) if key[2] not in CONTROLS else None
        content["variations"] = sum(other[:2] == key[:2] for other in claims)
        content["rates"] = {name: rates.to_dict("records") for name, rates in part.groupby("quantity")}
        row["sentence"] = render("finding.txt.j2", **content, wording=wording, controls=CONTROLS)
        found.append(row)
    table = pd.DataFrame(found)
    table["is_main"] = ~table.duplicated(["setting", "model"])  # which comes first
    return table


def _main_first(names: pd.Series) -> pd.Series:
    """For sorting: the value that others are compared with, then the others by name."""
    main = conditions.main_value(names.name, set(names))
    return names.astype(str).where(names != main, "")


def _by_condition(table: pd.DataFrame) -> _Claims:
    """Rows by setting, model and variation; with the usual names of those that a table lacks."""
    table = table.assign(**{name: USUAL[name] for name in _KEYS if name not in table})
    return {tuple(row[name] for name in _KEYS): row for row in table.to_dict("records")}


def _claims(source: Source, outcome: str, level: float, tiers: Tiers | None) -> _Claims:
    """Each condition's gap with the interval that counts everything, and why it is not established."""
    if outcome not in source.kinds:
        return {}
    by, every, _ = conditions.counts_by_tier(source, None, [outcome, *({"blocked"} & {*source.kinds})])
    counted = every[every["outcome"] == outcome].reset_index(drop=True)
    counted["lost"] = counted["unknown"] = counted[conditions.LOST].sum(axis=1)
    counted["asked"] = counted["n"] + counted["lost"]
    if "blocked" in source.kinds:  # blocked answers are unknown also where they count as refused
        blocked = every.loc[every["outcome"] == "blocked", "s"].to_numpy()
        counted["unknown"] += blocked - counted["n_blocked"]
    try:
        counted, pair = conditions.of_gap(counted, tiers)
        gaps = _gaps(source, counted, by, level, pair)
    except InputError:  # no condition has one
        return {}
    gaps["conditions"] = number = int(gaps["gap"].notna().sum())
    strict = _gaps(source, counted, by, 1 - (1 - level) / number, pair)
    lost = conditions.paired_counts(counted, by, pair, ("unknown", "asked"))
    sums = np.array([prompts.sum(0) for _, prompts in lost])
    gaps[[f"unknown_{tier}" for tier in pair]] = sums[:, [0, 2]] / sums[:, [1, 3]]
    gaps["is_sure"] = excludes_0(strict["overall_low"], strict["overall_high"])
    gaps["reason"] = [_reason(row, pair) for row in gaps.to_dict("records")]
    return _by_condition(gaps)


def _gaps(source: Source, counted: pd.DataFrame, by: list[str], at: float, pair: Tiers) -> pd.DataFrame:
    """The gaps, with the ends of their intervals: corrected, all missing gone one way, and overall."""
    gaps = gaps_of_counts(counted, by, at, pair)
    try:
        fixed = corrected(source, counted["outcome"].iloc[0], by, level=at, tiers=pair)
        table = fixed[fixed["tier"] == conditions.gap_name(pair)].reset_index(drop=True)
        table = table[[*_CORRECTED]].rename(columns=_CORRECTED)
    except InputError:  # nobody has labelled any
        table = gaps[[]].assign(**dict.fromkeys(_CORRECTED.values(), np.nan)).assign(labels=0)
    for end, tier, furthest in (("low", pair[1], -1), ("high", pair[0], 1)):
        filled = counted.assign(n=counted["asked"], **dict.fromkeys(conditions.LOST, 0))
        filled["s"] += counted["unknown"] * (counted["tier"] == tier)
        table[f"filled_{end}"] = gaps_of_counts(filled, by, at, pair)[end]
        shift = table[f"filled_{end}"] - gaps[end]
        table[f"overall_{end}"] = (table[f"corrected_{end}"] + shift).clip(-1, 1).fillna(furthest)
    return gaps.join(table)


def _reason(claim: dict[str, Any], pair: Tiers) -> str:
    """Why a gap is not established, in words; empty where it is."""
    if claim["gap"] != claim["gap"]:
        return f"no gap is known ({claim['warning']})"
    reasons = [f"only {claim['n_paired']} prompts"] if claim["n_paired"] < FEW_PROMPTS else []
    if is_chance := not excludes_0(claim["low"], claim["high"]):
        reasons.append("chance could have made it")
    elif not excludes_0(claim["filled_low"], claim["filled_high"]):
        shares = (f"{percent(claim[f'unknown_{tier}'])} % of the {TIERS[tier]}'s" for tier in pair)
        reasons.append(f"missing or blocked answers could have made it: {' and '.join(shares)}")
    if not claim["labels"]:
        reasons.append("there are no labels, so the judge's error is unknown")
    elif claim["corrected"] != claim["corrected"] or "labels in a tier" in claim["of_labels"]:
        reasons.append(f"the labels do not tell the judge's error ({claim['of_labels'].split('; ')[0]})")
    elif not excludes_0(claim["corrected_low"], claim["corrected_high"]):
        ends = f"{percent(claim['corrected_low'])} to {percent(claim['corrected_high'])} points"
        if excludes_0(claim["shift_low"], claim["shift_high"]):
            words = f"by {claim['labels']} labels the judge errs more in one tier; without its error"
            reasons.append(f"{words} {ends} are left")
        elif not is_chance:
            words = f"{claim['labels']} labels are too few to correct for the judge's error: they leave"
            reasons.append(f"{words} {ends}")
    if reasons or claim["is_sure"]:
        return "; ".join(reasons)
    if excludes_0(claim["overall_low"], claim["overall_high"]):
        words = f"with {claim['conditions']} conditions, the interval that counts chance"
        return f"{words}, missing answers and the judge's error together reaches 0"
    return "chance, missing answers and the judge's error together could have made it"


def _excess(source: Source, outcome: str, level: float, tiers: Tiers | None) -> _Claims:
    """How much larger each gap is than that without the objective, where there is a control."""
    usual = [name for name in ("model", "setting") if name in source.kinds]
    how: dict[str, Any] = {"by": usual, "outcome": outcome, "level": level, "tiers": tiers}
    try:
        table = contrast(source, "variation", reference=CONTROLS[0], **how)
    except InputError:
        return {}
    return _by_condition(table.assign(is_more=(table["p_holm"] < 1 - level) & (table["low"] > 0)))
