"""Rates and gaps corrected for a judge that errs, from hand labels; and how far raters agree.

The labels say which share of the judge's positive verdicts is truly positive, and of its negative ones,
in each tier. Where they are of the condition itself, these shares apply as they are: the estimate is
post-stratified by verdict. Where several conditions share their labels, the judge's sensitivity and
specificity carry over from one to another.

What a prompt adds to the estimate, by its verdicts and by its labels together, is one value; the
interval is that of the mean of these values. A stratum whose labels are all alike adds a variance
that they do not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.proportions import Floats, check_level, ratio, wilson
from afanalysis.stats.rate_intervals import critical_value

# The standard deviation by which the judge's error may differ between conditions that share labels, in
# both tiers alike.
SHARED_SPREAD = 0.05
# The same between tiers: a tier with few labels of one kind leans on the other tier's.
TIER_SPREAD = 0.2


class Labels(NamedTuple):
    """The labels of one tier.

    Attributes
    ----------
    prompt
        The place of each label's prompt, shape (labels,).
    verdict
        The verdict of the judge (bool).
    truth
        The label that people gave (0-1).
    weight
        The inverse of its chance to be drawn.
    """

    prompt: ArrayLike
    verdict: ArrayLike
    truth: ArrayLike
    weight: ArrayLike


@dataclass(frozen=True)
class Verified:
    """A tier with its verdicts and labels: how often the judge is right about each verdict.

    Attributes
    ----------
    n, s
        Judged answers and positive verdicts by prompt.
    share
        Of the two verdicts (negative, positive), the mean over prompts of their share.
    true
        Of the two verdicts, the share that is truly positive; 0.5 where there is no label.
    variance, hidden
        Of `true`: the variance that the labels show, clustered in prompts, and what they do not show.
    count
        Of the two verdicts, the number of labels.
    pull
        Shape (2, prompts): what each prompt's labels add to `true`.
    """

    n: Floats
    s: Floats
    share: Floats
    true: Floats
    variance: Floats
    hidden: Floats
    count: np.ndarray
    pull: Floats

    @classmethod
    def of(cls, n: ArrayLike, s: ArrayLike, labels: Labels) -> Self:
        """Compare labels with verdicts.

        Parameters
        ----------
        n, s
            Judged answers and positive verdicts by prompt, shape (prompts,).
        labels
            Those of this tier.

        Raises
        ------
        ValueError
            A weight is not positive, or a label lies outside 0-1.
        """
        n, s, truth, weight = (np.asarray(x, float) for x in (n, s, labels.truth, labels.weight))
        place, says_yes = np.asarray(labels.prompt, dtype=int), np.asarray(labels.verdict, dtype=bool)
        if not ((weight > 0) & np.isfinite(weight)).all():
            raise ValueError("weights must be positive numbers")
        if not ((truth >= 0) & (truth <= 1)).all():
            raise ValueError("labels must lie in 0-1")
        positive = ratio(s, n)
        prompts = (n > 0).sum()
        share = np.array([prompts - positive.sum(), positive.sum()]) / prompts
        # where prompts weigh alike, an answer counts by one over its prompt's number of answers
        worth = weight / n[place]
        true, variance, count = np.full(2, 0.5), np.zeros(2), np.zeros(2, dtype=int)
        hidden, pull = np.full(2, 0.25), np.zeros((2, n.size))
        for verdict in (0, 1):
            mine = says_yes == bool(verdict)
            count[verdict] = mine.sum()
            if not mine.any():
                continue
            w, y = worth[mine], truth[mine]
            true[verdict] = (w * y).sum() / w.sum()
            pull[verdict] = np.bincount(place[mine], w * (y - true[verdict]), n.size) / w.sum()
            variance[verdict] = (pull[verdict] ** 2).sum() * prompts / max(prompts - 1, 1)
            size = w.sum() ** 2 / (w**2).sum()
            rare = 0.5 / (size + 1)
            minority = min(y.sum(), (1 - y).sum())
            hidden[verdict] = rare * (1 - rare) / ((size + 1) * (1 + minority))
        return cls(n, s, share, true, variance, hidden, count, pull)

    @property
    def positive(self) -> Floats:
        """By prompt the share of positive verdicts; 0 where a prompt has no answers."""
        return ratio(self.s, self.n)

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return int(self.count.sum())

    @property
    def lacking(self) -> str:
        """Which labels are missing to correct anything, in words; empty where none are."""
        for verdict, word in ((1, "positive"), (0, "negative")):
            if self.share[verdict] > 0 and not self.count[verdict]:
                return f"no label among the judge's {word} verdicts"
        return ""

    def influence(self) -> tuple[Floats, float]:
        """What each prompt adds to the true rate, and the variance that its labels do not show."""
        present = self.n > 0
        value = self.true[1] * self.positive + self.true[0] * (present - self.positive)
        value = value + present.sum() * (self.share[:, None] * self.pull).sum(0)
        return value, float((self.share**2 * self.hidden).sum())


def error_of(*tiers: Verified) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of a judge over tiers together, and their variances.

    References
    ----------
    Begg & Greenes (1983), Biometrics 39:207.
    """
    share, true = np.array([tier.share for tier in tiers]), np.array([tier.true for tier in tiers])
    spread = np.array([tier.variance + tier.hidden for tier in tiers])
    positive, negative = share * true, share * (1 - true)  # by tier and verdict, the truly so
    values, variances = np.full(2, np.nan), np.full(2, np.nan)
    # sensitivity: of the truly positive, those with a positive verdict (1); specificity likewise (0)
    for place, (cells, right) in enumerate(((positive, 1), (negative, 0))):
        total = cells.sum()
        if total > 0:
            rightly, wrongly = cells[:, right].sum(), cells[:, 1 - right].sum()
            slopes = share / total**2
            slopes = slopes * np.where(np.arange(2) == right, wrongly, rightly)
            values[place], variances[place] = rightly / total, (slopes**2 * spread).sum()
    return values, variances


