"""The judge's error, and rates and gaps corrected for it: where hand labels meet statistics."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis.conditions import GAP_CONDITIONS, TIERS, known_columns, remarks, sources
from afanalysis.analysis.rate_tables import compliance_gap, rates
from afanalysis.errors import InputError
from afanalysis.stats import judge_correction
from afanalysis.stats.judge_correction import Estimate, Labels, Verified
from afanalysis.stats.proportions import square_and_add
from afanalysis.table.counting import counts, labelled, verdict_counts
from afanalysis.table.source import Source, opened

# Fewer labels than this in a tier, and its correction carries a warning.
FEW_LABELS = 20
DIFFERENCE = "free - paid"
_NUMBERS = ["raw", "raw_low", "raw_high", "corrected", "low", "high"]
_NUMBERS += ["shift", "shift_low", "shift_high"]


def judge_error(
    data: Any,
    outcome: str = "complied",
    by: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
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
        by = known_columns(source, by, ("setting",), reserved=("tier",))
        judged = _judged(source, outcome, by)
        odd = remarks(counts(source, outcome, [*by, "tier"]), by, tiers=True)
    if not judged:
        raise InputError("no rollout of the free or the paid tier has both a verdict and a label")
    rows: list[dict[str, Any]] = []
    for condition, tiers in judged.items():
        checked = {name: tier for name, tier in tiers.items() if tier.labels}
        errors = {name: judge_correction.error_estimates(tier, level) for name, tier in checked.items()}
        labels = {name: tiers[name].labels for name in errors}
        if len(errors) == 2:
            labels[DIFFERENCE] = sum(labels.values())
            errors[DIFFERENCE] = {
                measure: _difference(errors["free"][measure], errors["paid"][measure])
                for measure in errors["free"]
            }
        for measure in ("sensitivity", "specificity"):
            for name, error in errors.items():
                row = {
                    "tier": name,
                    "measure": measure,
                    **error[measure]._asdict(),
                    "labels": labels[name],
                }
                names = dict(zip(by, condition, strict=True))
                rows.append(names | row | {"warning": odd.get(str(names), "")})
    return pd.DataFrame(rows)


def _difference(free: Estimate, paid: Estimate) -> Estimate:
    low, high = square_and_add(free, paid)
    return Estimate(free.value - paid.value, float(low), float(high))


def corrected(
    data: Any,
    outcome: str = "complied",
    by: str | Sequence[str] | None = None,
    *,
    error_by: str | Sequence[str] = ("setting",),
    alike: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """Rates and gaps corrected for the judge's error, beside the raw ones.

    Parameters
    ----------
    data, outcome, level
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
        Three rows per condition, `tier` being `free`, `paid` and `both` (the gap): `raw`, `raw_low`,
        `raw_high`, `corrected`, `low`, `high`, `shift`, `shift_low`, `shift_high` (what the judge's
        error adds to the gap, else missing), `labels`, `labels_of` (`own`, `shared` or `alike`),
        `source`, `level`, `warning`. Where labels of one verdict are missing altogether the correction
        is missing too, with the reason under `warning`.

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
        by = known_columns(source, by, GAP_CONDITIONS, reserved=("tier",))
        error_by = [error_by] if isinstance(error_by, str) else error_by
        within = [name for name in error_by if name in by]
        conditions, sharing = _judged(source, outcome, by), _judged(source, outcome, within)
        raw_rates = rates(source, outcome, [*by, "tier"], level=level)
        gaps = compliance_gap(source, by, outcome=outcome, level=level)
        came_from = sources(source)
    keys, numbers = raw_rates[[*by, "tier"]], raw_rates[["rate", "low", "high"]]
    raw = dict(zip(map(tuple, keys.to_numpy(object)), map(tuple, numbers.to_numpy()), strict=True))
    members = Counter(tuple(row[name] for name in within) for row in gaps.to_dict("records"))
    rows: list[dict[str, Any]] = []
    for gap in gaps.to_dict("records"):
        condition = {name: gap[name] for name in by}
        tiers = conditions.get(tuple(condition.values()), {})
        group = tuple(condition[name] for name in within)
        shared = sharing.get(group, {})
        labels_of = "own" if members[group] == 1 else "alike" if alike else "shared"
        lacking = _lacking(tiers, shared)
        pair = None
        if not lacking and labels_of == "own":
            pair = judge_correction.corrected_by_own_labels(tiers["free"], tiers["paid"], level)
        elif not lacking:
            both = tiers["free"], tiers["paid"], shared["free"], shared["paid"]
            pair = judge_correction.corrected_by_shared_labels(*both, level, alike=alike)
        labels = [shared[tier].labels if tier in shared else 0 for tier in TIERS]
        few = f"fewer than {FEW_LABELS} labels in a tier" if min(labels) < FEW_LABELS else ""
        common = {"labels": sum(labels), "labels_of": labels_of, "source": came_from, "level": level}
        common["warning"] = "; ".join(filter(None, [lacking or few, gap["warning"]]))
        judged = {tier: raw.get((*condition.values(), tier), (np.nan,) * 3) for tier in TIERS}
        judged["both"] = (gap["gap"], gap["low"], gap["high"])
        for tier, numbers in judged.items():
            row = condition | common | {"tier": tier, "outcome": outcome}
            if pair:
                numbers += {"free": pair.free, "paid": pair.paid, "both": pair.gap}[tier]
                numbers += pair.shift if (tier, outcome) == ("both", "complied") else ()
            rows.append(row | dict(zip(_NUMBERS, numbers, strict=False)))
    order = [*by, "tier", "outcome", *_NUMBERS, "labels", "labels_of", "source", "level", "warning"]
    return pd.DataFrame(rows).reindex(columns=order)


