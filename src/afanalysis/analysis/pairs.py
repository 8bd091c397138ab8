"""Compliance with each prompt in both tiers."""

from typing import Any

import pandas as pd

from afanalysis.analysis import conditions


def prompt_pairs(
    data: Any,
    variation: str | None = None,
    model: str | None = None,
    *,
    level: float = 0.95,
    tiers: conditions.Tiers | None = None,
) -> pd.DataFrame:
    """How many prompts were complied with how often in each tier.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `setting`, `variation`, `model` and `tier`.
    variation, model
        Which condition; by default the main variation, and claude-3-opus or the first model by name.
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
    counted = conditions.of_one_condition(counted, variation, model)
    counted, tiers = conditions.of_gap(counted, tiers)
    training, unmonitored = tiers
    parts = []
    for condition, pairs in conditions.paired_counts(counted, by, tiers):
        n_free, s_free, n_paid, s_paid = pairs[(pairs[:, 0] > 0) & (pairs[:, 2] > 0)].T
        shares = pd.DataFrame({unmonitored: s_paid / n_paid, training: s_free / n_free}).round(9)
        alike = shares.value_counts().rename("prompts").reset_index()
        parts.append(alike.sort_values([unmonitored, training]).assign(**condition))
    return pd.concat(parts, ignore_index=True).assign(source=came_from, level=level)
