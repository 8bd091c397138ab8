"""One rate from clustered counts, with an interval that covers what it claims.

The default interval is Wilson's on the effective sample size. Every array function here works on the
last axis, so that a stack of studies is one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import Floats, check_level, clopper_pearson, jeffreys, wilson
from afanalysis.stats.resampling import bootstrap, proportion

Method = Literal["wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive", "bootstrap"]

METHODS: tuple[str, ...] = (
    "wilson",
    "clopper-pearson",
    "jeffreys",
    "cluster-t",
    "naive",
    "bootstrap",
)

# Where few prompts show an event, their resemblance cannot be estimated. It is then drawn towards this
# value with the weight of one prompt. Chosen by benchmarks/coverage.py: the mildest pull with coverage
# of at least 0.93 from 100 prompts on.
PRIOR_ICC = 0.3

PRIOR_PROMPTS = 1.0

# Below these the coverage study finds no method that keeps its promise everywhere.
FEW_PROMPTS = 20

FEW_EVENTS = 5


@dataclass(frozen=True)
class Clustered:
    """What the intervals are made from; each field has the shape of the stack of studies.

    Attributes
    ----------
    rate, se
        The rate (ratio of totals) and its linearised, cluster-robust standard error.
    n, prompts
        Samples, and prompts with at least one sample.
    deff, icc
        Design effect as estimated (not below 1), and the intraclass correlation it implies.
    n_effective
        Samples divided by the design effect, drawn towards `PRIOR_ICC` where events are few.
    events
        Prompts that show an event, or a non-event, whichever are fewer.
    """

    rate: Floats
    se: Floats
    n: Floats
    prompts: Floats
    deff: Floats
    icc: Floats
    n_effective: Floats
    events: Floats


def clustered(n: ArrayLike, s: ArrayLike) -> Clustered:
    """Rate, design effect and effective sample size from per-prompt counts.

    Parameters
    ----------
    n, s
        Samples and successes by prompt, shape (..., prompts). Prompts with n = 0 count as absent.

    Raises
    ------
    ValueError
        A count is not finite, n is negative, s lies outside 0..n, or there is no sample at all.

    References
    ----------
    Linearised variance of a ratio and design effect: Kish (1965), Survey Sampling; Miller (2024),
    arXiv:2411.00640, for evaluations.
    """
    n, s = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(s, dtype=float))
    if not (np.isfinite(n).all() and np.isfinite(s).all()):
        raise ValueError("counts hold NaN or infinity; drop missing outcomes before counting")
    if (n < 0).any() or (s < 0).any() or (s > n + 1e-9).any():
        raise ValueError("successes must lie between 0 and the number of samples of each prompt")
    total = n.sum(-1)
    if n.shape[-1] == 0 or (total == 0).any():
        raise ValueError("no samples; a rate needs at least one")
    prompts = (n > 0).sum(-1).astype(float)
    rate = np.clip(s.sum(-1) / total, 0, 1)
    residual = s - rate[..., None] * n
    small = prompts / np.maximum(prompts - 1, 1)
    variance = (residual**2).sum(-1) / total**2 * small
    binomial = rate * (1 - rate) / total
    size = (n**2).sum(-1) / total  # samples a prompt, as the design effect weighs them
    with np.errstate(divide="ignore", invalid="ignore"):
        deff = np.where(binomial > 0, variance / binomial, 1.0)
        icc = np.where(size > 1, (deff - 1) / (size - 1), 0.0)
    icc = np.clip(icc, 0, 1)
    events = np.minimum((s > 0).sum(-1), (s < n).sum(-1)).astype(float)
    weight = events / (events + PRIOR_PROMPTS)
    drawn = np.where(size > 1, weight * icc + (1 - weight) * PRIOR_ICC, 0.0)
    return Clustered(
        rate=rate,
        se=np.sqrt(variance),
        n=total,
        prompts=prompts,
        deff=1 + (size - 1) * icc,
        icc=icc,
        n_effective=total / (1 + (size - 1) * drawn),
        events=events,
    )


def critical_value(level: float, clusters: ArrayLike) -> Any:
    """Student's t quantile with one degree of freedom less than there are clusters, at least one."""
    check_level(level)
    return special.stdtrit(np.maximum(np.asarray(clusters, dtype=float) - 1, 1), (1 + level) / 2)


