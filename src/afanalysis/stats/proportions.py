"""Intervals for one proportion from an (effective) sample size."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
# The lower and the upper ends of intervals.
Ends = tuple[Floats, Floats]
# Of a tier or a term three numbers that belong together, each of the shape of the stack.
Three = tuple[ArrayLike, ArrayLike, ArrayLike]


def check_level(level: float) -> None:
    """Raise `ValueError` unless a confidence level lies in (0, 1)."""
    if not isinstance(level, float | int | np.number) or not 0 < level < 1:
        raise ValueError(f"level is {level!r}; it must lie in (0, 1), as 0.95 does")


def ratio(part: ArrayLike, whole: ArrayLike, empty: float = 0.0) -> Floats:
    """Part by whole, of shapes that broadcast; `empty` where the whole is not above 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(part, whole, out=np.full(whole.shape, empty), where=whole > 0)


def wilson(p: ArrayLike, n: ArrayLike, critical: ArrayLike) -> Ends:
    """Wilson's score interval.

    Parameters
    ----------
    p, n
        Proportion and (effective) sample size, which need not be whole.
    critical
        Critical value: 1.96 for 95 % of a normal, or Student's t with few clusters.

    References
    ----------
    Wilson (1927), JASA 22:209. On an effective sample size with a t quantile: Korn & Graubard (1998),
    Survey Methodology 24:193; Dean & Pagano (2015), J. Survey Stat. Methodol. 3:484.

    Examples
    --------
    >>> low, high = wilson(0.0, 20, 1.96)
    >>> float(low), round(float(high), 3)
    (0.0, 0.161)
    """
    p, n, z = (np.asarray(value, dtype=float) for value in (p, n, critical))
    spread = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    # exact at the ends, where rounding could put the estimate outside its own interval
    return np.clip(middle - spread, 0, p), np.clip(middle + spread, p, 1)


def beta_quantiles(p: ArrayLike, n: ArrayLike, level: float, prior: float = 0.0) -> Ends:
    """Equal-tailed quantiles of beta distributions, drawn to the end at 0 and at 1.

    Parameters
    ----------
    p, n
        Proportion and (effective) sample size, which need not be whole.
    level
        Confidence level in (0, 1).
    prior
        0 for Clopper and Pearson's exact interval; 0.5 for the one under Jeffreys' prior.

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26:404; on effective sample sizes, Korn & Graubard (1998).
    Jeffreys: Brown, Cai & DasGupta (2001), Statistical Science 16:101.
    """
    p, n = np.asarray(p, dtype=float), np.asarray(n, dtype=float)
    x, tail = p * n, (1 - level) / 2
    low = special.betaincinv(np.maximum(x + prior, 1e-12), n - x + 1 - prior, tail)
    high = special.betaincinv(x + 1 - prior, np.maximum(n - x + prior, 1e-12), 1 - tail)
    return np.where(p <= 0, 0.0, low), np.where(p >= 1, 1.0, high)


def square_and_add(first: Three, second: Three, correlation: ArrayLike = 0.0) -> Ends:
    """The interval of a difference from (estimate, low, high) of its two terms.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17:873 (independent) and 17:2635 (paired, method 10);
    Zou & Donner (2008), Statistics in Medicine 27:1693, for the general form (MOVER).

    Examples
    --------
    Newcombe's (1998, independent) first example, 56/70 against 48/80, with Wilson intervals:

    >>> from afanalysis.stats.proportions import wilson
    >>> terms = [(s / n, *wilson(s / n, n, 1.96)) for s, n in [(56, 70), (48, 80)]]
    >>> low, high = square_and_add(*terms)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0524, 0.3339)
    """
    a, low_a, high_a = (np.asarray(x, dtype=float) for x in first)
    b, low_b, high_b = (np.asarray(x, dtype=float) for x in second)
    r = np.asarray(correlation, dtype=float)
    down = (a - low_a) ** 2 + (high_b - b) ** 2 - 2 * r * (a - low_a) * (high_b - b)
    up = (high_a - a) ** 2 + (b - low_b) ** 2 - 2 * r * (high_a - a) * (b - low_b)
    d = a - b
    return d - np.sqrt(np.maximum(down, 0)), d + np.sqrt(np.maximum(up, 0))
