"""Several gaps together: the mean of these conditions, and what to expect of others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.proportions import check_level

# With fewer conditions, of which only some show a gap, no interval for other conditions can cover.
FEW_CONDITIONS = 10

# The numbers that `random_effects` gives.
NUMBERS = ["population", "population_low", "population_high", "predicted_low", "predicted_high"]
NUMBERS += ["tau", "i2", "q", "p_homogeneity"]


def mean_over_conditions(
    differences: Sequence[ArrayLike], present: Sequence[ArrayLike] | None = None
) -> BoundedMean:
    """The mean gap of these very conditions, each of which weighs alike.

    Parameters
    ----------
    differences
        By condition the differences of its prompts, all of one length, with the same prompt in the same
        place of each.
    present
        By condition which prompts it has; by default all.

    Returns
    -------
    BoundedMean
        Over prompts: the value of a prompt is what it adds to the mean. Conditions without any event
        take part.

    Examples
    --------
    >>> pooled = mean_over_conditions([[1, 0, 0, 0.2], [0.4, 0, 0, 0]])
    >>> round(float(pooled.mean), 2)
    0.2
    """
    table = np.asarray(differences, dtype=float)
    has = np.ones(table.shape, dtype=bool) if present is None else np.asarray(present, dtype=bool)
    anywhere = has.any(0)
    # what a prompt adds, scaled so that the mean over prompts is the mean over conditions
    scale = anywhere.sum() / (len(table) * has.sum(1, keepdims=True))
    values = np.where(has, table * scale, 0).sum(0)
    reach = float(np.where(has, scale, 0).sum(0).max())
    return BoundedMean.of(values[anywhere], -max(reach, 1.0), max(reach, 1.0))


def random_effects(estimates: ArrayLike, se: ArrayLike, level: float = 0.95) -> dict[str, Any]:
    """The mean of a population of conditions, from an unweighted mean and the spread of the estimates.

    Weights by observed precision would favour the conditions in which nothing happened to be seen, so
    there are none. The variance is never taken to be smaller than the sampling error alone makes it.

    Parameters
    ----------
    estimates, se
        One per condition, at least two; a standard error may be 0.
    level
        Confidence level in (0, 1).

    Returns
    -------
    dict
        `conditions` (how many); `population`, `population_low`, `population_high`: the mean over the
        population of conditions, and its interval; `predicted_low`, `predicted_high`: where the true
        value of one more condition would lie; `tau`, the standard deviation of the true values; `i2`,
        the share of the estimates' variance that is not sampling error (0-1); `q`, `p_homogeneity`:
        Cochran's statistic and its p-value, over the estimates with a standard error; `warning`: what
        the intervals cannot promise, in words, or empty.

    Raises
    ------
    ValueError
        There are fewer than two estimates, one is not finite, or a standard error is negative.

    References
    ----------
    tau: Paule & Mandel (1982), J. Research of the NBS 87:377, as in statsmodels' `combine_effects`.
    Prediction interval: Higgins, Thompson & Spiegelhalter (2009), JRSS A 172:137. Why weights fail for
    rare events: Bradburn et al. (2007), Statistics in Medicine 26:53.

    Examples
    --------
    >>> summary = random_effects([0.1, 0.12, 0.05], [0.02, 0.02, 0.02])
    >>> [round(summary[f"population{end}"], 2) for end in ("", "_low", "_high")]
    [0.09, 0.0, 0.18]
    """
    check_level(level)
    y, s = np.asarray(estimates, dtype=float), np.asarray(se, dtype=float)
    if y.size < 2 or y.shape != s.shape:
        raise ValueError("a mean over conditions needs at least 2 estimates, each with a standard error")
    if not ((s >= 0) & np.isfinite(s) & np.isfinite(y)).all():
        raise ValueError("every estimate and standard error must be finite, no standard error below 0")
    count = y.size
    spread, within = float(y.var(ddof=1)), float((s**2).mean())
    variance = max(spread, within)
    mean = float(y.mean())
    t = float(special.stdtrit(count - 1, (1 + level) / 2))
    half = t * np.sqrt(variance / count)
    reach = t * np.sqrt(variance * (1 + 1 / count))
    known = s > 0
    q, p_value, tau, i2 = float("nan"), float("nan"), np.sqrt(max(spread - within, 0.0)), 0.0
    if known.sum() > 1:
        from statsmodels.stats.meta_analysis import combine_effects

        with np.errstate(divide="ignore", invalid="ignore"):  # its I² of equal estimates
            combined = combine_effects(y[known], s[known] ** 2, method_re="iterated")
        q, p_value = combined.q, special.chdtrc(known.sum() - 1, combined.q)
        tau = np.sqrt(max(combined.tau2, 0.0))
        i2 = max(1 - (known.sum() - 1) / q, 0.0) if q > 0 else 0.0
    warning = ""
    if count < FEW_CONDITIONS:
        warning = (
            f"with fewer than {FEW_CONDITIONS} conditions the interval for the mean of conditions like "
            "these, and the range for one more, hold only if the conditions are much alike: if few of "
            "all conditions show a gap, these may have missed them"
        )
    ends = (mean - half, mean + half, mean - reach, mean + reach)
    numbers = dict(zip(NUMBERS, map(float, (mean, *ends, tau, i2, q, p_value)), strict=True))
    return {"conditions": count, **numbers, "warning": warning}