class Estimate(NamedTuple):
    """A number with its interval (proportions or differences of them)."""

    value: float
    low: float
    high: float


class CorrectedPair(NamedTuple):
    """Two tiers of a condition, corrected; `shift` is the part of the raw gap that the judge made."""

    free: Estimate
    paid: Estimate
    gap: Estimate
    shift: Estimate


def corrected_by_own_labels(free: Verified, paid: Verified, level: float = 0.95) -> CorrectedPair:
    """True rates and the true gap of a condition, from labels of that condition.

    Parameters
    ----------
    free, paid
        The two tiers, the same prompts in the same places.
    level
        Confidence level in (0, 1).

    References
    ----------
    Double sampling: Tenenbein (1970), JASA 65:1350; post-stratified and linearised as in Särndal,
    Swensson & Wretman (1992), Model Assisted Survey Sampling, chapter 9.
    """
    values, hidden = zip(*(tier.influence() for tier in (free, paid)), strict=True)
    return _pair(free, paid, values, hidden, sum(hidden), level)


def corrected_by_shared_labels(
    free: Verified,
    paid: Verified,
    judge_free: Verified,
    judge_paid: Verified,
    level: float = 0.95,
    *,
    alike: bool = False,
) -> CorrectedPair:
    """True rates and the true gap of a condition, from labels that several conditions share.

    Parameters
    ----------
    free, paid
        The verdicts of the condition; their labels are not used.
    judge_free, judge_paid
        The verdicts and labels of all conditions together. A tier with few truly positive (or negative)
        labels leans on the other tier's sensitivity (or specificity).
    level
        Confidence level in (0, 1).
    alike
        The judge errs alike in both tiers: its false alarms then cancel from the gap, which narrows the
        interval, and biases it if the assumption is wrong.

    References
    ----------
    Rogan & Gladen (1978), American J. Epidemiology 107:71.
    """
    of_free, of_paid = error_of(judge_free), error_of(judge_paid)
    errors = [_leaning(of_free, of_paid), _leaning(of_paid, of_free)]
    if alike:
        errors = [error_of(judge_free, judge_paid)] * 2
    parts = [_rogan_gladen(tier, *error) for tier, error in zip((free, paid), errors, strict=True)]
    values, by_labels, by_condition = zip(*parts, strict=True)
    youden = min(error.sum() - 1 for error, _ in errors)
    of_gap = 1.0
    if youden > 0:
        both = (free.n > 0) & (paid.n > 0)
        slope = float((values[0] - values[1])[both].sum()) / max(both.sum(), 1) / youden
        of_labels = float(errors[0][1].sum()) * slope**2 if alike else sum(by_labels)
        of_gap = min(of_labels + 2 * SHARED_SPREAD**2 * slope**2, 1.0)
    return _pair(free, paid, values, np.add(by_labels, by_condition), of_gap, level)


