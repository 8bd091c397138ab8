"""Several estimates together: heterogeneity, pooled value, and the range of what to expect next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import check_level


@dataclass(frozen=True)
class Heterogeneity:
    """A random-effects summary of several estimates.

    Attributes
    ----------
    pooled, low, high
        The mean effect and its interval.
    tau
        Standard deviation of the true effects.
    i2
        The share of the estimates' variance that is not sampling error (0-1).
    q, p_value
        Cochran's statistic of homogeneity and its p-value.
    predicted_low, predicted_high
        Where the true effect of one more condition would lie.
    """

    k: int
    pooled: float
    low: float
    high: float
    tau: float
    i2: float
    q: float
    p_value: float
    predicted_low: float
    predicted_high: float


def heterogeneity(estimates: ArrayLike, se: ArrayLike, level: float = 0.95) -> Heterogeneity:
    """A random-effects meta-analysis.

    Parameters
    ----------
    estimates, se
        One a condition, at least two; standard errors above 0.
    level
        Confidence level in (0, 1).

    References
    ----------
    Paule & Mandel (1982) for the variance of the effects, through statsmodels' `combine_effects`;
    Hartung & Knapp (2001), Statistics in Medicine 20:3875, for the interval; Higgins, Thompson &
    Spiegelhalter (2009), JRSS A 172:137, for the prediction interval.
    """
    from statsmodels.stats.meta_analysis import combine_effects

    check_level(level)
    y, s = np.asarray(estimates, dtype=float), np.asarray(se, dtype=float)
    if y.size < 2 or y.shape != s.shape:
        raise ValueError("heterogeneity needs at least 2 estimates, each with a standard error")
    if not (s > 0).all() or not np.isfinite(y).all():
        raise ValueError("every estimate must be finite and every standard error above 0")
    with np.errstate(divide="ignore"):  # statsmodels' I² of equal estimates, which is not used
        found = combine_effects(y, s**2, method_re="iterated", use_t=True, alpha=1 - level)
    k = y.size
    tau2 = max(float(found.tau2), 0.0)
    weights = 1 / (s**2 + tau2)
    pooled = float((weights * y).sum() / weights.sum())
    # Hartung-Knapp, never narrower than the ordinary random-effects error
    spread = float((weights * (y - pooled) ** 2).sum() / (k - 1) / weights.sum())
    error = float(np.sqrt(max(spread, 1 / weights.sum())))
    t = float(special.stdtrit(k - 1, (1 + level) / 2))
    reach = float(special.stdtrit(max(k - 2, 1), (1 + level) / 2)) * np.sqrt(tau2 + error**2)
    fixed = 1 / s**2
    q = float((fixed * (y - (fixed * y).sum() / fixed.sum()) ** 2).sum())
    return Heterogeneity(
        k=k,
        pooled=pooled,
        low=pooled - t * error,
        high=pooled + t * error,
        tau=float(np.sqrt(tau2)),
        i2=max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0,
        q=q,
        p_value=float(special.chdtrc(k - 1, q)),
        predicted_low=float(pooled - reach),
        predicted_high=float(pooled + reach),
    )
