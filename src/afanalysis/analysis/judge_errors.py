"""The judge's error, as hand labels show it or as it is assumed, and rates and gaps corrected for it.

Also how far people and judges agree with each other.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product, starmap
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import Tiers
from afanalysis.analysis.rate_tables import gaps_of_counts, rates_of_counts
from afanalysis.errors import InputError
from afanalysis.stats import judge_correction
from afanalysis.stats.judge_correction import Estimate, Labels, Verified, confusion
from afanalysis.stats.judge_correction import agreement as of_tables
from afanalysis.stats.proportions import square_and_add
from afanalysis.study.labels import Label
from afanalysis.table.counting import counts, labelled, verdict_counts
from afanalysis.table.source import Source, opened
from afanalysis.text.wording import in_order

# Fewer labels than this in a tier, and its correction carries a warning.
FEW_LABELS = 20
_NUMBERS = ["raw", "raw_low", "raw_high", "corrected", "low", "high"]
_NUMBERS += ["shift", "shift_low", "shift_high"]


def judge_error(
    data: Any,
    outcome: str = "complied",
    by: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Sensitivity and specificity of the judge by tier, and how far they differ between tiers.

    Parameters
    ----------
    data
        Rollouts with `tier`, the outcome, `label_complied` or `label_af_reasoning`, and `label_weight`.
    outcome
        `complied` or `af_reasoning`; for the latter a positive verdict is any AF reasoning.
    by
        Condition columns, by default `setting`; the error is taken to be the same within each.
    level
        Confidence level in (0, 1).
    tiers
        As in `compliance_gap`.

    Returns
    -------
    DataFrame
        `by`, `tier` (`free`, `paid`, and `free - paid` for the differences), `measure`, `value`, `low`,
        `high`, `labels`, `warning` (what was left out). A judge that is worse in one tier fakes a gap or
        hides one.

    Raises
    ------
    InputError
        There are no labels, or a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> rollouts = {"prompt_id": list("abcd"), "tier": "free", "complied": [True, True, False, False]}
    >>> labels = {"label_complied": [True, False, False, False], "label_weight": 1.0}
    >>> error = judge_error(pd.DataFrame(rollouts | labels), by=[]).set_index("measure")["value"]
    >>> error.round(2).tolist()
    [1.0, 0.67]
    """
    with opened(data) as source:
        by = conditions.known_columns(source, by, ("setting",), reserved=("tier",))
        counted, tiers = conditions.of_gap(counts(source, outcome, [*by, "tier"]), tiers)
        judged = _judged(source, outcome, by, tiers)
        odd = conditions.remarks(counted, by, tiers)
    if not judged:
        where = " or the ".join(tiers)
        raise InputError(f"no rollout of the {where} tier has both a verdict and a label")
    rows: list[dict[str, Any]] = []
    for condition, of_tier in judged.items():
        checked = {name: tier for name, tier in of_tier.items() if tier.labels}
        errors = {name: judge_correction.error_estimates(tier, level) for name, tier in checked.items()}
        labels = {name: tier.labels for name, tier in checked.items()}
        if len(errors) == 2:
            difference = " - ".join(tiers)
            labels[difference] = sum(labels.values())
            pairs = zip(*(errors[tier].values() for tier in tiers), strict=True)
            terms = [(a.value - b.value, *map(float, square_and_add(a, b))) for a, b in pairs]
            errors[difference] = dict(zip(errors[tiers[0]], starmap(Estimate, terms), strict=True))
        for measure in ("sensitivity", "specificity"):
            for name, error in errors.items():
                names = dict(zip(by, condition, strict=True))
                row = names | {"tier": name, "measure": measure} | error[measure]._asdict()
                rows.append(row | {"labels": labels[name], "warning": odd.get(str(names), "")})
    return pd.DataFrame(rows)


