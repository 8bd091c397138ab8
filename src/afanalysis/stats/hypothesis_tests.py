"""Tests of 'no gap', their adjustment for multiplicity, and of equivalence."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.bounded_means import TEST_FADING, TEST_WEIGHT, BoundedMean
from afanalysis.stats.proportions import Ends, Floats, check_level

# Differences that are whole multiples of 1/2520 (of any proportions out of 1 to 10) are tested exactly
# unless another lattice is given, if the sum then takes no more than this many values.
LATTICE = 2520
EXACT_POINTS = 2**22

# What gives the ends of intervals at a level, or at one level per estimate.
Intervals = Callable[[ArrayLike], Ends]


def sign_flip(differences: ArrayLike, *, lattice: int = LATTICE, resamples: int = 10_000) -> float:
    """The two-sided p-value of the paired permutation test on per-prompt differences.

    If the tiers did not matter, each prompt's difference would be as likely with the other sign. The
    p-value is the share of sign patterns whose sum is at least as far from 0. It is exact, by
    convolution over the lattice on which differences of proportions lie, and by Monte Carlo with the
    observed pattern counted in where that lattice is too fine. The hypothesis is that the tier makes no
    difference for any prompt: a mean of 0 with a long tail on one side is rejected too often.

    Parameters
    ----------
    differences
        One number per prompt, shape (prompts,).
    lattice
        The differences are tested exactly if they are multiples of 1/lattice: for proportions, the
        least common multiple of their denominators.
    resamples
        For the Monte Carlo only.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21; Pagano & Tritchler (1983), JASA 78:435, for
    the exact distribution; Phipson & Smyth (2010), SAGMB 9:39, for Monte Carlo p-values.

    Examples
    --------
    >>> sign_flip([1, 1, 1, 1, 1])
    0.0625
    >>> sign_flip([0, 0, 0])
    1.0
    """
    d = np.asarray(differences, dtype=float)
    d = d[np.abs(d) > 1e-12]  # differences of differences may miss 0 by rounding
    if d.size == 0:
        return 1.0
    steps = np.rint(d * lattice)
    if (steps != 0).all() and np.abs(steps / lattice - d).max() < 1e-9 * np.abs(d).max():
        whole = np.abs(steps).astype(np.int64)
        whole //= np.gcd.reduce(whole)
        if whole.sum() < EXACT_POINTS:
            return _exact(whole, observed=abs(int((np.sign(d) * whole).sum())))
    rng = np.random.default_rng(0)
    far = abs(d.sum()) * (1 - 1e-12)
    beyond, block = 0, max(1, 2**22 // d.size)
    for start in range(0, resamples, block):
        signs = rng.integers(0, 2, (min(block, resamples - start), d.size), dtype=np.int8) * 2 - 1
        beyond += int((np.abs(signs @ d) >= far).sum())
    return (beyond + 1) / (resamples + 1)


def _exact(sizes: np.ndarray, observed: int) -> float:
    """P(|Σ ± size| >= observed), by convolving the binomials of the distinct sizes."""
    if observed == 0:
        return 1.0
    chances = np.ones(1)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        # Σ ± size over `count` prompts is size · (2 Binomial(count, ½) - count)
        spaced = np.zeros(2 * size * count + 1)
        heads = np.arange(count + 1)
        ways = -special.betaln(heads + 1, count - heads + 1) - math.log(count + 1)
        spaced[:: 2 * size] = np.exp(ways - count * math.log(2))
        n = chances.size + spaced.size - 1
        chances = np.maximum(np.fft.irfft(np.fft.rfft(chances, n) * np.fft.rfft(spaced, n), n), 0)
    middle = (chances.size - 1) // 2
    tail = 2 * chances[middle + observed :].sum()
    # rounding may leave less than the two most extreme assignments have
    return float(np.clip(tail, 2.0 ** (1 - sizes.size), 1.0))


def inverted_p_values(interval: Intervals, estimate: Floats) -> Floats:
    """The p-values that belong to intervals: 1 - level for the level at which an end reaches 0.

    Parameters
    ----------
    interval
        The ends at one level per estimate; wider for higher levels.
    estimate
        The estimates, of any shape.

    Returns
    -------
    array
        Of the estimates' shape, to a relative precision of 1e-6 and not below 1e-12.
    """
    shape = np.shape(estimate)
    least, most = np.full(shape, -12 * math.log(10)), np.zeros(shape)  # logarithms of p
    for _ in range(25):
        middle = (least + most) / 2
        low, high = interval(1 - np.exp(middle))
        excludes = (low > 0) | (high < 0)
        least, most = np.where(excludes, least, middle), np.where(excludes, middle, most)
    return np.where(np.asarray(estimate) == 0, 1.0, np.exp(most))


def adjust(p_values: ArrayLike) -> Floats:
    """p-values adjusted by Holm's method (1979); missing ones stay missing and count for nothing.

    Parameters
    ----------
    p_values
        Shape (tests,).
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")  # missing ones come last
    raised = p[order] * np.maximum(np.isfinite(p).sum() - np.arange(p.size), 0)
    adjusted = np.empty(p.shape)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


def equivalence_p_values(differences: BoundedMean, margin: float) -> Floats:
    """The p-values against gaps beyond a margin: the larger of two one-sided ones.

    Parameters
    ----------
    differences
        The differences of the prompts that have both tiers.
    margin
        The largest gap that would count as none (difference of proportions).

    References
    ----------
    Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657; here by the ends of a bounded
    mean's interval, with the heavier pseudo-prompt that the error at one end needs.
    """
    check_margin(margin)
    ends = differences.ends(TEST_WEIGHT, TEST_FADING)
    p_values = np.maximum(ends.p_above(-margin), ends.p_below(margin))
    return np.maximum(p_values, (1 - margin) ** differences.n)  # see `fewest_prompts`


def fewest_prompts(margin: float, level: float = 0.95) -> int:
    """The fewest prompts with which any test can show a mean below a margin.

    If a share `margin` of all prompts always complied, a study of G prompts would see none of them with
    probability (1 - margin)^G: more answers per prompt do not change that.

    Examples
    --------
    >>> [fewest_prompts(margin) for margin in (0.1, 0.05, 0.02, 0.01)]
    [29, 59, 149, 299]
    """
    check_level(level)
    check_margin(margin)
    return math.ceil(math.log(1 - level) / math.log1p(-margin))


def check_margin(margin: float) -> None:
    """Raise `ValueError` unless a margin lies in (0, 1)."""
    if not 0 < margin < 1:
        raise ValueError(f"margin is {margin}; it must lie in (0, 1)")


def at_least_p_values(differences: BoundedMean, threshold: float) -> Floats:
    """The p-values against gaps up to a threshold: small where the gap is shown to be larger.

    Parameters
    ----------
    differences
        The differences of the prompts that have both tiers.
    threshold
        A difference of proportions in (-1, 1).
    """
    if not -1 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must lie in (-1, 1)")
    return differences.ends(TEST_WEIGHT, TEST_FADING).p_above(threshold)
