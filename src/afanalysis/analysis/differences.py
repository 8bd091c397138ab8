"""Differences between conditions on the prompts that they share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis import conditions
from afanalysis.errors import InputError
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.condition_contrasts import contrasts
from afanalysis.table.counting import counts
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import opened


def contrast(
    data: Any,
    between: str,
    *,
    of: str = "gap",
    reference: Any = None,
    by: str | Sequence[str] | None = None,
    outcome: str = "complied",
    level: float = 0.95,
    seed: int = 0,
    tiers: conditions.Tiers | None = None,
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
    seed
        Of the sign flips, where they are too many to enumerate.

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
    `afanalysis.stats.condition_contrasts.contrasts`.

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
        reserved = ("tier",) if of == "gap" else ()
        within = [
            name for name in conditions.known_columns(source, by, usual, reserved) if name != between
        ]
        pairing = [] if of == "rate" else ["tier"]
        counted = counts(source, outcome, [*within, between, *pairing])
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
    rows, first, second, without = [], [], [], []
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
                first.append(part.loc[name].to_numpy())
                second.append(part.loc[reference].to_numpy())
    if not rows:
        raise InputError(
            f"nothing to compare with {conditions.named({between: reference})}; name another reference "
            f"or other columns in `by` (now: {', '.join(within) or 'none'})"
        )
    ours, theirs = _mean(first, of), _mean(second, of)
    table = pd.DataFrame(rows)
    warnings = ["; ".join(filter(None, [words, *without])) for words in table.pop("warning")]
    table = table.assign(estimate=ours.mean, estimate_reference=theirs.mean)
    table = table.assign(**contrasts(ours, theirs, level, seed=seed))
    return table.assign(source=came_from, level=level, warning=warnings)


def _mean(values: list[np.ndarray], of: str) -> BoundedMean:
    stack = np.array(values)
    return BoundedMean.of(np.nan_to_num(stack), -1 if of == "gap" else 0, 1, np.isfinite(stack))
