"""Differences of two means over prompts, all, some or none of which are shared.

Two gaps, or two rates: of two models, variations, judges or tiers. What is shared pairs the two and
makes their difference more precise; one formula holds for any share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import inverted_p_values, sign_flip
from afanalysis.stats.proportions import Floats, check_level, square_and_add


@dataclass(frozen=True)
class Contrasts:
    """Differences of means, first minus second; one entry per pair of samples.

    Attributes
    ----------
    difference, low, high, se
        The difference (of proportions) with its interval and standard error.
    p_value
        Belongs to the interval.
    p_sign_flip
        Of another hypothesis: that the two are alike for every prompt. Missing where none is shared.
    correlation
        Of the two means.
    shared
        Prompts that both have.
    """

    difference: Floats
    low: Floats
    high: Floats
    se: Floats
    p_value: Floats
    p_sign_flip: Floats
    correlation: Floats
    shared: Floats


def contrasts(
    first: BoundedMean, second: BoundedMean, level: float = 0.95, *, seed: int = 0
) -> Contrasts:
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

    Raises
    ------
    ValueError
        The level lies outside (0, 1).

    References
    ----------
    MOVER, with the two means' intervals and their correlation: Zou & Donner (2008), Statistics in
    Medicine 27:1693; Newcombe (1998), Statistics in Medicine 17:2635.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([[1.0, 0.8, 0.6, 0.0, 0.0, 0.2]])
    >>> pair = contrasts(BoundedMean.of(values, -1, 1), BoundedMean.of(values / 2, -1, 1))
    >>> round(float(pair.difference[0]), 3), int(pair.shared[0])
    (0.217, 6)
    """
    check_level(level)
    both = first.present & second.present
    correlation = correlation_of(first, second)
    difference = first.mean - second.mean
    intervals = contrast_intervals(first, second, correlation)
    low, high = intervals(level)
    shared_variance = correlation * np.sqrt(first.variance * second.variance)
    return Contrasts(
        difference=difference,
        low=low,
        high=high,
        se=np.sqrt(np.maximum(first.variance + second.variance - 2 * shared_variance, 0)),
        p_value=inverted_p_values(intervals, difference),
        p_sign_flip=np.array(
            [
                sign_flip((first.values[row] - second.values[row])[both[row]], seed=seed)
                if both[row].any()
                else np.nan
                for row in range(len(difference))
            ]
        ),
        correlation=correlation,
        shared=both.sum(-1).astype(float),
    )


def contrast_intervals(
    first: BoundedMean, second: BoundedMean, correlation: Floats
) -> Callable[[ArrayLike], tuple[Floats, Floats]]:
    """What gives the intervals at any level."""
    ends = first.ends(), second.ends()

    def intervals(level: ArrayLike) -> tuple[Floats, Floats]:
        (low_a, high_a), (low_b, high_b) = (of.interval(level) for of in ends)
        return square_and_add((first.mean, low_a, high_a), (second.mean, low_b, high_b), correlation)

    return intervals


def correlation_of(first: BoundedMean, second: BoundedMean) -> Floats:
    """The correlation of two means, which their common prompts make."""
    e_first, e_second = (
        np.where(sample.present, sample.values - sample.mean[..., None], 0) for sample in (first, second)
    )
    both = first.present & second.present
    covariance = np.where(both, e_first * e_second, 0).sum(-1) / (first.n * second.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / np.sqrt(first.variance * second.variance)
    return np.clip(np.nan_to_num(correlation), -1, 1)