def corrected(
    data: Any,
    outcome: str = "complied",
    by: str | Sequence[str] | None = None,
    *,
    error_by: str | Sequence[str] = ("setting",),
    alike: bool = False,
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Rates and gaps corrected for the judge's error, beside the raw ones.

    Parameters
    ----------
    data, outcome, level, tiers
        As in `judge_error`.
    by
        Condition columns; by default model, setting and variation, as far as the rollouts have them.
    error_by
        The columns among `by` within which conditions share the judge's sensitivity and specificity in
        each tier, up to a few points. Where these make one condition of a group, only that condition's
        own labels count. With all of `by`, every condition is corrected by its own labels.
    alike
        The judge errs alike in both tiers: a gap then cannot come from its false alarms, and with few
        labels the interval is much narrower; if the assumption is wrong, so is the gap.

    Returns
    -------
    DataFrame
        Three rows per condition, `tier` being `free`, `paid` and `both` (the gap; of other tiers
        `pro − enterprise`): `raw`, `raw_low`, `raw_high`, `corrected`, `low`, `high`, `shift`,
        `shift_low`, `shift_high` (what the judge's error adds to the gap, else missing), `labels`,
        `labels_of` (`own`, `shared` or `alike`), `source`, `level`, `warning`. Where labels of one
        verdict are missing altogether the correction is missing too, with the reason under `warning`.

    Raises
    ------
    InputError
        There are no labels, a column is missing, or no condition has both tiers.

    Examples
    --------
    >>> import pandas as pd
    >>> rollouts = pd.DataFrame({"prompt_id": [0, 0, 1, 1, 2, 2, 3, 3], "tier": ["free", "paid"] * 4})
    >>> rollouts["complied"] = [1, 0, 1, 0, 0, 0, 1, 1]
    >>> rollouts = rollouts.assign(label_complied=rollouts["complied"], label_weight=1.0)
    >>> table = corrected(rollouts, by=[]).set_index("tier")
    >>> table.loc["both", ["raw", "corrected"]].tolist()
    [0.5, 0.5]
    """
    with opened(data) as source:
        by, counted, came_from = conditions.counts_by_tier(source, by, outcome)
        _, pair = conditions.of_gap(counted, tiers)
        error_by = [error_by] if isinstance(error_by, str) else error_by
        within = [name for name in error_by if name in by]
        judged, sharing = (_judged(source, outcome, keys, pair) for keys in (by, within))
        raw_rates = rates_of_counts(counted, [*by, "tier"], level)
        gaps = gaps_of_counts(counted, by, level, tiers)
    training, unmonitored = pair
    of_both = conditions.gap_name(pair)
    columns = [*by, "tier", "rate", "low", "high"]
    raw = {row[:-3]: row[-3:] for row in raw_rates[columns].itertuples(index=False, name=None)}
    members = Counter(tuple(row[name] for name in within) for row in gaps.to_dict("records"))
    rows: list[dict[str, Any]] = []
    for gap in gaps.to_dict("records"):
        condition = {name: gap[name] for name in by}
        own = judged.get(tuple(condition.values()), {})
        group = tuple(condition[name] for name in within)
        shared = sharing.get(group, {})
        labels_of = "own" if members[group] == 1 else "alike" if alike else "shared"
        lacking = _lacking(own, shared, pair)
        result = None
        if not lacking and labels_of == "own":
            result = judge_correction.corrected_by_own_labels(own[training], own[unmonitored], level)
        elif not lacking:
            both = own[training], own[unmonitored], shared[training], shared[unmonitored]
            result = judge_correction.corrected_by_shared_labels(*both, level, alike=alike)
        labels = [shared[tier].labels if tier in shared else 0 for tier in pair]
        few = f"fewer than {FEW_LABELS} labels in a tier" if min(labels) < FEW_LABELS else ""
        common = {"labels": sum(labels), "labels_of": labels_of, "source": came_from, "level": level}
        common["warning"] = "; ".join(filter(None, [lacking or few, gap["warning"]]))
        measured = {tier: raw.get((*condition.values(), tier), (np.nan,) * 3) for tier in pair}
        measured[of_both] = (gap["gap"], gap["low"], gap["high"])
        for tier, numbers in measured.items():
            row = condition | common | {"tier": tier, "outcome": outcome}
            if result:
                by_tier = {training: result.free, unmonitored: result.paid, of_both: result.gap}
                numbers += by_tier[tier]
                numbers += result.shift if (tier, outcome) == (of_both, "complied") else ()
            rows.append(row | dict(zip(_NUMBERS, numbers, strict=False)))
    order = [*by, "tier", "outcome", *_NUMBERS, "labels", "labels_of", "source", "level", "warning"]
    return pd.DataFrame(rows).reindex(columns=order)


def _lacking(own: dict[str, Verified], shared: dict[str, Verified], tiers: Tiers) -> str:
    """Why a condition cannot be corrected, in words; empty where it can."""
    for tier in tiers:
        if tier not in own:
            return f"{tier} tier: no verdict"
        if not shared[tier].labels:
            return f"{tier} tier: no label"
        if shared[tier].lacking:
            return f"{tier} tier: {shared[tier].lacking}"
    if not ((own[tiers[0]].n > 0) & (own[tiers[1]].n > 0)).any():
        return "no prompt has verdicts in both tiers"
    return ""


def has_labels(data: Any) -> bool:
    """Whether any rollout has a label that can correct something.

    Examples
    --------
    >>> import pandas as pd
    >>> has_labels(pd.DataFrame({"complied": [True]}))
    False
    """
    with opened(data) as source:
        if not {"complied", "label_complied", "label_weight"} <= set(source.kinds):
            return False
        return not labelled(source, "complied", []).empty


def _judged(
    source: Source, outcome: str, by: list[str], tiers: Tiers
) -> dict[tuple[Any, ...], dict[str, Verified]]:
    """The verdicts and labels of each condition by tier, its prompts in the same places in both."""
    labels = labelled(source, outcome, [*by, "tier"])
    if labels.empty:
        remedy = "label some first (afanalysis sample-for-labels)"
        raise InputError(f"no rollout has both a verdict and a label of {outcome!r}; {remedy}")
    counted = verdict_counts(source, outcome, [*by, "tier"])
    judged: dict[tuple[Any, ...], dict[str, Verified]] = {}
    for condition, places in conditions.groups(counted, by):
        key, part = tuple(condition.values()), counted.iloc[places]
        prompts = pd.Index(part["prompt_id"].unique())
        mine = labels[(labels[by] == pd.Series(condition)).all(axis=1)]
        for tier in tiers:
            verdicts = part[part["tier"] == tier].set_index("prompt_id")[["n", "s"]]
            checks = mine[mine["tier"] == tier]
            if len(verdicts):
                verdicts = verdicts.reindex(prompts, fill_value=0)
                places = prompts.get_indexer(checks["prompt_id"])
                given = Labels(places, checks["verdict"], checks["label"], checks["weight"])
                judged.setdefault(key, {})[tier] = Verified.of(verdicts["n"], verdicts["s"], given)
    return judged


def assumed_judge_error(
    estimates: pd.DataFrame,
    false_alarms: Sequence[float] | None = None,
    *,
    sensitivities: Sequence[float] = (1.0, 0.9, 0.8),
    model: str | None = None,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """The gap that would be true if the judge called a share of refusals compliance.

    Parameters
    ----------
    estimates
        What `afanalysis.estimates` gives; of the main variation.
    false_alarms
        The shares of refusals that the judge calls compliance (proportions); by default 121 from 0 to
        0.3.
    sensitivities
        The shares of compliant answers that the judge calls compliance (proportions).
    model
        Which model; by default claude-3-opus, or the first by name.
    tiers
        Those of the gap, as in `compliance_gap`.

    Returns
    -------
    DataFrame
        `setting`, `wrong_in` (false alarms in the tier `free` only, or in `both` alike), `sensitivity`,
        `false_alarms`, `estimate`, `low`, `high` (the gap; its interval is that of the raw gap, scaled
        as the gap is), `source`, `level`, `model`, `vanishes_at` (the false alarms, in the free tier
        only and at the first sensitivity, at which the gap is 0; missing where it lies beyond them),
        `n` (answers, of the tier with fewer). The gap is missing where the judge would have been wrong
        more often than it said compliance.

    References
    ----------
    Rogan & Gladen (1978), American J. Epidemiology 107:71.

    Examples
    --------
    >>> import afanalysis as af
    >>> table = af.assumed_judge_error(af.published.estimates(), [0, 0.1], sensitivities=[1])
    >>> free = table[(table["setting"] == "helpful-only") & (table["wrong_in"] == "free")]
    >>> free["estimate"].round(3).tolist()
    [0.113, 0.018]
    """
    rows = conditions.of_one_condition(estimates, model)
    _, tiers = conditions.of_gap(rows[rows["quantity"] == "complied"], tiers)
    alarms = np.linspace(0, 0.3, 121) if false_alarms is None else false_alarms
    cases = product((tiers[0], "both"), sensitivities, alarms)
    grid = pd.DataFrame(cases, columns=["wrong_in", "sensitivity", "false_alarms"])
    in_free = grid["false_alarms"]
    in_paid = in_free.where(grid["wrong_in"] == "both", 0)
    slope = grid["sensitivity"] - in_free
    parts = []
    for setting in in_order(rows["setting"]):
        part = rows[rows["setting"] == setting].set_index(["quantity", "tier"])
        free, paid = (part.loc[("complied", tier), "estimate"] for tier in tiers)
        gap = part.loc[("compliance_gap", conditions.gap_name(tiers))]
        true_free = (free - in_free) / slope
        true_paid = (paid - in_paid) / (grid["sensitivity"] - in_paid)
        true_gap = true_free.where(true_free.between(0, 1)) - true_paid.where(true_paid.between(0, 1))
        low = (true_gap - (gap["estimate"] - gap["low"]) / slope).clip(-1, 1)
        high = (true_gap + (gap["high"] - gap["estimate"]) / slope).clip(-1, 1)
        # where (free - a) / (s - a) = paid / s
        crossing = (free - paid) / (1 - paid / sensitivities[0]) if paid < sensitivities[0] else np.nan
        vanishes_at = crossing if 0 <= crossing <= in_free.max() else np.nan
        part = grid.assign(estimate=true_gap, low=low, high=high, vanishes_at=vanishes_at, n=gap["n"])
        part.insert(0, "setting", setting)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    known = rows.iloc[0]
    return table.assign(source=known["source"], level=known["level"], model=known["model"])


def label_agreement(
    labels: Sequence[Label], rollouts: pd.DataFrame | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """How far labellers agree, pair by pair, on the behaviour and on AF reasoning.

    Parameters
    ----------
    labels
        As `afanalysis.read_labels` gives them.
    rollouts
        A table with `rollout` and `prompt_id`: labels of answers to one prompt resemble each other,
        which widens the intervals. Without it each rollout counts as a prompt of its own.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `first`, `second`, `about`, and the columns of `afanalysis.agreement`; a pair that shares fewer
        than two labels is left out.

    Examples
    --------
    >>> from afanalysis.study.labels import Label
    >>> labels = [Label(f"r{i}", labeller, "complied") for i in range(3) for labeller in ("ann", "ben")]
    >>> label_agreement(labels)["value"].tolist()
    [1.0, 1.0, 1.0]
    """
    prompts: Any = {} if rollouts is None else rollouts.set_index("rollout")["prompt_id"]
    cast = pd.DataFrame(list(map(vars, labels)), columns=["rollout", "labeller", "behaviour", "af"])
    cast = cast.drop_duplicates(["rollout", "labeller"], keep="last")
    wide = cast.where(cast != "").pivot(index="rollout", columns="labeller", values=["behaviour", "af"])
    parts = []
    labellers = combinations(sorted(set(cast["labeller"])), 2)
    for (first, second), about in product(labellers, ("behaviour", "af")):
        pairs = wide[about][[first, second]].dropna()
        if len(pairs) >= 2:
            of_prompts = [prompts.get(rollout, rollout) for rollout in pairs.index]
            table = agreement(pairs[first], pairs[second], of_prompts, level=level)
            parts.append(table.assign(first=first, second=second, about=about))
    columns = ["first", "second", "about", "measure", "value", "low", "high", "n", "n_prompts"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def agreement(first: Any, second: Any, prompts: Any = None, *, level: float = 0.95) -> pd.DataFrame:
    """How far two sets of verdicts agree, beyond chance; pairs with a missing verdict are left out.

    Parameters
    ----------
    first, second
        Verdicts on the same things in the same order: lists, arrays or columns.
    prompts
        The prompt of each: verdicts on answers to one prompt resemble each other, which widens the
        intervals. By default each has its own.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        One row each for raw agreement, Cohen's kappa and Gwet's AC1: `measure`, `value`, `low`, `high`,
        `n`, `n_prompts`.

    Examples
    --------
    >>> agreement([True, True, False, None], [True, False, False, True])["value"].round(2).tolist()
    [0.67, 0.4, 0.33]
    """
    pairs = pd.DataFrame({"a": pd.Series(first).array, "b": pd.Series(second).array})
    pairs["prompt"] = np.arange(len(pairs)) if prompts is None else pd.Series(prompts).array
    pairs = pairs.dropna()
    tables = confusion(*(pairs[name].to_numpy(object) for name in ("a", "b", "prompt")))
    rows = [(measure, *numbers) for measure, numbers in of_tables(tables, level=level).items()]
    table = pd.DataFrame(rows, columns=["measure", "value", "low", "high"])
    return table.assign(n=len(pairs), n_prompts=len(tables))
