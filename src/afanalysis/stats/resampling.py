"""The bootstrap over prompts, from sufficient statistics.

Prompts with the same counts are interchangeable. A resample of all prompts is therefore one draw from a
multinomial over the few distinct cells of counts, and costs the same for a hundred prompts as for a
million.

A statistic is made of column totals: of an array of shape (resamples, columns) it makes one of shape
(resamples,). Ratios of totals and their differences cover rates, gaps and shares.

Where every prompt has the same number of samples, a rate or a gap is a mean of per-prompt values on a
lattice. Its bootstrap distribution over all possible resamples is then computed outright, as the n-fold
convolution of those values, by one Fourier transform: the limit of infinitely many resamples, without
Monte Carlo error, in about a millisecond.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import Floats, check_level

KINDS = ("percentile", "bca")

_BLOCK = 2**21  # numbers held at once

_LATTICE = 2**20  # the finest lattice that is convolved outright


@dataclass(frozen=True)
class Rates:
    """A sum of signed rates of totals, as the statistic of `bootstrap`.

    Attributes
    ----------
    terms
        (sign, successes column, samples column) of each rate.
    """

    terms: tuple[tuple[int, int, int], ...]

    def __call__(self, totals: np.ndarray) -> np.ndarray:
        """The statistic of each row of totals."""
        rates = [sign * (totals[..., s] / totals[..., n]) for sign, s, n in self.terms]
        return np.sum(rates, axis=0)


def proportion(s: int, n: int) -> Rates:
    """The statistic total(s) / total(n), by column."""
    return Rates(((1, s, n),))


def difference(s_a: int, n_a: int, s_b: int, n_b: int) -> Rates:
    """The statistic rate a minus rate b, by column: the compliance gap."""
    return Rates(((1, s_a, n_a), (-1, s_b, n_b)))


def bootstrap(
    counts: ArrayLike,
    statistic: Rates,
    *,
    level: float = 0.95,
    kind: str = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """A bootstrap interval for rates of per-prompt counts.

    Parameters
    ----------
    counts
        Shape (prompts, columns): whatever counts the statistic needs, one row per prompt.
    statistic
        What `proportion` or `difference` gives.
    kind
        `percentile` or `bca` (bias-corrected and accelerated).
    resamples, seed
        The number of resamples, and the seed that makes them reproducible.

    Raises
    ------
    ValueError
        There are fewer than two prompts, the kind is unknown, or the statistic has no value on the data.

    Returns
    -------
    low, high
        In the statistic's own unit. Resamples in which it has no value (0/0) are left out.

    References
    ----------
    Efron (1987), JASA 82:171, for BCa; Efron & Tibshirani (1993), An Introduction to the Bootstrap,
    chapters 12-14.

    Examples
    --------
    >>> cells = [[1, 5, 0, 5], [3, 5, 1, 5], [0, 5, 0, 5], [2, 5, 2, 5]]
    >>> low, high = bootstrap(cells, difference(0, 1, 2, 3))  # of a gap of 0.15
    >>> round(low, 2), round(high, 2)
    (0.0, 0.3)
    """
    check_level(level)
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; use one of: {', '.join(KINDS)}")
    table = np.asarray(counts, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2:
        raise ValueError("counts must have shape (prompts, columns) with at least 2 prompts")
    cells, weights = distinct(table)
    whole = weights @ cells
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(statistic(whole[None, :])[0])
    if not np.isfinite(estimate):
        raise ValueError("the statistic has no value on these counts (a total is 0)")
    prompts = int(weights.sum())
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    lattice = _on_lattice(cells, statistic)
    if lattice:
        value, mass = _convolved(*lattice, weights, prompts)
        up_to = np.cumsum(mass)
        if kind == "bca":
            place = int(np.argmin(np.abs(value - estimate)))
            below = float(up_to[place] - mass[place] / 2)
            tails = _bca_tails(below, cells, weights, statistic, tails)
        # a tail that a value's cumulated mass reaches but for rounding is reached
        places = np.minimum(np.searchsorted(up_to, tails - 1e-12), value.size - 1)
        return float(value[places[0]]), float(value[places[1]])
    rng = np.random.default_rng(seed)
    values = []
    block = max(1, _BLOCK // len(cells))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = rng.multinomial(prompts, weights / prompts, size=size).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(statistic(drawn @ cells))
    value = np.concatenate(values)
    known = np.isfinite(value)
    if known.sum() < 2:
        raise ValueError("the statistic has no value on nearly every resample (a total is 0)")
    value = value[known]
    if kind == "bca":
        below = float((value < estimate).mean() + (value == estimate).mean() / 2)
        tails = _bca_tails(below, cells, weights, statistic, tails)
    low, high = np.quantile(value, tails)
    return float(low), float(high)


def distinct(table: np.ndarray) -> tuple[Floats, Floats]:
    """The distinct rows of a table of counts, and how often each occurs.

    Returns
    -------
    cells, weights
        Shapes (cells, columns) and (cells,), in an order that does not depend on that of the rows.
    """
    cells, weights = np.unique(table, axis=0, return_counts=True)
    return cells, weights.astype(float)


def _bca_tails(below: float, cells: Floats, weights: Floats, statistic: Rates, tails: Floats) -> Floats:
    """The tails that BCa takes instead: `below` is the share of resamples below the estimate."""
    z0 = special.ndtri(np.clip(below, 1e-9, 1 - 1e-9))
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = statistic((weights @ cells)[None, :] - cells)
    known = np.isfinite(left_out)
    left_out, weight = left_out[known], weights[known]
    centred = (weight @ left_out) / weight.sum() - left_out
    spread = (weight @ centred**2) ** 1.5
    acceleration = (weight @ centred**3) / (6 * spread) if spread > 0 else 0.0
    z = special.ndtri(tails)
    adjusted: Floats = special.ndtr(z0 + (z0 + z) / (1 - acceleration * (z0 + z)))
    return adjusted


def _on_lattice(cells: Floats, statistic: Rates) -> tuple[np.ndarray, float] | None:
    """Each cell's part of the statistic's sum in whole steps, and the step; None if it has none."""
    sizes = cells[:, [n for _, _, n in statistic.terms]]
    if (sizes != sizes[:1]).any():
        return None
    step = 1.0 / float(np.lcm.reduce(sizes[0].astype(np.int64)))
    value = sum(sign * cells[:, s] / cells[:, n] for sign, s, n in statistic.terms)
    whole = np.rint(np.asarray(value) / step)
    if np.abs(whole * step - value).max() > 1e-9 or np.ptp(whole) > _LATTICE:
        return None
    return whole.astype(np.int64), step


def _convolved(whole: np.ndarray, step: float, weights: Floats, prompts: int) -> tuple[Floats, Floats]:
    """The mean of `prompts` independent draws from a lattice: its values and their chances."""
    start = int(whole.min())
    span = int(whole.max()) - start
    mean = float(weights @ (whole - start)) / prompts
    variance = float(weights @ (whole - start - mean) ** 2) / prompts
    # a cyclic window this wide holds all but 1e-20 of the mass, so its wrapping does not show
    reach = 10 * np.sqrt(prompts * variance) + 10 * span + 1
    size = int(2 ** np.ceil(np.log2(min(2 * reach, prompts * span) + 1)))
    once = np.bincount((whole - start) % size, weights=weights / prompts, minlength=size)
    density = np.fft.irfft(np.fft.rfft(once) ** prompts, size)
    first = int(np.floor(prompts * mean - size / 2)) if size <= prompts * span else 0
    sums = first + np.arange(size)
    density = np.maximum(density[sums % size], 0)
    return (sums / prompts + start) * step, density / density.sum()
