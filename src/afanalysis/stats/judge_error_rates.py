"""Rates corrected for a judge that errs, with the labels' uncertainty carried through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.gap_intervals import square_and_add
from afanalysis.stats.proportions import check_level


@dataclass(frozen=True)
class JudgeError:
    """How a judge did against labels: successes and trials of each kind.

    Attributes
    ----------
    true_positive, positive
        Of the things labelled positive, how many the judge called positive.
    true_negative, negative
        Of the things labelled negative, how many the judge called negative.
    """

    true_positive: float
    positive: float
    true_negative: float
    negative: float

    @property
    def sensitivity(self) -> float:
        """The share of true positives that the judge finds."""
        return self.true_positive / self.positive if self.positive else float("nan")

    @property
    def specificity(self) -> float:
        """The share of true negatives that the judge finds."""
        return self.true_negative / self.negative if self.negative else float("nan")

    @classmethod
    def from_verdicts(
        cls, judged: ArrayLike, labelled: ArrayLike, weights: ArrayLike = 1.0
    ) -> JudgeError:
        """Count a judge's verdicts (bool) against labels (bool), weighted where sampled unequally.

        Weighted counts are scaled to the number of labels that they are worth (Kish's effective
        sample size), within each label.
        """
        f, y, w = np.broadcast_arrays(
            np.asarray(judged, dtype=bool), np.asarray(labelled, dtype=bool), np.asarray(weights, float)
        )
        if f.size < 2:
            raise ValueError(f"judge error needs at least 2 labels; got {f.size}")
        if (w <= 0).any() or not np.isfinite(w).all():
            raise ValueError("weights must be positive numbers")

        def counted(right: np.ndarray, of: np.ndarray) -> tuple[float, float]:
            if not of.any():
                return 0.0, 0.0
            size = w[of].sum() ** 2 / (w[of] ** 2).sum()
            return float(w[right & of].sum() / w[of].sum() * size), float(size)

        return cls(*counted(f, y), *counted(~f, ~y))


@dataclass(frozen=True)
class Corrected:
    """A corrected rate (proportion) with its interval, beside the raw one."""

    rate: float
    low: float
    high: float
    raw: float
    sensitivity: float
    specificity: float


def rogan_gladen(raw: float, n: float, error: JudgeError, level: float = 0.95) -> Corrected:
    """The true rate behind a judged one.

    Parameters
    ----------
    raw, n
        The rate as judged, and the (effective) sample size behind it.
    error
        The judge's counts against labels.
    level
        Confidence level in (0, 1).

    Raises
    ------
    ValueError
        Labels of one kind are missing, or the judge is no better than chance.

    References
    ----------
    Rogan & Gladen (1978), American J. Epidemiology 107:71, for the estimate; Lang & Reiczigel (2014),
    Preventive Veterinary Medicine 113:13, for the interval, which adds z² pseudo-observations to the
    sample and two to each of the label counts, and so keeps its coverage at the ends.

    Examples
    --------
    >>> found = rogan_gladen(0.2, 1000, JudgeError(90, 100, 95, 100))
    >>> round(found.rate, 3), round(found.low, 3), round(found.high, 3)
    (0.176, 0.113, 0.224)
    """
    check_level(level)
    if error.positive <= 0 or error.negative <= 0:
        kind = "positive" if error.positive <= 0 else "negative"
        raise ValueError(f"no {kind} labels; the judge's error needs labels of both kinds")
    if not error.sensitivity + error.specificity > 1:
        raise ValueError(
            f"the judge is no better than chance (sensitivity {error.sensitivity:.2f}, specificity "
            f"{error.specificity:.2f}); its rates cannot be corrected"
        )
    z = float(special.ndtri((1 + level) / 2))
    youden = error.sensitivity + error.specificity - 1
    estimate = min(max((raw + error.specificity - 1) / youden, 0.0), 1.0)
    n_ = n + z**2
    raw_ = (n * raw + z**2 / 2) / n_
    n_se, n_sp = error.positive + 2, error.negative + 2
    se, sp = (error.true_positive + 1) / n_se, (error.true_negative + 1) / n_sp
    youden_ = se + sp - 1
    if youden_ <= 0:
        return Corrected(estimate, 0.0, 1.0, raw, error.sensitivity, error.specificity)
    p = (raw_ + sp - 1) / youden_
    v_se, v_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    shift = 2 * z**2 * (p * v_se - (1 - p) * v_sp)
    half = z * np.sqrt(raw_ * (1 - raw_) / n_ + p**2 * v_se + (1 - p) ** 2 * v_sp) / youden_
    low, high = np.clip([p + shift - half, p + shift + half], 0, 1)
    return Corrected(
        estimate,
        float(min(low, estimate)),
        float(max(high, estimate)),
        raw,
        error.sensitivity,
        error.specificity,
    )


@dataclass(frozen=True)
class CorrectedGap:
    """A gap (free minus paid, proportions) corrected for the judge's error in each tier."""

    gap: float
    low: float
    high: float
    free: Corrected
    paid: Corrected


