"""Intervals and p-values for the mean of bounded values, whatever their distribution.

Values are one per prompt: a rate in [0, 1], a difference of rates in [-1, 1]. Most are 0 and a few
are large, so the normal approximation fails, and what was not seen matters: an interval must allow
for a prompt at the far end of the range. Each end therefore adds one pseudo-prompt at the bound on
its side and takes a quantile of the Bayesian bootstrap's distribution of the mean, by its first three
moments. Two such ends are computed, both of which cover, and the narrower one is taken:

- *fading*: the pseudo-prompt weighs less, the more prompts carry the variance, and the quantile is
  calibrated by Student's t;
- *Gaffke*: the pseudo-prompt weighs 1, and the quantile is that of the nominal level. The exact
  distribution would give Gaffke's bound, which for 0/1 values is Clopper and Pearson's; here one with
  the same three moments takes its place.

References
----------
Gaffke's bound: Learned-Miller & Thomas (2020), arXiv:2009.01190, who conjecture its validity for all
bounded distributions. The Bayesian bootstrap: Rubin (1981), Annals of Statistics 9:130. The weight of
the fading pseudo-prompt was chosen by simulation (docs/statistics.md) and checked on other
populations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import Ends, Floats, check_level, ratio

# The pseudo-prompt of a fading end weighs WEIGHT where nothing varies, and half of that where the
# variance is carried by FADING prompts.
WEIGHT, FADING = 0.75, 5.0
# For tests of equivalence, whose error lies at one end only: heavier and slower to fade.
TEST_WEIGHT, TEST_FADING = 1.0, 10.0


@dataclass(frozen=True)
class BoundedMean:
    """The mean of bounded values, with what its intervals are made of.

    Attributes
    ----------
    values, counts
        Shape (..., prompts), and how often each value counts; absent values are 0. All other fields
        have the shape of the stack.
    low, high
        The bounds of a value.
    mean, variance
        The mean, and the variance of the mean.
    n
        How many values there are.
    carriers
        How many values carry the variance, (Σx²)² / Σx⁴; for rates the smaller of that for x and 1 - x.
    extra
        A variance of the mean that the values do not show, to be added.

    Examples
    --------
    Differences between tiers of twenty prompts, of which four differ:

    >>> differences = BoundedMean.of([1, 0.8, 0.2, -0.2, *[0] * 16], -1, 1)
    >>> [round(float(end), 3) for end in differences.interval()]
    [-0.077, 0.295]
    >>> round(float(differences.p_value()), 2)
    0.42
    """

    values: Floats
    counts: Floats
    low: float
    high: float
    mean: Floats
    variance: Floats
    n: Floats
    carriers: Floats
    extra: Floats

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        low: float,
        high: float,
        present: ArrayLike | None = None,
        *,
        extra: ArrayLike | None = None,
    ) -> BoundedMean:
        """Describe values.

        Parameters
        ----------
        values
            Shape (..., prompts), each in [low, high].
        low, high
            The bounds of a value.
        present
            Which values count, or how often each does, of a shape that broadcasts with that of the
            values; by default all do, once.
        extra
            A variance of the mean to be added. With it, the values are what prompts add to an estimate:
            a few may lie outside the bounds, the mean does not.

        Raises
        ------
        ValueError
            A value that counts is not finite or lies outside the bounds, or no value counts.
        """
        counts = np.asarray(1.0 if present is None else present, dtype=float)
        x, counts = np.broadcast_arrays(np.asarray(values, dtype=float), counts)
        x = np.where(counts > 0, x, 0.0)
        outside = (x < low - 1e-9) | (x > high + 1e-9)
        if not np.isfinite(x).all() or (extra is None and outside.any()):
            raise ValueError(f"values must be finite and lie in {low:g} to {high:g}")
        n = counts.sum(-1)
        if x.shape[-1] == 0 or (n == 0).any():
            raise ValueError("no values; a mean needs at least one")
        mean = np.clip((counts * x).sum(-1) / n, low, high)
        squares = (counts * (x - mean[..., None]) ** 2).sum(-1)
        carriers = _carriers(x, counts)
        if low == 0:
            carriers = np.minimum(carriers, _carriers(high - x, counts))
        added = np.asarray(0.0 if extra is None else extra, dtype=float)
        variance = squares / (n * np.maximum(n - 1, 1)) + added
        return cls(x, counts, low, high, mean, variance, n, carriers, added)

    @property
    def present(self) -> np.ndarray:
        """Which values count."""
        return self.counts > 0

    def ends(self, weight: float = WEIGHT, fading: float = FADING) -> BoundedEnds:
        """The distributions of which the ends of intervals are quantiles.

        Parameters
        ----------
        weight, fading
            Of the fading pseudo-prompt.
        """
        light = weight * fading / (fading + self.carriers)
        lower, upper = (
            (self._moments(light, bound), self._moments(1.0, bound, exact=True))
            for bound in (self.low, self.high)
        )
        return BoundedEnds(self, lower, upper)

    def interval(self, level: float = 0.95) -> Ends:
        """The interval of the mean, never of zero width and never outside the bounds."""
        check_level(level)
        return self.ends().interval(level)

    def p_value(self, null: float = 0.0) -> Floats:
        """The two-sided p-value that belongs to the interval: 1 - level where an end is `null`."""
        ends = self.ends()
        p = np.minimum(2 * np.minimum(ends.p_above(null), ends.p_below(null)), 1)
        # an interval of any level holds the mean
        return np.where(self.mean == null, 1.0, p)

    def _moments(self, weight: ArrayLike, bound: float, *, exact: bool = False) -> _Pearson3:
        """The mean of values and a pseudo-prompt under Dirichlet weights; `exact` as Gaffke has it."""
        w = np.asarray(weight, dtype=float)
        total = self.n + w
        middle = (self.n * self.mean + w * bound) / total
        distance, far = self.values - middle[..., None], bound - middle
        squares = (self.counts * distance**2).sum(-1) + w * far**2
        cubes = (self.counts * distance**3).sum(-1) + w * far**3
        if exact:
            variance = squares / (total * (total + 1)) + self.extra
            return _pearson3(middle, variance, 2 * cubes / (total * (total + 1) * (total + 2)))
        # the variance as Student's t has it, with one degree of freedom less
        variance = squares / (total * (total - 1)) + self.extra
        return _pearson3(middle, variance, 2 * cubes / (total**2 * (total - 1)))


@dataclass(frozen=True)
class BoundedEnds:
    """What gives the ends of a bounded mean's interval at any level, and its one-sided p-values.

    Attributes
    ----------
    of
        The mean.
    lower, upper
        On each side the fading distribution and Gaffke's.
    """

    of: BoundedMean
    lower: tuple[_Pearson3, _Pearson3]
    upper: tuple[_Pearson3, _Pearson3]

    def interval(self, level: ArrayLike) -> Ends:
        """The ends at a level in (0, 1), or at one level for each sample."""
        tail = (1 + np.asarray(level, dtype=float)) / 2
        t = special.stdtrit(np.maximum(self.of.n - 1, 1), tail)
        low = np.maximum(_quantile(special.ndtr(-t), self.lower[0]), _quantile(1 - tail, self.lower[1]))
        high = np.minimum(_quantile(special.ndtr(t), self.upper[0]), _quantile(tail, self.upper[1]))
        return np.clip(low, self.of.low, self.of.mean), np.clip(high, self.of.mean, self.of.high)

    def p_above(self, null: float) -> Floats:
        """The p-value against means up to `null`."""
        return self._share(self.lower, null, 1.0)

    def p_below(self, null: float) -> Floats:
        """The p-value against means from `null` on."""
        return self._share(self.upper, null, -1.0)

    def _share(self, two: tuple[_Pearson3, _Pearson3], null: float, sign: float) -> Floats:
        """The level at which the narrower of two ends reaches `null`, by the share beyond it."""
        below = [_below(null, end) for end in two]
        shares = [np.clip(p if sign > 0 else 1 - p, 1e-300, 1 - 1e-16) for p in below]
        shares[0] = special.stdtr(np.maximum(self.of.n - 1, 1), special.ndtri(shares[0]))
        return np.minimum(*shares)


def _carriers(x: Floats, counts: Floats) -> Floats:
    squares = counts * x**2
    return ratio(squares.sum(-1) ** 2, (squares * x**2).sum(-1))


# Of a mean's distribution: skewness, mean and standard deviation, as `scipy.stats.pearson3` has them,
# whose import takes longer than all that is computed here.
_Pearson3 = tuple[Floats, Floats, Floats]


def _pearson3(mean: Floats, variance: Floats, cumulant: Floats) -> _Pearson3:
    """The shifted gamma distribution with given mean, variance and third cumulant."""
    sd = np.sqrt(np.maximum(variance, 1e-14))
    skew = np.clip(np.where(variance > 1e-14, cumulant / sd**3, 0.0), -50, 50)
    return np.where(np.abs(skew) < 1e-4, 0.0, skew), mean, sd


def _quantile(p: ArrayLike, end: _Pearson3) -> Floats:
    skew, mean, sd = end
    scale = np.where(skew == 0, 1, skew) / 2
    gamma = special.gammaincinv(1 / scale**2, np.where(skew > 0, p, 1 - np.asarray(p)))
    return mean + sd * np.where(skew == 0, special.ndtri(p), scale * gamma - 1 / scale)


def _below(x: float, end: _Pearson3) -> Floats:
    skew, mean, sd = end
    z, scale = (x - mean) / sd, np.where(skew == 0, 1, skew) / 2
    score = np.maximum(1 / scale**2 + z / scale, 0)
    gamma = special.gammainc(1 / scale**2, score)
    return np.where(skew == 0, special.ndtr(z), np.where(skew > 0, gamma, 1 - gamma))