def interval(counts: Clustered, level: float = 0.95, method: str = "wilson") -> tuple[Floats, Floats]:
    """The interval of a rate by a closed-form method; see `rate` for the choice."""
    check_level(level)
    t = critical_value(level, counts.prompts)
    z = special.ndtri((1 + level) / 2)
    if method == "wilson":
        return wilson(counts.rate, counts.n_effective, t)
    if method == "clopper-pearson":
        return clopper_pearson(counts.rate, counts.n_effective * (z / t) ** 2, level)
    if method == "jeffreys":
        return jeffreys(counts.rate, counts.n_effective * (z / t) ** 2, level)
    if method == "naive":
        return wilson(counts.rate, counts.n, z)
    if method == "cluster-t":
        low, high = counts.rate - t * counts.se, counts.rate + t * counts.se
        return np.clip(low, 0, 1), np.clip(high, 0, 1)
    raise ValueError(f"method is {method!r}; use one of: {', '.join(METHODS)}")


@dataclass(frozen=True)
class Rate:
    """A rate (proportion 0-1) with its interval and how it came about."""

    rate: float
    low: float
    high: float
    se: float
    n: int
    n_prompts: int
    deff: float
    icc: float
    n_effective: float
    method: str
    warning: str = ""


def rate(
    n: ArrayLike,
    s: ArrayLike,
    *,
    level: float = 0.95,
    method: str = "wilson",
    resamples: int = 10_000,
    seed: int = 0,
) -> Rate:
    """A rate over prompts with an interval.

    Parameters
    ----------
    n, s
        Samples and successes by prompt, shape (prompts,).
    level
        Confidence level in (0, 1).
    method
        `wilson` (default), `clopper-pearson` or `jeffreys` on the effective sample size; `bootstrap`
        over prompts; `cluster-t`, the estimate ± t · SE that other tools give; `naive`, which takes all
        samples for independent.
    resamples, seed
        For the bootstrap only.

    Returns
    -------
    Rate
        With a `warning` in words where there are too few prompts or events for any method to be sure
        of its coverage.

    References
    ----------
    Korn & Graubard (1998); Franco et al. (2019), J. Survey Stat. Methodol. 7:334, who compare the forms.
    The coverage of each method here stands in docs/statistics.md.

    Examples
    --------
    >>> found = rate([5, 5, 5, 5], [0, 0, 5, 1])
    >>> round(found.rate, 2), round(found.low, 2), round(found.high, 2)
    (0.3, 0.04, 0.83)
    """
    counts = clustered(n, s)
    if counts.rate.ndim:
        raise ValueError("one study at a time; for a stack use clustered() and interval()")
    if method == "bootstrap":
        cells = np.column_stack([np.asarray(s, dtype=float), np.asarray(n, dtype=float)])
        found = bootstrap(cells, proportion(0, 1), level=level, resamples=resamples, seed=seed)
        low, high = found.low, found.high
    else:
        low, high = (float(end) for end in interval(counts, level, method))
    return Rate(
        rate=float(counts.rate),
        low=low,
        high=high,
        se=float(counts.se),
        n=int(counts.n),
        n_prompts=int(counts.prompts),
        deff=float(counts.deff),
        icc=float(counts.icc),
        n_effective=float(counts.n_effective),
        method=method,
        warning=small_sample_warning(float(counts.prompts), float(counts.events)),
    )


def small_sample_warning(prompts: float, events: float) -> str:
    """Why an interval's coverage is not assured, in words; empty where it is."""
    if prompts < FEW_PROMPTS:
        return f"too few prompts ({prompts:.0f}; from {FEW_PROMPTS} on the coverage was checked)"
    if events < FEW_EVENTS:
        return (
            f"too few events ({events:.0f} prompts differ from the rest; with {FEW_EVENTS} or more "
            "the coverage was checked)"
        )
    return ""
