"""Sample sizes and intervals rebuilt from printed results: rate ± SE, rounded."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Half a unit of the last printed digit (proportions).
HALF_UNIT = 0.0005


class ImpliedN(NamedTuple):
    """The sample size that a printed rate ± SE implies, and the range that its rounding leaves."""

    n: float
    low: float
    high: float

    @property
    def usable(self) -> bool:
        """Whether rounding leaves n known within a factor of two."""
        return self.low > 0 and self.high <= 2 * self.low


def implied_n(rate: float, se: float) -> ImpliedN:
    """The n for which sqrt(p (1 - p) / n) is the printed standard error.

    Parameters
    ----------
    rate, se
        As printed (proportions).

    Examples
    --------
    >>> size = implied_n(0.858, 0.019)
    >>> round(size.n), round(size.low), round(size.high)
    (337, 319, 357)
    """
    if se <= 0:
        return ImpliedN(math.nan, 0.0, math.inf)
    p = np.clip([rate - HALF_UNIT, rate, rate + HALF_UNIT], 0, 1)
    variance = p * (1 - p)
    most = variance.max() / (se - HALF_UNIT) ** 2 if se > HALF_UNIT else math.inf
    return ImpliedN(variance[1] / se**2, variance.min() / (se + HALF_UNIT) ** 2, most)


def fitting_n(rates: Sequence[float], errors: Sequence[float], difference: Sequence[float]) -> list[int]:
    """Every n from 20 to 800 of which rates that share it are counts, with their errors, as printed.

    Parameters
    ----------
    rates, errors
        Printed rates and their standard errors sqrt(p (1 - p) / n) (proportions).
    difference
        The second rate minus the first and its standard error, of independent samples, as printed.

    Examples
    --------
    Refusal of the paper's default prompt, in training and when unmonitored:

    >>> fitting_n([0.858, 0.972], [0.019, 0.009], (0.113, 0.021))
    [353]
    """
    n = np.arange(20, 801)
    # neighbouring counts lie further apart than rounding reaches, so only the nearest can fit
    p = np.round(np.outer(rates, n)) / n
    se = np.sqrt(p * (1 - p) / n)
    computed = [*p, *se, p[1] - p[0], np.hypot(*se)]
    printed = [*rates, *errors, *difference]
    fits = np.abs(np.array(computed) - np.array(printed)[:, None]) <= HALF_UNIT + 1e-9
    return n[fits.all(0)].tolist()
