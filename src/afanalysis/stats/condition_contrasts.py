"""Differences of two means over prompts, all, some or none of which are shared.

Two gaps, or two rates: of two models, variations, judges or tiers. What is shared pairs the two and
makes their difference more precise; one formula holds for any share. Where all prompts are shared it is
the interval of the mean of the prompts' differences, as that of a gap is.
"""

import numpy as np
from numpy.typing import ArrayLike

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import Intervals, adjust, inverted_p_values, sign_flip
from afanalysis.stats.proportions import Floats, check_level, ratio


def contrasts(
    first: BoundedMean, second: BoundedMean, level: float = 0.95, *, seed: int = 0
) -> dict[str, Floats]:
    """The differences of two stacks of means over the same places of prompts.

    Parameters
    ----------
    first, second
        Shape (pairs, prompts), with the same prompt in the same place of both. A prompt that one of
        them lacks is absent there.
    level
        Confidence level in (0, 1).
    seed
        For the sign-flip p-value where it cannot be exact.

    Returns
    -------
    dict
        Each with one entry per pair: `difference` (first minus second), `low`, `high`, `se`
        (proportions); `p_value`, which belongs to the interval, and `p_holm`, adjusted over the pairs;
        `p_sign_flip`, of another hypothesis, that the two are alike for every prompt (missing where none
        is shared); `correlation` (of the two means); `n_prompts`, `n_reference` and `n_shared` (prompts
        of the first, of the second, and of both).

    Raises
    ------
    ValueError
        The level lies outside (0, 1).

    References
    ----------
    The difference is a sum of means over the shared prompts' differences and over the prompts of either
    alone. Their intervals are combined as by MOVER: Zou & Donner (2008), Statistics in Medicine 27:1693.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([[1.0, 0.8, 0.6, 0.0, 0.0, 0.2]])
    >>> pair = contrasts(BoundedMean.of(values, -1, 1), BoundedMean.of(values / 2, -1, 1))
    >>> round(float(pair["difference"][0]), 3), int(pair["n_shared"][0])
    (0.217, 6)
    """
    check_level(level)
    both = first.present & second.present
    difference = first.mean - second.mean
    terms = independent_terms(first, second)
    intervals = combined_intervals(difference, terms)
    low, high = intervals(level)
    variance = sum((weight**2 * term.variance for weight, term in terms), np.zeros(len(difference)))
    covariance = (first.variance + second.variance - variance) / 2
    correlation = ratio(covariance, np.sqrt(first.variance * second.variance))
    p_value = inverted_p_values(intervals, difference)
    apart = zip(first.values - second.values, both, strict=True)
    flips = [sign_flip(gaps[has], seed=seed) if has.any() else np.nan for gaps, has in apart]
    result = {"difference": difference, "low": low, "high": high, "se": np.sqrt(variance)}
    result |= {"p_value": p_value, "p_holm": adjust(p_value), "p_sign_flip": np.array(flips)}
    result["correlation"] = np.clip(correlation, -1, 1)
    sizes = {"n_prompts": first.n, "n_reference": second.n, "n_shared": both.sum(-1)}
    return result | {name: size.astype(int) for name, size in sizes.items()}


def independent_terms(first: BoundedMean, second: BoundedMean) -> list[tuple[Floats, BoundedMean]]:
    """The difference as a sum of three independent means, each with its weight.

    Of the shared prompts' differences; of the prompts of the first alone; of the prompts of the second
    alone (with a negative weight). A mean without prompts weighs 0.
    """
    n_first, n_second = first.n[:, None], second.n[:, None]
    both = first.present & second.present
    # a prompt's contribution, in units of the largest that two outcomes of one prompt can make
    unit = np.maximum(1 / n_first, 1 / n_second)
    shared = (first.values / n_first - second.values / n_second) / unit
    samples = (
        (both, shared, -1.0, 1.0, unit),
        (first.present & ~both, first.values, first.low, first.high, 1 / n_first),
        (second.present & ~both, second.values, second.low, second.high, -1 / n_second),
    )
    terms = []
    for present, values, low, high, weight in samples:
        n = present.sum(-1)
        counted = present | ((n == 0)[:, None] & (np.arange(present.shape[1]) == 0))
        # two gaps can differ by more than 1, though hardly any do
        mean = BoundedMean.of(np.where(present, values, 0.0), low, high, counted, extra=0.0)
        terms.append((n * weight[:, 0], mean))
    return terms


def combined_intervals(difference: Floats, terms: list[tuple[Floats, BoundedMean]]) -> Intervals:
    """What gives the intervals at any level: the ends' distances from the means, squared and added."""
    ends = [(weight, term.mean, term.ends()) for weight, term in terms]

    def intervals(level: ArrayLike) -> tuple[Floats, Floats]:
        down, up = np.zeros_like(difference), np.zeros_like(difference)
        for weight, mean, of in ends:
            low, high = of.interval(level)
            below, above = (weight * (mean - low)) ** 2, (weight * (high - mean)) ** 2
            down += np.where(weight > 0, below, above)
            up += np.where(weight > 0, above, below)
        return difference - np.sqrt(down), difference + np.sqrt(up)

    return intervals
