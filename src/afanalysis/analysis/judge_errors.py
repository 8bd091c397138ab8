"""The judge's error, and rates and gaps corrected for it: where hand labels meet statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from afanalysis.analysis.conditions import GAP_CONDITIONS, known_columns, paired_counts, sources
from afanalysis.analysis.rate_tables import compliance_gap, rates
from afanalysis.errors import InputError
from afanalysis.stats.judge_correction import Judged, Verification, corrected_pair, estimate
from afanalysis.stats.rate_intervals import clustered
from afanalysis.table.counting import labelled, verdict_counts
from afanalysis.table.source import Source, opened

if TYPE_CHECKING:
    import pandas as pd

# Fewer labels than this in a tier, and its correction carries a warning.
FEW_LABELS = 20


def judge_error(
    data: Any, outcome: str = "complied", by: Sequence[str] = ("setting",), *, level: float = 0.95
) -> pd.DataFrame:
    """Sensitivity and specificity of the judge by tier, and how far they differ between tiers.

    Parameters
    ----------
    data
        Rollouts with `tier`, the outcome, `label_complied` or `label_af_reasoning`, and `label_weight`.
    outcome
        `complied` or `af_reasoning`; for the latter a positive verdict is any AF reasoning.
    by
        Condition columns; the error is taken to be the same within each.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `by`, `tier` (`free`, `paid`, and `free - paid` for the differences), `measure`, `value`, `low`,
        `high`, `labels`. A judge that is worse in one tier fakes a gap or hides one.

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
    import numpy as np
    import pandas as pd

    with opened(data) as source:
        by = [name for name in by if name in source.kinds]
        verifications = _verifications(source, outcome, by)
    rows: list[dict[str, Any]] = []
    for condition, tiers in verifications:
        draws = {
            tier: np.asarray(checked.error_draws(np.random.default_rng(seed)))
            for seed, (tier, checked) in enumerate(tiers.items())
        }
        values = {tier: np.asarray(checked.error()) for tier, checked in tiers.items()}
        labels = {tier: checked.labels for tier, checked in tiers.items()}
        if len(tiers) == 2:
            labels["free - paid"] = sum(labels.values())
            values["free - paid"] = values["free"] - values["paid"]
            draws["free - paid"] = draws["free"] - draws["paid"]
        for index, measure in enumerate(("sensitivity", "specificity")):
            for tier, number in labels.items():
                error = estimate(float(values[tier][index]), draws[tier][index], level)
                row = {"tier": tier, "measure": measure, **vars(error), "labels": number}
                rows.append(condition | row)
    return pd.DataFrame(rows)


