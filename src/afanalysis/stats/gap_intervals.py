"""The compliance gap: the difference of two rates over the same prompts.

The default interval is the paired, cluster-robust t interval on per-prompt differences, after Agresti
and Min with two pseudo-prompts of opposite sign; these fade as discordant prompts accumulate. It stays
inside [-1, 1], has width at a gap of 0 without a discordant prompt, and needs no balance: a prompt may
have any number of samples in either tier, or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.hypothesis_tests import sign_flip
from afanalysis.stats.proportions import Floats, check_level
from afanalysis.stats.rate_intervals import (
    PRIOR_ICC,
    Clustered,
    clustered,
    critical_value,
    interval,
    small_sample_warning,
)
from afanalysis.stats.resampling import bootstrap, difference

# How many pseudo-prompts are added where no prompt is discordant; with m discordant ones it is this by
# 1 + m. Chosen by benchmarks/coverage.py among those that cover, for the narrowest intervals.
PSEUDO_PROMPTS = 2.0

METHODS: tuple[str, ...] = (
    "adjusted-t",
    "mover",
    "cluster-t",
    "bootstrap",
    "bca",
    "bootstrap-t",
    "unpaired",
    "paper",
)


@dataclass(frozen=True)
class Paired:
    """What the gap's intervals are made from; fields have the shape of the stack of studies."""

    free: Clustered
    paid: Clustered
    gap: Floats
    se: Floats
    correlation: Floats
    prompts: Floats
    discordant: Floats
    samples: Floats


def paired(n_free: ArrayLike, s_free: ArrayLike, n_paid: ArrayLike, s_paid: ArrayLike) -> Paired:
    """The gap and its paired, cluster-robust standard error from per-prompt counts.

    Parameters
    ----------
    n_free, s_free, n_paid, s_paid
        Samples and successes of each tier by prompt, shape (..., prompts), the same prompts in the
        same places. A prompt that lacks a tier has n = 0 there.

    References
    ----------
    Paired differences over questions: Miller (2024), arXiv:2411.00640, section 4; linearised for
    ratios of totals as in Kish (1965).
    """
    arrays = (np.asarray(x, dtype=float) for x in (n_free, s_free, n_paid, s_paid))
    n_free, s_free, n_paid, s_paid = np.broadcast_arrays(*arrays)
    free, paid = clustered(n_free, s_free), clustered(n_paid, s_paid)
    e_free = (s_free - free.rate[..., None] * n_free) / free.n[..., None]
    e_paid = (s_paid - paid.rate[..., None] * n_paid) / paid.n[..., None]
    prompts = ((n_free > 0) | (n_paid > 0)).sum(-1).astype(float)
    small = prompts / np.maximum(prompts - 1, 1)
    variance = ((e_free - e_paid) ** 2).sum(-1) * small
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (e_free * e_paid).sum(-1) / np.sqrt((e_free**2).sum(-1) * (e_paid**2).sum(-1))
    return Paired(
        free=free,
        paid=paid,
        gap=free.rate - paid.rate,
        se=np.sqrt(variance),
        correlation=np.clip(np.nan_to_num(correlation), -1, 1),
        prompts=prompts,
        # shares that differ; products rather than quotients, so that equal ones are equal exactly
        discordant=(np.abs(s_free * n_paid - s_paid * n_free) > 1e-9).sum(-1).astype(float),
        samples=np.minimum(free.n / free.prompts, paid.n / paid.prompts),
    )


def gap_interval(
    counts: Paired, level: float = 0.95, method: str = "adjusted-t"
) -> tuple[Floats, Floats]:
    """The interval of a gap by a closed-form method; see `gap` for the choice."""
    check_level(level)
    free, paid, d = counts.free, counts.paid, counts.gap
    if method == "adjusted-t":
        return _adjusted_t(counts, level)
    if method in ("mover", "unpaired"):
        low_f, high_f = interval(free, level)
        low_p, high_p = interval(paid, level)
        r = counts.correlation if method == "mover" else np.zeros_like(d)
        return square_and_add((free.rate, low_f, high_f), (paid.rate, low_p, high_p), correlation=r)
    if method == "cluster-t":
        half = critical_value(level, counts.prompts) * counts.se
    elif method == "paper":
        se = [np.sqrt(c.rate * (1 - c.rate) / c.n) for c in (free, paid)]
        half = special.ndtri((1 + level) / 2) * np.hypot(*se)
    else:
        raise ValueError(f"method is {method!r}; use one of: {', '.join(METHODS)}")
    return np.clip(d - half, -1, 1), np.clip(d + half, -1, 1)