def _lacking(tiers: dict[str, Verified], shared: dict[str, Verified]) -> str:
    """Why a condition cannot be corrected, in words; empty where it can."""
    for tier in TIERS:
        if tier not in tiers:
            return f"{tier} tier: no verdict"
        if not shared[tier].labels:
            return f"{tier} tier: no label"
        if shared[tier].lacking:
            return f"{tier} tier: {shared[tier].lacking}"
    if not ((tiers["free"].n > 0) & (tiers["paid"].n > 0)).any():
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
        if not {"label_complied", "label_weight"} <= set(source.kinds):
            return False
        return not labelled(source, "complied", []).empty


def _judged(source: Source, outcome: str, by: list[str]) -> dict[tuple[Any, ...], dict[str, Verified]]:
    """The verdicts and labels of each condition by tier, its prompts in the same places in both."""
    labels = labelled(source, outcome, [*by, "tier"])
    if labels.empty:
        raise InputError(
            f"no rollout has both a verdict and a label of {outcome!r}; label some first "
            "(afanalysis sample-for-labels)"
        )
    counted = verdict_counts(source, outcome, [*by, "tier"])
    of_condition = dict(iter(labels.groupby(by, dropna=False))) if by else {(): labels}
    judged: dict[tuple[Any, ...], dict[str, Verified]] = {}
    for key, part in counted.groupby(by, dropna=False) if by else [((), counted)]:
        prompts = pd.Index(part["prompt_id"].unique())
        mine = of_condition.get(key, labels.iloc[:0])
        for tier in TIERS:
            verdicts = part[part["tier"] == tier].set_index("prompt_id")[["n", "s"]]
            checks = mine[mine["tier"] == tier]
            if len(verdicts):
                verdicts = verdicts.reindex(prompts, fill_value=0)
                places = prompts.get_indexer(checks["prompt_id"])
                judged.setdefault(key, {})[tier] = Verified.of(
                    verdicts["n"],
                    verdicts["s"],
                    Labels(places, checks["verdict"], checks["label"], checks["weight"]),
                )
    return judged
