"""Agreement of two labellers, or of a judge with labels, beyond what chance would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afanalysis.stats.proportions import Floats, check_level, jeffreys

DRAWS = 20_000


def confusion(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.int64], list[object]]:
    """Cross-tabulate two sets of verdicts on the same things.

    Returns
    -------
    table, categories
        `table[i, j]` counts the things that the first put in category i and the second in j.

    Raises
    ------
    ValueError
        The two differ in length, or hold fewer than two verdicts.
    """
    a, b = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"verdicts must be two equally long lists; got {a.shape} and {b.shape}")
    if a.size < 2:
        raise ValueError(f"agreement needs at least 2 verdicts; got {a.size}")
    categories = sorted(set(a) | set(b), key=str)
    place = {category: at for at, category in enumerate(categories)}
    table = np.zeros((len(categories),) * 2, dtype=np.int64)
    np.add.at(table, ([place[x] for x in a], [place[x] for x in b]), 1)
    return table, categories


def cohen_kappa(table: ArrayLike) -> Floats:
    """Cohen's kappa of one confusion table, or of a stack of them on the first axes.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20:37.
    """
    p = _shares(table)
    agreed = np.trace(p, axis1=-2, axis2=-1)
    chance = (p.sum(-1) * p.sum(-2)).sum(-1)
    return _beyond(agreed, chance)


def gwet_ac1(table: ArrayLike) -> Floats:
    """Gwet's AC1, which does not collapse where one category is rare.

    References
    ----------
    Gwet (2008), British J. Mathematical and Statistical Psychology 61:29.
    """
    p = _shares(table)
    agreed = np.trace(p, axis1=-2, axis2=-1)
    share = (p.sum(-1) + p.sum(-2)) / 2
    chance = (share * (1 - share)).sum(-1) / max(p.shape[-1] - 1, 1)
    return _beyond(agreed, chance)


def _shares(table: ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=float)
    found: Floats = counts / counts.sum((-2, -1), keepdims=True)
    return found


def _beyond(agreed: Floats, chance: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        # where chance alone gives full agreement there is nothing to explain: full agreement
        found: Floats = np.where(chance < 1, (agreed - chance) / (1 - chance), 1.0)
    return found


@dataclass(frozen=True)
class Agreement:
    """Agreement of two sets of verdicts; `low` and `high` ends are of the same level."""

    n: int
    agreed: float
    agreed_low: float
    agreed_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    ac1: float
    ac1_low: float
    ac1_high: float


def agreement(table: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Agreement:
    """Raw agreement, Cohen's kappa and Gwet's AC1 with intervals that never have zero width.

    Parameters
    ----------
    table
        Confusion table, shape (categories, categories), whole counts.
    level
        Confidence level in (0, 1).
    seed
        Of the draws that make the intervals.

    Notes
    -----
    The intervals of kappa and AC1 are equal-tailed quantiles of their posterior when the table is
    multinomial under the overall objective prior, whose cells sum to one observation, drawn out to the
    estimate where it lies at an end. Unlike the large-sample standard error they have width at full
    agreement.

    References
    ----------
    The prior: Berger, Bernardo & Sun (2015), Bayesian Analysis 10:189, section 3.2.
    """
    check_level(level)
    counts = np.asarray(table, dtype=float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.shape[0] < 1:
        raise ValueError(f"a confusion table is square; got shape {counts.shape}")
    n = int(counts.sum())
    if n < 2:
        raise ValueError(f"agreement needs at least 2 verdicts; got {n}")

    if counts.shape[0] == 1:  # one category only: allow for the other that was not seen
        counts = np.pad(counts, (0, 1))
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(counts.ravel() + 1 / counts.size, size=DRAWS).reshape(-1, *counts.shape)
    tails = [(1 - level) / 2, (1 + level) / 2]
    agreed = float(np.trace(counts) / n)
    found = []
    for statistic in (cohen_kappa, gwet_ac1):
        estimate = float(statistic(counts))
        low, high = np.quantile(statistic(drawn), tails)
        found += [estimate, min(float(low), estimate), max(float(high), estimate)]
    low, high = (float(end) for end in jeffreys(agreed, n, level))
    return Agreement(n, agreed, low, high, *found)
