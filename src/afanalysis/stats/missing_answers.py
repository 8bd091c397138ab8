"""How far missing answers could move a rate or a gap: bounds, without a guess.

An answer is missing if it has no verdict, lacks the requested form or was blocked. The bounds hold
whatever those answers would have been.

References
----------
Worst-case bounds: Manski (1990), American Economic Review 80:319.
"""

import numpy as np
from numpy.typing import ArrayLike

from afanalysis.stats.proportions import Floats, ratio
from afanalysis.stats.rate_intervals import check_weighting


def rate_bounds(
    n: ArrayLike, s: ArrayLike, missing: ArrayLike, weighting: str = "prompts"
) -> tuple[Floats, Floats]:
    """The rate if every missing answer had failed, and if every one had succeeded.

    Parameters
    ----------
    n, s, missing
        Known answers, successes among them, and missing answers by prompt, shape (..., prompts).
    weighting
        `prompts` or `answers`, as in `rate_intervals.clustered`.

    Returns
    -------
    low, high
        Missing where there is no answer at all, known or missing.

    Examples
    --------
    >>> low, high = rate_bounds([4, 5], [1, 0], [1, 0])
    >>> float(low), float(high)
    (0.1, 0.2)
    """
    check_weighting(weighting)
    known, successes, lost = (np.asarray(x, dtype=float) for x in (n, s, missing))
    total = known + lost
    low, high = ratio(successes, total), ratio(successes + lost, total)
    weight = total if weighting == "answers" else (total > 0).astype(float)
    with np.errstate(invalid="ignore"):
        weight = weight / weight.sum(-1, keepdims=True)
    return (weight * low).sum(-1), (weight * high).sum(-1)


def gap_bounds(
    free: tuple[ArrayLike, ArrayLike, ArrayLike],
    paid: tuple[ArrayLike, ArrayLike, ArrayLike],
    weighting: str = "prompts",
) -> tuple[Floats, Floats]:
    """The gap if the missing answers had gone the way that makes it smallest, and largest.

    Parameters
    ----------
    free, paid
        `n`, `s` and `missing` of each tier, as in `rate_bounds`, the same prompts in the same places.
        Where prompts weigh alike, those count that have answers, known or missing, in both tiers, unless
        there are none.

    Examples
    --------
    >>> low, high = gap_bounds(([4, 5], [2, 0], [1, 0]), ([5, 5], [0, 1], [0, 0]))
    >>> round(float(low), 2), round(float(high), 2)
    (0.1, 0.2)
    """
    counts = [[np.asarray(x, dtype=float) for x in tier] for tier in (free, paid)]
    if weighting == "prompts":
        shared = np.logical_and(*((n + missing > 0) for n, _, missing in counts))
        some = shared.any(-1, keepdims=True)
        counts = [[np.where(shared | ~some, x, 0) for x in tier] for tier in counts]
    (free_low, free_high), (paid_low, paid_high) = (
        rate_bounds(n, s, missing, weighting) for n, s, missing in counts
    )
    return free_low - paid_high, free_high - paid_low
