"""The compliance gap: the difference of two rates over the same prompts.

By default every prompt weighs alike and the gap is the mean over prompts of the difference of its two
rates; prompts that lack a tier have no difference and are counted apart. Its interval and its p-value
are those of a bounded mean, so they agree with each other. Contrasts are differences of two conditions,
made in the same way from the prompts that both have and those of either alone.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats import rate_intervals
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import Intervals, adjust, inverted_p_values, sign_flip
from afanalysis.stats.proportions import Ends, Floats, Three, check_level, ratio, square_and_add
from afanalysis.stats.resampling import bootstrap, difference

# For `adjusted-t`: how many pseudo-prompts are added where no prompt is discordant; with m discordant
# ones it is this by 1 + m.
PSEUDO_PROMPTS = 2.0

# The finest lattice on which differences of shares are looked for.
_FINEST = 10**6

_DRAWN = ("bootstrap", "bca")
METHODS = ("bounded", "adjusted-t", "mover", "cluster-t", *_DRAWN, "unpaired", "paper")


@dataclass(frozen=True)
class Paired:
    """What the gap's intervals are made of; fields have the shape of the stack of studies.

    Attributes
    ----------
    free, paid
        The two rates. Where prompts weigh alike, of the prompts that have both tiers, so that the gap is
        their difference.
    gap, se
        The gap and its paired standard error over prompts.
    differences
        The differences of the prompts that have both tiers, for the weighting by prompts.
    correlation
        Of the two rates over prompts.
    prompts, discordant
        Prompts that count, and those whose rates differ between the tiers.
    """

    free: rate_intervals.Clustered
    paid: rate_intervals.Clustered
    gap: Floats
    se: Floats
    differences: BoundedMean | None
    correlation: Floats
    prompts: Floats
    discordant: Floats


def paired(
    n_free: ArrayLike,
    s_free: ArrayLike,
    n_paid: ArrayLike,
    s_paid: ArrayLike,
    weighting: str = "prompts",
    *,
    apart: bool = False,
) -> Paired:
    """The gap and its paired standard error from counts by prompt.

    Parameters
    ----------
    n_free, s_free, n_paid, s_paid
        Answers and successes of each tier by prompt, shape (..., prompts), the same prompts in the
        same places. A prompt that lacks a tier has n = 0 there.
    weighting
        `prompts` or `answers`, as in `rate_intervals.clustered`. By `answers`, prompts that lack a tier
        count in the other tier's rate.
    apart
        Whether the tiers share no prompt: then the gap is that of two separate samples.

    Raises
    ------
    ValueError
        As `clustered`; or prompts are to weigh alike and none has both tiers.

    References
    ----------
    Paired differences over questions: Miller (2024), arXiv:2411.00640, section 4; for `answers`
    linearised for ratios of totals as in Kish (1965).
    """
    arrays = (np.asarray(x, dtype=float) for x in (n_free, s_free, n_paid, s_paid))
    n_free, s_free, n_paid, s_paid = np.broadcast_arrays(*arrays)
    by_prompt = weighting == "prompts" and not apart
    both = (n_free > 0) & (n_paid > 0)
    if by_prompt:
        if (both.sum(-1) == 0).any():
            raise ValueError("no prompt has samples in both tiers; a paired gap needs one")
        n_free, s_free, n_paid, s_paid = (np.where(both, x, 0) for x in (n_free, s_free, n_paid, s_paid))
    free = rate_intervals.clustered(n_free, s_free, weighting)
    paid = rate_intervals.clustered(n_paid, s_paid, weighting)
    prompts = ((n_free > 0) | (n_paid > 0)).sum(-1).astype(float)
    differences, counts = None, [(free, n_free, s_free), (paid, n_paid, s_paid)]
    if by_prompt:
        differences = BoundedMean.of(free.shares.values - paid.shares.values, -1, 1, both)
        counts = [(rate, both, rate.shares.values) for rate in (free, paid)]
    # what each prompt adds to a tier's rate
    e_free, e_paid = ((s - rate.rate[..., None] * n) / n.sum(-1, keepdims=True) for rate, n, s in counts)
    variance = ((e_free - e_paid) ** 2).sum(-1) * (prompts / np.maximum(prompts - 1, 1))
    if apart:
        variance = free.se**2 + paid.se**2
    product, squares = (e_free * e_paid).sum(-1), (e_free**2).sum(-1) * (e_paid**2).sum(-1)
    return Paired(
        free=free,
        paid=paid,
        gap=free.rate - paid.rate,
        se=np.sqrt(variance),
        differences=differences,
        correlation=np.clip(ratio(product, np.sqrt(squares)), -1, 1),
        prompts=prompts,
        # shares that differ; products rather than quotients, so that equal ones are equal exactly
        discordant=(np.abs(s_free * n_paid - s_paid * n_free) > 1e-9).sum(-1).astype(float),
    )


def default_method(weighting: str) -> str:
    """The method of a gap's interval that is used unless another is named."""
    return "bounded" if weighting == "prompts" else "adjusted-t"