def corrected_gap(free: Corrected, paid: Corrected, *, correlation: float = 0.0) -> CorrectedGap:
    """The difference of two corrected rates.

    Parameters
    ----------
    free, paid
        Corrected rates of the two tiers, each with the judge's error in that tier.
    correlation
        Of the two estimates over prompts. Leave it at 0 where most of the uncertainty is the labels';
        the interval is then a little wide.
    """
    low, high = square_and_add(
        (free.rate, free.low, free.high), (paid.rate, paid.low, paid.high), correlation
    )
    return CorrectedGap(free.rate - paid.rate, float(low), float(high), free, paid)


@dataclass(frozen=True)
class PredictionPowered:
    """A mean estimated from a judge on everything and labels on a part; `weight` is the judge's."""

    estimate: float
    low: float
    high: float
    se: float
    weight: float


def prediction_powered(
    judged: ArrayLike,
    judged_labelled: ArrayLike,
    labelled: ArrayLike,
    *,
    level: float = 0.95,
    weight: float | None = None,
) -> PredictionPowered:
    """The mean of the labels that everything would get, helped by a judge's verdicts.

    Parameters
    ----------
    judged
        The judge's verdicts on the unlabelled things (0-1).
    judged_labelled, labelled
        The judge's verdicts on the labelled things, drawn at random, and their labels (0-1).
    level
        Confidence level in (0, 1).
    weight
        How much the judge counts: 1 as in prediction-powered inference, 0 for the labels alone, None
        for the weight that makes the interval narrowest (PPI++).

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan & Zrnic (2023), Science 382:669; for the weight,
    Angelopoulos, Duchi & Zrnic (2023), arXiv:2311.01453, section 6.
    """
    check_level(level)
    f, fl, y = (np.asarray(x, dtype=float) for x in (judged, judged_labelled, labelled))
    if fl.shape != y.shape or y.size < 2 or f.size < 2:
        raise ValueError("prediction-powered estimates need at least 2 labels and 2 unlabelled verdicts")
    n, big = y.size, f.size
    pooled = float(np.var(np.concatenate([f, fl]), ddof=1))
    if weight is None:
        covariance = float(np.cov(y, fl, ddof=1)[0, 1])
        weight = float(np.clip(covariance / ((1 + n / big) * pooled), 0, 1)) if pooled else 0.0
    estimate = float(weight * f.mean() + (y - weight * fl).mean())
    se = float(np.sqrt(weight**2 * np.var(f, ddof=1) / big + np.var(y - weight * fl, ddof=1) / n))
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * se
    low, high = np.clip([estimate - half, estimate + half], 0, 1)
    return PredictionPowered(estimate, float(low), float(high), se, weight)