def _rogan_gladen(tier: Verified, error: Floats, variance: Floats) -> tuple[Floats, float, float]:
    """What prompts add to the true rate; its variance by the labels, and by the condition itself."""
    youden = error.sum() - 1
    present = tier.n > 0
    if not youden > 0:  # a judge no better than chance: anything is possible
        return np.where(present, 0.5, 0.0), 1.0, 0.0
    value = np.where(present, (tier.positive + error[1] - 1) / youden, 0)
    true = float(np.clip(value.sum() / present.sum(), 0, 1))
    slopes = np.array([true, 1 - true]) ** 2 / youden**2
    return value, float(slopes @ variance), float(slopes.sum()) * SHARED_SPREAD**2


def _leaning(own: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """A tier's sensitivity and specificity, weighted by precision with the other tier's."""
    values = np.array([own[0], other[0]])
    known = np.isfinite(values)
    variances = np.array([own[1], other[1] + TIER_SPREAD**2])
    weights = np.where(known, 1 / np.maximum(np.where(known, variances, 1), 1e-6), 0)
    total = weights.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weights * np.where(known, values, 0)).sum(0) / total, 1 / total


def _pair(
    free: Verified, paid: Verified, values: Sequence[Floats], extras: Any, of_gap: float, level: float
) -> CorrectedPair:
    """The intervals, from what prompts add to each tier's rate and the variance that is added to it."""
    both = (free.n > 0) & (paid.n > 0)
    difference = values[0] - values[1]
    means = (
        BoundedMean.of(values[0], 0, 1, free.n > 0, extra=extras[0]),
        BoundedMean.of(values[1], 0, 1, paid.n > 0, extra=extras[1]),
        BoundedMean.of(difference, -1, 1, both, extra=of_gap),
        BoundedMean.of(free.positive - paid.positive - difference, -1, 1, both, extra=of_gap),
    )
    return CorrectedPair(*(Estimate(*map(float, (m.mean, *m.interval(level)))) for m in means))


def error_estimates(verified: Verified, level: float = 0.95) -> dict[str, Estimate]:
    """Sensitivity and specificity with Wilson intervals on the size that their variances are worth."""
    values, variances = error_of(verified)
    prompts = float((verified.n > 0).sum())
    estimates = {}
    for name, value, variance in zip(("sensitivity", "specificity"), values, variances, strict=True):
        size = max(value * (1 - value), 0.25 / (verified.labels + 1)) / max(variance, 1e-12)
        low, high = wilson(value, min(size, verified.labels), critical_value(level, prompts))
        estimates[name] = Estimate(float(value), float(low), float(high))
    return estimates


DRAWS = 20_000


def confusion(first: ArrayLike, second: ArrayLike, prompts: ArrayLike) -> NDArray[np.int64]:
    """Cross-tabulate two sets of verdicts on the same things, prompt by prompt.

    Parameters
    ----------
    first, second
        The verdicts, in the same order.
    prompts
        The prompt of each.

    Returns
    -------
    array
        Shape (prompts, categories, categories), of prompts and categories in their order: at [p, i, j]
        the answers to prompt p that the first put in category i and the second in j.

    Raises
    ------
    ValueError
        There are fewer than two verdicts.
    """
    a, b = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    if a.size < 2:
        raise ValueError(f"agreement needs at least 2 verdicts; got {a.size}")
    categories = sorted(set(a) | set(b), key=str)
    names, prompt = np.unique(np.asarray(prompts), return_inverse=True)
    tables = np.zeros((names.size, len(categories), len(categories)), dtype=np.int64)
    rows, columns = (np.array([categories.index(x) for x in verdicts]) for verdicts in (a, b))
    np.add.at(tables, (prompt, rows, columns), 1)
    return tables