def gap_interval(counts: Paired, level: float = 0.95, method: str | None = None) -> Ends:
    """The interval of a gap; see `gap` for the methods. A bootstrap takes one study, not a stack."""
    check_level(level)
    method = method or default_method(counts.free.weighting)
    free, paid, d = counts.free, counts.paid, counts.gap
    if method == "bounded":
        if counts.differences is None:
            needs = "weighting 'prompts' and prompts with samples in both tiers"
            raise ValueError(f"method 'bounded' needs {needs}")
        return counts.differences.interval(level)
    if method == "adjusted-t":
        return _adjusted_t(counts, level)
    if method in ("mover", "unpaired"):
        low_f, high_f = rate_intervals.interval(free, level, "wilson")
        low_p, high_p = rate_intervals.interval(paid, level, "wilson")
        r = counts.correlation if method == "mover" else np.zeros_like(d)
        return square_and_add((free.rate, low_f, high_f), (paid.rate, low_p, high_p), correlation=r)
    if method in _DRAWN:
        tiers = [rate_intervals.bootstrap_cells(tier.cells, tier.weighting) for tier in (free, paid)]
        cells = np.hstack(tiers)
        cells = cells[cells[:, 1::2].any(axis=1)]  # prompts without answers are absent
        kind = "percentile" if method == "bootstrap" else method
        low, high = bootstrap(cells, difference(0, 1, 2, 3), level=level, kind=kind)
        return np.asarray(low), np.asarray(high)
    if method == "cluster-t":
        half = rate_intervals.critical_value(level, counts.prompts) * counts.se
    elif method == "paper":
        se = [np.sqrt(c.rate * (1 - c.rate) / c.n) for c in (free, paid)]
        half = special.ndtri((1 + level) / 2) * np.hypot(*se)
    else:
        raise ValueError(f"method is {method!r}; use one of: {', '.join(METHODS)}")
    return np.clip(d - half, -1, 1), np.clip(d + half, -1, 1)