def _adjusted_t(counts: Paired, level: float) -> tuple[Floats, Floats]:
    """The t interval with pseudo-prompts.

    References
    ----------
    Agresti & Min (2005), Statistics in Medicine 24:729, who add two pseudo-pairs for one sample a
    prompt. With k samples a pseudo-prompt's difference has the size that an ICC of `PRIOR_ICC` gives a
    wholly undecided prompt, sqrt((1 + (k - 1) ICC) / k).
    """
    prompts, d = counts.prompts, counts.gap
    added = PSEUDO_PROMPTS / (1 + counts.discordant)
    size2 = (1 + (counts.samples - 1).clip(0) * PRIOR_ICC) / counts.samples.clip(1)
    total = prompts + added
    middle = d * prompts / total
    # the sum of squares of per-prompt values about the new middle, real and pseudo
    squares = counts.se**2 * prompts * np.maximum(prompts - 1, 1) + prompts * (d - middle) ** 2
    squares = squares + added * (size2 + middle**2)
    half = critical_value(level, prompts) * np.sqrt(squares / (total * (total - 1)))
    low, high = np.minimum(middle - half, d), np.maximum(middle + half, d)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def square_and_add(
    first: tuple[ArrayLike, ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike, ArrayLike],
    correlation: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
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


@dataclass(frozen=True)
class Gap:
    """A compliance gap (difference of proportions, free minus paid) with its interval.

    `n_paired` prompts have samples in both tiers, `n_unpaired` in one only; both kinds count.
    """

    free: float
    paid: float
    gap: float
    low: float
    high: float
    se: float
    p_value: float
    n_prompts: int
    n_paired: int
    n_unpaired: int
    correlation: float
    method: str
    warning: str = ""


def gap(
    n_free: ArrayLike,
    s_free: ArrayLike,
    n_paid: ArrayLike,
    s_paid: ArrayLike,
    *,
    level: float = 0.95,
    method: str = "adjusted-t",
    resamples: int = 10_000,
    seed: int = 0,
) -> Gap:
    """The compliance gap with a paired interval and a sign-flip p-value.

    Parameters
    ----------
    n_free, s_free, n_paid, s_paid
        Samples and successes of each tier by prompt; n = 0 where a prompt lacks a tier.
    level
        Confidence level in (0, 1).
    method
        `adjusted-t` (default); `mover`, Newcombe's square-and-add of the two rates' intervals with
        their correlation over prompts, which is wider and the safest of all where nearly nothing
        happens; `cluster-t`, the paired estimate ± t · SE; `bootstrap`, `bca` or `bootstrap-t` over
        prompts; `unpaired`, square-and-add which forgets the pairing; `paper`, the
        formula of Greenblatt et al. (2024), which forgets pairing and clustering.
    resamples, seed
        For the bootstraps, and for the p-value where it cannot be exact.

    Raises
    ------
    ValueError
        Counts are impossible, or one tier has no samples.
    """
    check_level(level)
    nf, sf, np_, sp = (np.asarray(x, dtype=float) for x in (n_free, s_free, n_paid, s_paid))
    if nf.sum() == 0 or np_.sum() == 0:
        lacking = "free" if nf.sum() == 0 else "paid"
        raise ValueError(f"no samples in the {lacking} tier; a gap needs both")
    counts = paired(nf, sf, np_, sp)
    if method in ("bootstrap", "bca", "bootstrap-t"):
        kind = {"bootstrap": "percentile"}.get(method, method)
        cells = np.column_stack([sf, nf, sp, np_])
        found = bootstrap(
            cells, difference(0, 1, 2, 3), level=level, kind=kind, resamples=resamples, seed=seed
        )
        low, high = found.low, found.high
    else:
        low, high = (float(end) for end in gap_interval(counts, level, method))
    both = (nf > 0) & (np_ > 0)
    prompts = int(counts.prompts)
    p_value = float("nan")
    if both.any():
        differences = sf[both] / nf[both] - sp[both] / np_[both]
        lattice = _common_multiple(np.concatenate([nf[both], np_[both]]))
        p_value = sign_flip(differences, lattice=lattice, resamples=resamples, seed=seed)
    events = min(float(counts.free.events), float(counts.paid.events))
    reason = small_sample_warning(prompts, events)
    if not both.any():
        reason = "no prompt has samples in both tiers, so there is no paired p-value"
    return Gap(
        free=float(counts.free.rate),
        paid=float(counts.paid.rate),
        gap=float(counts.gap),
        low=low,
        high=high,
        se=float(counts.se),
        p_value=p_value,
        n_prompts=prompts,
        n_paired=int(both.sum()),
        n_unpaired=prompts - int(both.sum()),
        correlation=float(counts.correlation),
        method=method,
        warning=reason,
    )


def _common_multiple(sizes: Floats, most: int = 10**6) -> int:
    """The least common multiple of whole sizes; some other number where it is beyond `most`."""
    found = 1
    for size in np.unique(sizes.astype(np.int64)):
        found = int(np.lcm(found, size))
        if found > most:
            break
    return found