def corrected(
    data: Any,
    outcome: str = "complied",
    by: Sequence[str] | None = None,
    *,
    error_by: Sequence[str] = ("setting",),
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Rates and gaps corrected for the judge's error, beside the raw ones.

    Parameters
    ----------
    data, outcome, level
        As in `judge_error`.
    by
        Condition columns; by default model, setting and variation, as far as the rollouts have them.
    error_by
        The columns among `by` within which the judge's error, in each tier, is one and the same. Where
        these make one condition of a group, only that condition's own labels count.
    seed
        Of the draws that make the intervals.

    Returns
    -------
    DataFrame
        Three rows per condition, `tier` being `free`, `paid` and `both` (the gap): `raw`, `raw_low`,
        `raw_high`, `corrected`, `low`, `high`, `shift`, `shift_low`, `shift_high` (what the judge's
        error adds to the gap, else missing), `labels`, `source`, `level`, `warning`. Where labels of one
        verdict are missing altogether the correction is missing too, with the reason under `warning`.

    Raises
    ------
    InputError
        There are no labels, a column is missing, or a condition lacks one tier.

    Examples
    --------
    >>> import pandas as pd
    >>> rollouts = pd.DataFrame({"prompt_id": range(8), "tier": ["free", "paid"] * 4})
    >>> rollouts["complied"] = [1, 0, 1, 0, 0, 0, 1, 1]
    >>> rollouts = rollouts.assign(label_complied=rollouts["complied"], label_weight=1.0)
    >>> table = corrected(rollouts, by=[]).set_index("tier")
    >>> table.loc["both", ["raw", "corrected"]].tolist()
    [0.5, 0.5]
    """
    import pandas as pd

    with opened(data) as source:
        by = known_columns(source, by, GAP_CONDITIONS)
        groups = [name for name in error_by if name in by]
        verifications = {
            _key(condition): tiers for condition, tiers in _verifications(source, outcome, groups)
        }
        counted = verdict_counts(source, outcome, [*by, "tier"])
        raw_rates = rates(source, outcome, [*by, "tier"], level=level)
        gaps = compliance_gap(source, by, outcome=outcome, level=level)
        came_from = sources(source)
    keys, numbers = raw_rates[[*by, "tier"]], raw_rates[["rate", "low", "high"]]
    raw = dict(zip(map(tuple, keys.to_numpy(object)), map(tuple, numbers.to_numpy()), strict=True))
    conditions = paired_counts(counted, by)
    group_of = [_key({name: condition[name] for name in groups}) for condition, _ in conditions]
    rows: list[dict[str, Any]] = []
    for group, (condition, counts), gap in zip(
        group_of, conditions, gaps.to_dict("records"), strict=True
    ):
        tiers = verifications.get(group, {})
        lacking = _lacking(tiers)
        corrections: dict[str, Any] = {}
        if not lacking:
            own = group_of.count(group) == 1
            free, paid = (
                Judged(clustered(*counts[:, columns].T), tiers[tier], own)
                for tier, columns in (("free", [0, 1]), ("paid", [2, 3]))
            )
            pair = corrected_pair(free, paid, gap["correlation"], level=level, seed=seed)
            corrections = {"free": pair.free, "paid": pair.paid, "both": pair.gap}
        labels = [tiers[tier].labels if tier in tiers else 0 for tier in ("free", "paid")]
        few = f"fewer than {FEW_LABELS} labels in a tier" if min(labels) < FEW_LABELS else ""
        shared = {"labels": sum(labels), "source": came_from, "level": level, "warning": lacking or few}
        judged = {tier: raw[(*condition.values(), tier)] for tier in ("free", "paid")}
        judged["both"] = (gap["gap"], gap["low"], gap["high"])
        for tier, numbers in judged.items():
            row: dict[str, Any] = {"tier": tier, "outcome": outcome}
            row |= dict(zip(("raw", "raw_low", "raw_high"), numbers, strict=True))
            if corrections:
                new = corrections[tier]
                row |= {"corrected": new.value, "low": new.low, "high": new.high}
                if tier == "both" and outcome == "complied":
                    shift = pair.shift
                    row |= {"shift": shift.value, "shift_low": shift.low, "shift_high": shift.high}
            rows.append(condition | row | shared)
    order = [*by, "tier", "outcome", "raw", "raw_low", "raw_high", "corrected", "low", "high"]
    order += ["shift", "shift_low", "shift_high", "labels", "source", "level", "warning"]
    return pd.DataFrame(rows).reindex(columns=order)


def _lacking(tiers: dict[str, Verification]) -> str:
    """Which labels are missing to correct both tiers, in words; empty where none are."""
    for tier in ("free", "paid"):
        if tier not in tiers:
            return f"{tier} tier: no label"
        if tiers[tier].lacking:
            return f"{tier} tier: {tiers[tier].lacking}"
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


def _key(condition: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(condition.values())


def _verifications(
    source: Source, outcome: str, by: list[str]
) -> list[tuple[dict[str, Any], dict[str, Verification]]]:
    """What the labels say of the judge, by condition and tier; tiers without a label are left out."""
    rows = labelled(source, outcome, [*by, "tier"])
    if rows.empty:
        raise InputError(
            f"no rollout has both a verdict and a label of {outcome!r}; label some first "
            "(afanalysis sample-for-labels)"
        )
    counted = verdict_counts(source, outcome, [*by, "tier"])
    totals = counted.groupby([*by, "tier"], dropna=False)[["n", "s"]].sum()
    judged = (totals["s"] / totals["n"]).to_dict()
    checked: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Verification]]] = {}
    for key, part in rows.groupby([*by, "tier"], dropna=False):
        condition = dict(zip(by, key[:-1], strict=True))
        _, tiers = checked.setdefault(key[:-1], (condition, {}))
        share = judged[key if by else key[0]]
        tiers[key[-1]] = Verification.of(
            share, part["verdict"], part["label"], part["weight"], part["prompt_id"].to_numpy()
        )
    return list(checked.values())