def _adjusted_t(counts: Paired, level: float) -> Ends:
    """The t interval with pseudo-prompts.

    References
    ----------
    Agresti & Min (2005), Statistics in Medicine 24:729, who add two pseudo-pairs for one sample a
    prompt. With k samples a pseudo-prompt's difference has the size that an ICC of `PRIOR_ICC` gives a
    wholly undecided prompt, sqrt((1 + (k - 1) ICC) / k).
    """
    prompts, d = counts.prompts, counts.gap
    added = PSEUDO_PROMPTS / (1 + counts.discordant)
    # answers per prompt, in the tier that has fewer
    samples = np.minimum(*(tier.n / tier.prompts for tier in (counts.free, counts.paid))).clip(1)
    size2 = (1 + (samples - 1) * rate_intervals.PRIOR_ICC) / samples
    total = prompts + added
    middle = d * prompts / total
    # the sum of squares of per-prompt values about the new middle, real and pseudo
    squares = counts.se**2 * prompts * np.maximum(prompts - 1, 1) + prompts * (d - middle) ** 2
    squares = squares + added * (size2 + middle**2)
    half = rate_intervals.critical_value(level, prompts) * np.sqrt(squares / (total * (total - 1)))
    low, high = np.minimum(middle - half, d), np.maximum(middle + half, d)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def gap(
    n_free: ArrayLike,
    s_free: ArrayLike,
    n_paid: ArrayLike,
    s_paid: ArrayLike,
    *,
    level: float = 0.95,
    method: str | None = None,
    weighting: str = "prompts",
) -> dict[str, Any]:
    """The compliance gap with a paired interval, its p-value, and the sign-flip p-value.

    Parameters
    ----------
    n_free, s_free, n_paid, s_paid
        Answers and successes of each tier by prompt; n = 0 where a prompt lacks a tier.
    level
        Confidence level in (0, 1).
    method
        `bounded` (default), see `afanalysis.stats.bounded_means`; `adjusted-t` (the default for the
        weighting by answers), a paired t with fading pseudo-prompts after Agresti & Min; `mover`,
        Newcombe's square-and-add of the two rates' Wilson intervals with their correlation over prompts;
        `cluster-t`, the paired estimate ± t · SE; `bootstrap` or `bca` over prompts;
        `unpaired`, square-and-add without the pairing; `paper`, the formula of Greenblatt et al. (2024),
        without pairing and clustering.
    weighting
        `prompts` or `answers`, as in `paired`. Where no prompt has both tiers the gap is that of two
        separate samples, by `unpaired`.

    Returns
    -------
    dict
        `free`, `paid`, `gap` (free minus paid), `low`, `high`, `se` (proportions); `p_value`, which
        belongs to the interval; `p_sign_flip`, of another hypothesis, that the tier makes no difference
        for any prompt (missing where no prompt has both tiers); `n_prompts`, `n_paired` (in both
        tiers), `n_unpaired` (in one only), `correlation`, `weighting`, `method`, `warning`.

    Raises
    ------
    ValueError
        Counts are impossible, or one tier has no samples.

    Examples
    --------
    >>> result = gap([5] * 20, [5, 4, 1, *[0] * 17], [5] * 20, [0, 0, 0, 1, *[0] * 16])
    >>> [round(result[name], 3) for name in ("gap", "low", "high")]
    [0.09, -0.077, 0.295]
    """
    arrays = (np.asarray(x, dtype=float) for x in (n_free, s_free, n_paid, s_paid))
    nf, sf, np_, sp = np.broadcast_arrays(*arrays)
    both = (nf > 0) & (np_ > 0)
    method = method or (default_method(weighting) if both.any() else "unpaired")
    counts = paired(nf, sf, np_, sp, weighting, apart=not both.any())

    def ends(level: Any) -> Ends:
        return gap_interval(counts, float(level), method)

    low, high = map(float, ends(level))
    bounded = counts.differences if method == "bounded" else None
    p_value = bounded.p_value() if bounded else inverted_p_values(ends, counts.gap)
    p_sign_flip = float("nan")
    if both.any():
        differences = sf[both] / nf[both] - sp[both] / np_[both]
        sizes = np.unique(np.concatenate([nf[both], np_[both]])).astype(int)
        lattice = min(math.lcm(*sizes.tolist()), _FINEST)
        p_sign_flip = sign_flip(differences, lattice=lattice)
    events = max(float(counts.free.events), float(counts.paid.events))
    warning = rate_intervals.small_sample_warning(float(counts.prompts), events, method)
    if not both.any():
        warning = "no prompt has samples in both tiers, so the gap is that of two separate samples"
    prompts = int(((nf > 0) | (np_ > 0)).sum())
    numbers = {"free": counts.free.rate, "paid": counts.paid.rate, "gap": counts.gap, "se": counts.se}
    result = {name: float(number) for name, number in numbers.items()}
    result |= {"low": low, "high": high, "p_value": float(p_value), "p_sign_flip": p_sign_flip}
    result |= {"n_prompts": prompts, "n_paired": int(both.sum())}
    result |= {"n_unpaired": prompts - result["n_paired"], "correlation": float(counts.correlation)}
    return result | {"weighting": weighting, "method": method, "warning": warning}


def gap_bounds(free: Three, paid: Three, weighting: str = "prompts") -> Ends:
    """The gap if the missing answers had gone the way that makes it smallest, and largest.

    Parameters
    ----------
    free, paid
        `n`, `s` and `missing` of each tier, as in `rate_intervals.rate_bounds`, the same prompts in the
        same places. Where prompts weigh alike, those count that have answers, known or missing, in both
        tiers, unless there are none.

    Examples
    --------
    >>> low, high = gap_bounds(([4, 5], [2, 0], [1, 0]), ([5, 5], [0, 1], [0, 0]))
    >>> round(float(low), 2), round(float(high), 2)
    (0.1, 0.2)
    """
    counts = [[np.asarray(x, dtype=float) for x in tier] for tier in (free, paid)]
    if weighting == "prompts":
        shared = np.logical_and(*((n + missing > 0) for n, _, missing in counts))
        some = shared.any(-1, keepdims=True)
        counts = [[np.where(shared | ~some, x, 0) for x in tier] for tier in counts]
    of_free, of_paid = (rate_intervals.rate_bounds(n, s, missing, weighting) for n, s, missing in counts)
    return of_free[0] - of_paid[1], of_free[1] - of_paid[0]


def contrasts(first: BoundedMean, second: BoundedMean, level: float = 0.95) -> dict[str, Floats]:
    """The differences of two stacks of means over the same places of prompts.

    Parameters
    ----------
    first, second
        Shape (pairs, prompts), with the same prompt in the same place of both. A prompt that one of
        them lacks is absent there.
    level
        Confidence level in (0, 1).

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
    flips = [sign_flip(gaps[has]) if has.any() else np.nan for gaps, has in apart]
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

    def intervals(level: ArrayLike) -> Ends:
        down, up = np.zeros_like(difference), np.zeros_like(difference)
        for weight, mean, of in ends:
            low, high = of.interval(level)
            below, above = (weight * (mean - low)) ** 2, (weight * (high - mean)) ** 2
            down += np.where(weight > 0, below, above)
            up += np.where(weight > 0, above, below)
        return difference - np.sqrt(down), difference + np.sqrt(up)

    return intervals
