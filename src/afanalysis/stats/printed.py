"""Intervals rebuilt from printed results: rate ± SE, rounded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


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

    def size(p: float, error: float) -> float:
        p = min(max(p, 0.0), 1.0)
        return p * (1 - p) / error**2 if error > 0 else math.inf

    outer, inner = (sorted([rate - half_unit, rate + half_unit], key=lambda p: abs(p - 0.5)))[::-1]
    return ImpliedN(size(rate, se), size(outer, se + half_unit), size(inner, se - half_unit))


def common_denominator(percentages: Sequence[float], decimals: int = 1, most: int = 2000) -> int | None:
    """The smallest n of which every printed percentage can be a count, or None up to `most`.

    Examples
    --------
    >>> common_denominator([33.3, 66.7, 0.0])
    3
    """
    half = 0.5 * 10**-decimals + 1e-9
    for n in range(1, most + 1):
        if all(abs(round(p * n / 100) * 100 / n - p) <= half for p in percentages):
            return n
    return None
