"""One rate from the answers to many prompts, with an interval that covers what it claims.

By default every prompt weighs alike: the rate is the mean over prompts of the share of its answers that
succeeded. Every array function works on the last axis, so that a stack of studies is one call.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats import proportions
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.proportions import Ends, Floats, check_level, ratio
from afanalysis.stats.resampling import bootstrap, proportion

WEIGHTINGS = ("prompts", "answers")
METHODS = ("bounded", "wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive", "bootstrap")

# For the methods on an effective sample size: where few prompts show an event, their resemblance cannot
# be estimated. It is then drawn towards this value with the weight of one prompt.
PRIOR_ICC = 0.3
PRIOR_PROMPTS = 1.0
# Below these numbers the coverage study makes no promise: of prompts for any method, of prompts with an
# event for the methods other than `bounded`.
FEW_PROMPTS = 20
FEW_EVENTS = 5


@dataclass(frozen=True)
class Clustered:
    """What the intervals are made of; each field has the shape of the stack of studies.

    Attributes
    ----------
    rate, se
        The rate and its standard error over prompts.
    n, prompts
        Answers, and prompts with at least one answer.
    deff, icc
        Design effect as estimated (not below 1), and the intraclass correlation it implies.
    n_effective
        Answers divided by the design effect, drawn towards `PRIOR_ICC` where events are few.
    events
        Prompts that show an event, or a non-event, whichever are fewer.
    shares
        The prompts' own rates, for the weighting by prompts.
    cells
        Successes and answers of each prompt, shape (..., prompts, 2), for the bootstrap.
    weighting
        `prompts` or `answers`.
    """

    rate: Floats
    se: Floats
    n: Floats
    prompts: Floats
    deff: Floats
    icc: Floats
    n_effective: Floats
    events: Floats
    shares: BoundedMean
    cells: Floats
    weighting: str


def clustered(n: ArrayLike, s: ArrayLike, weighting: str = "prompts") -> Clustered:
    """Rate, design effect and effective sample size from counts by prompt.

    Parameters
    ----------
    n, s
        Answers and successes by prompt, shape (..., prompts). Prompts with n = 0 count as absent.
    weighting
        `prompts`: every prompt weighs alike. `answers`: every answer does, so that prompts with many
        answers decide.

    Raises
    ------
    ValueError
        A count is not finite, n is negative, s lies outside 0..n, there is no answer at all, or the
        weighting is unknown.

    References
    ----------
    For `answers`, linearised variance of a ratio and design effect: Kish (1965), Survey Sampling; Miller
    (2024), arXiv:2411.00640, for evaluations.
    """
    n, s = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(s, dtype=float))
    _check_weighting(weighting)
    if not (np.isfinite(n).all() and np.isfinite(s).all()):
        raise ValueError("counts hold NaN or infinity; drop missing outcomes before counting")
    if (n < 0).any() or (s < 0).any() or (s > n + 1e-9).any():
        raise ValueError("successes must lie between 0 and the number of samples of each prompt")
    total = n.sum(-1)
    if n.shape[-1] == 0 or (total == 0).any():
        raise ValueError("no samples; a rate needs at least one")
    present = n > 0
    shares = BoundedMean.of(ratio(s, n), 0, 1, present)
    prompts = shares.n
    if weighting == "prompts":
        rate, variance = shares.mean, shares.variance
        # answers per prompt, as they count towards the variance of a mean over prompts
        size = prompts / ratio(1, n).sum(-1)
    else:
        rate = np.clip(s.sum(-1) / total, 0, 1)
        residual = s - rate[..., None] * n
        variance = (residual**2).sum(-1) / total**2 * (prompts / np.maximum(prompts - 1, 1))
        size = (n**2).sum(-1) / total
    # the variance of independent answers, of which every prompt had `size`
    worth = prompts * size if weighting == "prompts" else total
    independent = rate * (1 - rate) / worth
    icc = np.clip(ratio(ratio(variance, independent, 1.0) - 1, size - 1), 0, 1)
    events = np.minimum((s > 0).sum(-1), (s < n).sum(-1)).astype(float)
    weight = events / (events + PRIOR_PROMPTS)
    drawn = np.where(size > 1, weight * icc + (1 - weight) * PRIOR_ICC, 0.0)
    return Clustered(
        rate=rate,
        se=np.sqrt(variance),
        n=total,
        prompts=prompts,
        deff=total / worth * (1 + (size - 1) * icc),
        icc=icc,
        n_effective=worth / (1 + (size - 1) * drawn),
        events=events,
        shares=shares,
        cells=np.stack([s, n], axis=-1),
        weighting=weighting,
    )


def _check_weighting(weighting: str) -> None:
    """Raise `ValueError` unless a weighting is known."""
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting is {weighting!r}; use 'prompts' or 'answers'")


def default_method(weighting: str) -> str:
    """The method of a rate's interval that is used unless another is named."""
    return "bounded" if weighting == "prompts" else "wilson"


