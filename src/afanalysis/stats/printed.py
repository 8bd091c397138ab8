"""Sample sizes and intervals rebuilt from printed results: rate ± SE, rounded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ImpliedN:
    """The sample size that a printed rate ± SE implies, and the range that its rounding leaves."""

    n: float
    low: float
    high: float

    @property
    def usable(self) -> bool:
        """Whether rounding leaves n known within a factor of two."""
        return self.low > 0 and self.high <= 2 * self.low


def implied_n(rate: float, se: float, half_unit: float = 0.0005) -> ImpliedN:
    """The n for which sqrt(p (1 - p) / n) is the printed standard error.

    Parameters
    ----------
    rate, se
        As printed (proportions).
    half_unit
        Half a unit of the last printed digit.

    Examples
    --------
    >>> size = implied_n(0.858, 0.019)
    >>> round(size.n), round(size.low), round(size.high)
    (337, 319, 357)
    """
    if se <= 0:
        return ImpliedN(math.nan, 0.0, math.inf)
    p = np.clip([rate - half_unit, rate, rate + half_unit], 0, 1)
    variance = p * (1 - p)
    most = variance.max() / (se - half_unit) ** 2 if se > half_unit else math.inf
    return ImpliedN(variance[1] / se**2, variance.min() / (se + half_unit) ** 2, most)


def fitting_n(
    rates: Sequence[float],
    errors: Sequence[float],
    difference: Sequence[float] | None = None,
    *,
    least: int = 20,
    most: int = 800,
    half_unit: float = 0.0005,
) -> list[int]:
    """Every n of which rates that share it are counts, with their errors, as printed.

    Parameters
    ----------
    rates, errors
        Printed rates and their standard errors sqrt(p (1 - p) / n) (proportions).
    difference
        The second rate minus the first and its standard error, of independent samples, as printed.
    least, most
        The range of n that is searched.
    half_unit
        Half a unit of the last printed digit.

    Examples
    --------
    Refusal of the paper's default prompt, in training and when unmonitored:

    >>> fitting_n([0.858, 0.972], [0.019, 0.009], (0.113, 0.021))
    [353]
    """
    n = np.arange(least, most + 1)
    # neighbouring counts lie further apart than rounding reaches, so only the nearest can fit
    p = np.round(np.outer(rates, n)) / n
    se = np.sqrt(p * (1 - p) / n)
    computed, printed = [*p, *se], [*rates, *errors]
    if difference is not None:
        computed += [p[1] - p[0], np.hypot(*se)]
        printed += difference
    fits = np.abs(np.array(computed) - np.array(printed)[:, None]) <= half_unit + 1e-9
    return n[fits.all(0)].tolist()
