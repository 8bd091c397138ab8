"""Rates and gaps corrected for a judge that errs, from hand labels of a part of what it judged.

The labels say which share of the judge's positive verdicts is truly positive, and of its negative ones,
in each tier. Where they are of the condition itself, these shares apply as they are: the estimate is
post-stratified by verdict. Where several conditions share their labels, the judge's sensitivity and
specificity carry over from one to another.

What a prompt adds to the estimate, by its verdicts and by its labels together, is one value; the
interval is that of the mean of these values. A stratum whose labels are all alike adds a variance
that they do not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.proportions import Floats, check_level, wilson
from afanalysis.stats.rate_intervals import critical_value

# The standard deviation by which the judge's error may differ between conditions that share labels.
SHARED_SPREAD = 0.05


@dataclass(frozen=True)
class Labels:
    """The labels of one tier.

    Attributes
    ----------
    prompt
        The place of each label's prompt, shape (labels,).
    verdict
        What the judge said of it (bool).
    truth
        What people said of it (0-1).
    weight
        The inverse of its chance to be drawn.
    """

    prompt: np.ndarray
    verdict: np.ndarray
    truth: Floats
    weight: Floats

    @classmethod
    def of(cls, prompt: ArrayLike, verdict: ArrayLike, truth: ArrayLike, weight: ArrayLike) -> Labels:
        """Check and convert.

        Raises
        ------
        ValueError
            A weight is not positive, or a label lies outside 0-1.
        """
        y, w = np.asarray(truth, dtype=float), np.asarray(weight, dtype=float)
        if (w <= 0).any() or not np.isfinite(w).all():
            raise ValueError("weights must be positive numbers")
        if ((y < 0) | (y > 1) | ~np.isfinite(y)).any():
            raise ValueError("labels must lie in 0-1")
        return cls(np.asarray(prompt, dtype=int), np.asarray(verdict, dtype=bool), y, w)


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
    variance
        Of `true`: as the labels show it, clustered in prompts, and what they do not show.
    count
        Of the two verdicts, the number of labels.
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
    def of(cls, n: ArrayLike, s: ArrayLike, labels: Labels) -> Verified:
        """Compare labels with verdicts.

        Parameters
        ----------
        n, s
            Judged answers and positive verdicts by prompt, shape (prompts,).
        labels
            Those of this tier.
        """
        n, s = np.asarray(n, dtype=float), np.asarray(s, dtype=float)
        present = n > 0
        positive = np.divide(s, n, out=np.zeros(n.shape), where=present)
        prompts = present.sum()
        share = np.array([(present - positive).sum(), positive.sum()]) / prompts
        # where prompts weigh alike, an answer counts by one over its prompt's number of answers
        a = labels.weight / np.maximum(n[labels.prompt], 1)
        true, variance, hidden, count = np.full(2, 0.5), np.zeros(2), np.zeros(2), np.zeros(2, dtype=int)
        pull = np.zeros((2, n.size))
        for verdict in (0, 1):
            mine = labels.verdict == bool(verdict)
            count[verdict] = mine.sum()
            if not mine.any():
                continue
            weight, y, prompt = a[mine], labels.truth[mine], labels.prompt[mine]
            true[verdict] = (weight * y).sum() / weight.sum()
            each = np.bincount(prompt, weight * (y - true[verdict]), n.size) / weight.sum()
            pull[verdict] = each
            variance[verdict] = (each**2).sum() * prompts / max(prompts - 1, 1)
            size = weight.sum() ** 2 / (weight**2).sum()
            rare = 0.5 / (size + 1)
            minority = min(y.sum(), (1 - y).sum())
            hidden[verdict] = rare * (1 - rare) / ((size + 1) * (1 + minority))
        return cls(n, s, share, true, variance, hidden, count, pull)

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
        positive = np.divide(self.s, self.n, out=np.zeros(self.n.shape), where=present)
        value = self.true[1] * positive + self.true[0] * (present - positive)
        prompts = present.sum()
        value = value + prompts * (self.share[:, None] * self.pull).sum(0)
        return value, float((self.share**2 * self.hidden).sum())

    def error(self) -> tuple[Floats, Floats]:
        """Sensitivity and specificity, and their variances.

        References
        ----------
        Begg & Greenes (1983), Biometrics 39:207.
        """
        caught, missed = self.share[1] * self.true[1], self.share[0] * self.true[0]
        false, right = self.share[1] - caught, self.share[0] - missed
        spread = self.variance + self.hidden
        positives, negatives = caught + missed, false + right
        values, variances = np.full(2, np.nan), np.full(2, np.nan)
        if positives > 0:
            slopes = np.array([caught * self.share[0], missed * self.share[1]]) / positives**2
            values[0], variances[0] = caught / positives, (slopes**2 * spread).sum()
        if negatives > 0:
            slopes = np.array([false * self.share[0], right * self.share[1]]) / negatives**2
            values[1], variances[1] = right / negatives, (slopes**2 * spread).sum()
        return values, variances


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (proportions or differences of them)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CorrectedPair:
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
    check_level(level)
    (value_free, hidden_free), (value_paid, hidden_paid) = free.influence(), paid.influence()
    return _pair(free, paid, value_free, value_paid, hidden_free, hidden_paid, level)


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
        The verdicts and labels of all conditions together.
    level
        Confidence level in (0, 1).
    alike
        The judge errs alike in both tiers: its false alarms then cancel from the gap, which narrows the
        interval, and biases it if the assumption is wrong.

    References
    ----------
    Rogan & Gladen (1978), American J. Epidemiology 107:71.
    """
    check_level(level)
    errors = [judge_free.error(), judge_paid.error()]
    if alike:
        errors = [_pooled(errors)] * 2
    values, extras = [], []
    for tier, (error, variance) in zip((free, paid), errors, strict=True):
        youden = error.sum() - 1
        present = tier.n > 0
        positive = np.divide(tier.s, tier.n, out=np.zeros(tier.n.shape), where=present)
        if not youden > 0:
            values.append(np.where(present, 0.5, 0.0))
            extras.append(1.0)
            continue
        value = np.where(present, (positive + error[1] - 1) / youden, 0)
        true = float(np.clip(value.sum() / present.sum(), 0, 1))
        spread = variance + SHARED_SPREAD**2
        values.append(value)
        extras.append(float((true**2 * spread[0] + (1 - true) ** 2 * spread[1]) / youden**2))
    if not alike:
        return _pair(free, paid, *values, *extras, level)
    error, variance = errors[0]
    youden = max(error.sum() - 1, 1e-9)
    gap = (free.s.sum() / free.n.sum() - paid.s.sum() / paid.n.sum()) / youden
    shared = float(min((gap / youden) ** 2 * (variance.sum() + 2 * SHARED_SPREAD**2), 1.0))
    return _pair(free, paid, *values, *extras, level, of_gap=shared)