def critical_value(level: float, clusters: ArrayLike) -> Any:
    """Student's t quantile with one degree of freedom less than there are clusters, at least one."""
    check_level(level)
    return special.stdtrit(np.maximum(np.asarray(clusters, dtype=float) - 1, 1), (1 + level) / 2)


def interval(counts: Clustered, level: float = 0.95, method: str | None = None) -> Ends:
    """The intervals of rates over prompts.

    Parameters
    ----------
    counts
        One study, or a stack of them.
    level
        Confidence level in (0, 1).
    method
        `bounded` (default), see `afanalysis.stats.bounded_means`; `wilson` (the default for the
        weighting by answers), `clopper-pearson` or `jeffreys` on the effective sample size; `bootstrap`
        over prompts; `cluster-t`, the estimate ± t · SE that other tools give; `naive`, which takes
        all answers for independent.

    References
    ----------
    Korn & Graubard (1998), for effective sample sizes; Franco et al. (2019), J. Survey Stat. Methodol.
    7:334, who compare the forms. The coverage of the methods is in docs/statistics.md.

    Examples
    --------
    >>> low, high = interval(clustered([5, 5, 5, 5], [0, 0, 5, 1]))
    >>> round(float(low), 2), round(float(high), 2)
    (0.01, 0.83)
    """
    method = method or default_method(counts.weighting)
    t = critical_value(level, counts.prompts)
    z = special.ndtri((1 + level) / 2)
    if method == "bounded":
        if counts.weighting != "prompts":
            raise ValueError("method 'bounded' needs weighting 'prompts': it is of means over prompts")
        return counts.shares.interval(level)
    if method == "wilson":
        return proportions.wilson(counts.rate, counts.n_effective, t)
    if method in ("clopper-pearson", "jeffreys"):
        size, prior = counts.n_effective * (z / t) ** 2, 0.5 if method == "jeffreys" else 0.0
        return proportions.beta_quantiles(counts.rate, size, level, prior)
    if method == "naive":
        return proportions.wilson(counts.rate, counts.n, z)
    if method == "cluster-t":
        low, high = counts.rate - t * counts.se, counts.rate + t * counts.se
        return np.clip(low, 0, 1), np.clip(high, 0, 1)
    if method == "bootstrap":
        ends = np.empty((2, *counts.rate.shape))
        for study in np.ndindex(counts.rate.shape):
            cells = bootstrap_cells(counts.cells[study], counts.weighting)
            cells = cells[cells[:, 1] > 0]  # prompts without answers are absent
            ends[:, *study] = bootstrap(cells, proportion(0, 1), level=level)
        return ends[0], ends[1]
    raise ValueError(f"method is {method!r}; use one of: {', '.join(METHODS)}")


def bootstrap_cells(cells: Floats, weighting: str) -> Floats:
    """Successes and answers by prompt as the bootstrap adds them up.

    Where prompts weigh alike, their rates count as one answer each, unless all have as many answers:
    then whole counts give the same, and an exact distribution.
    """
    size = cells[:, 1:]
    if weighting == "prompts" and np.unique(size[size > 0]).size > 1:
        return ratio(cells, size)
    return cells


def rate_bounds(n: ArrayLike, s: ArrayLike, missing: ArrayLike, weighting: str = "prompts") -> Ends:
    """The rate if every missing answer had failed, and if every one had succeeded.

    Parameters
    ----------
    n, s, missing
        Known answers, successes among them, and missing answers by prompt, shape (..., prompts).
    weighting
        `prompts` or `answers`, as in `rate_intervals.clustered`.

    Returns
    -------
    low, high
        Missing where there is no answer at all, known or missing. They hold whatever the missing answers
        (without a verdict or the requested form, or blocked) would have been.

    References
    ----------
    Worst-case bounds: Manski (1990), American Economic Review 80:319.

    Examples
    --------
    >>> low, high = rate_bounds([4, 5], [1, 0], [1, 0])
    >>> float(low), float(high)
    (0.1, 0.2)
    """
    _check_weighting(weighting)
    known, successes, lost = (np.asarray(x, dtype=float) for x in (n, s, missing))
    total = known + lost
    low, high = ratio(successes, total), ratio(successes + lost, total)
    weight = total if weighting == "answers" else (total > 0).astype(float)
    with np.errstate(invalid="ignore"):
        weight = weight / weight.sum(-1, keepdims=True)
    return (weight * low).sum(-1), (weight * high).sum(-1)


def small_sample_warning(prompts: Any, events: Any, method: str = "bounded") -> str:
    """Why an interval's coverage is not assured, in words; empty where it is."""
    if prompts < FEW_PROMPTS:
        return f"too few prompts ({prompts:.0f}; from {FEW_PROMPTS} on the coverage was checked)"
    if method != "bounded" and events < FEW_EVENTS:
        checked = f"with {FEW_EVENTS} or more the coverage was checked"
        return f"too few events ({events:.0f} prompts differ from the rest; {checked})"
    return ""