def cohen_kappa(table: ArrayLike) -> Floats:
    """Cohen's kappa of one confusion table, or of a stack of them on the first axes.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20:37.
    """
    p = _shares(table)
    return _beyond(p, (p.sum(-1) * p.sum(-2)).sum(-1))


def gwet_ac1(table: ArrayLike) -> Floats:
    """Gwet's AC1, which does not collapse where one category is rare.

    References
    ----------
    Gwet (2008), British J. Mathematical and Statistical Psychology 61:29.
    """
    p = _shares(table)
    share = (p.sum(-1) + p.sum(-2)) / 2
    chance = (share * (1 - share)).sum(-1) / max(p.shape[-1] - 1, 1)
    return _beyond(p, chance)


def _shares(table: ArrayLike) -> Floats:
    return ratio(table, np.sum(table, axis=(-2, -1), keepdims=True))


def _beyond(shares: Floats, chance: Floats | float) -> Floats:
    agreed = np.trace(shares, axis1=-2, axis2=-1)
    # where chance alone gives full agreement there is nothing to explain: full agreement
    return ratio(agreed - chance, np.subtract(1, chance), 1.0)


def agreement(
    tables: ArrayLike, *, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Raw agreement, Cohen's kappa and Gwet's AC1 with intervals that never have zero width.

    Parameters
    ----------
    tables
        Confusion tables, shape (prompts, categories, categories), whole counts: verdicts on answers to
        one prompt resemble each other, so prompts are what is resampled. Of unclustered verdicts, one
        table each.
    level
        Confidence level in (0, 1).
    seed
        Of the draws that make the intervals.

    Returns
    -------
    dict
        By measure (`agreement`, `Cohen's kappa`, `Gwet's AC1`) its value and the ends of its interval.

    Notes
    -----
    The ends are equal-tailed quantiles of the Bayesian bootstrap of prompts, to which a pseudo-prompt is
    added: for the lower ends one whose verdicts all differ, for the upper ends one whose verdicts all
    agree, spread evenly over the categories. An interval that would not hold the estimate is extended to
    it. Unlike the large-sample standard error they have width at full agreement.

    References
    ----------
    The Bayesian bootstrap: Rubin (1981), Annals of Statistics 9:130. A pseudo-observation at the far end
    for each end: Learned-Miller & Thomas (2020), arXiv:2009.01190, as for `bounded_means`.
    """
    check_level(level)
    counts = np.asarray(tables, dtype=float)
    if counts.shape[1] == 1:  # one category only: allow for the other that was not seen
        counts = np.pad(counts, ((0, 0), (0, 1), (0, 1)))
    counts = counts[counts.sum((1, 2)) > 0]
    whole = counts.sum(0)
    size = whole.sum() / len(counts)
    same = np.eye(len(whole))
    pseudo = [size * part / part.sum() for part in (1 - same, same)]
    rng = np.random.default_rng(seed)
    # prompts with the same table are interchangeable: their weights add up to one gamma variable
    cells, frequency = np.unique(counts, axis=0, return_counts=True)
    weights = rng.dirichlet([*frequency, 1], size=DRAWS)
    lower, upper = (np.tensordot(weights, np.concatenate([cells, part[None]]), 1) for part in pseudo)
    tail = (1 - level) / 2
    values = {}
    statistics = (lambda table: _beyond(_shares(table), 0.0), cohen_kappa, gwet_ac1)
    for measure, statistic in zip(("agreement", "Cohen's kappa", "Gwet's AC1"), statistics, strict=True):
        estimate = min(float(statistic(whole)), 1.0)  # 1 but for rounding
        low = np.quantile(statistic(lower), tail)
        high = np.quantile(statistic(upper), 1 - tail)
        values[measure] = estimate, min(float(low), estimate), min(max(float(high), estimate), 1.0)
    return values