def _pooled(errors: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of both tiers together, weighted by their precision."""
    values = np.array([value for value, _ in errors])
    weights = 1 / np.array([variance for _, variance in errors])
    known = np.isfinite(values) & np.isfinite(weights)
    weights = np.where(known, weights, 0)
    total = weights.sum(0)
    return (weights * np.where(known, values, 0)).sum(0) / total, 1 / total


def _pair(
    free: Verified,
    paid: Verified,
    value_free: Floats,
    value_paid: Floats,
    hidden_free: float,
    hidden_paid: float,
    level: float,
    of_gap: float | None = None,
) -> CorrectedPair:
    has_free, has_paid = free.n > 0, paid.n > 0
    both = has_free & has_paid
    raw_free, raw_paid = (
        np.divide(tier.s, tier.n, out=np.zeros(tier.n.shape), where=tier.n > 0) for tier in (free, paid)
    )
    extra = hidden_free + hidden_paid if of_gap is None else of_gap
    difference = value_free - value_paid
    return CorrectedPair(
        free=_estimate(BoundedMean.of(value_free, 0, 1, has_free, extra=hidden_free), level),
        paid=_estimate(BoundedMean.of(value_paid, 0, 1, has_paid, extra=hidden_paid), level),
        gap=_estimate(BoundedMean.of(difference, -1, 1, both, extra=extra), level),
        shift=_estimate(
            BoundedMean.of(raw_free - raw_paid - difference, -1, 1, both, extra=extra), level
        ),
    )


def _estimate(mean: BoundedMean, level: float) -> Estimate:
    low, high = mean.interval(level)
    return Estimate(float(mean.mean), float(low), float(high))


def error_estimates(verified: Verified, level: float = 0.95) -> dict[str, Estimate]:
    """Sensitivity and specificity with Wilson intervals on the size that their variances are worth."""
    values, variances = verified.error()
    prompts = float((verified.n > 0).sum())
    estimates: dict[str, Any] = {}
    for name, value, variance in zip(("sensitivity", "specificity"), values, variances, strict=True):
        if not np.isfinite(value):
            estimates[name] = Estimate(float(value), float("nan"), float("nan"))
            continue
        size = max(value * (1 - value), 0.25 / (verified.labels + 1)) / max(variance, 1e-12)
        low, high = wilson(value, min(size, verified.labels), critical_value(level, prompts))
        estimates[name] = Estimate(float(value), float(low), float(high))
    return estimates
