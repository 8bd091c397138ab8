"""Rates behind a judge's verdicts, found by labelling a part of what it judged.

The labels say what share of the judge's positive verdicts is truly positive, and what share of its
negative ones. From these follow the judge's sensitivity and specificity, and from them the true rate of
any condition that the same judge judged. All uncertainty is carried by draws: of the judged rates
(clustered in prompts, correlated between tiers) and of the labelled shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import Floats, check_level
from afanalysis.stats.rate_intervals import Clustered, clustered, critical_value

DRAWS = 20_000

_GRID = 801


@dataclass(frozen=True)
class Share:
    """The share of truly positive things among those with one verdict: its mean and effective size."""

    mean: float
    n_effective: float
    labels: int

    @classmethod
    def of(cls, labels: Floats, weights: Floats, prompts: np.ndarray) -> Share:
        """From labels in 0-1 with sampling weights, clustered in prompts."""
        if not labels.size:
            return cls(float("nan"), 0.0, 0)
        # weights scaled to the number of labels that they are worth (Kish's effective size)
        scaled = weights * weights.sum() / (weights**2).sum()
        _, at = np.unique(prompts, return_inverse=True)
        found = clustered(np.bincount(at, scaled), np.bincount(at, scaled * labels))
        # a prompt's weights may sum to less than one label; the effective size never exceeds the labels
        size = min(float(found.n_effective), float(scaled.sum()))
        return cls(float(found.rate), size, labels.size)

    def draws(self, rng: np.random.Generator) -> Floats:
        """Draws from the Jeffreys posterior on the effective size."""
        if not self.labels:
            return rng.beta(0.5, 0.5, DRAWS)
        positive = self.mean * self.n_effective
        return rng.beta(positive + 0.5, self.n_effective - positive + 0.5, DRAWS)


@dataclass(frozen=True)
class Verification:
    """What labels say of a judge within one group of rollouts.

    Attributes
    ----------
    judged
        The share of the group's rollouts that the judge called positive (proportion).
    yes, no
        The share of truly positive things among those, and among the others.
    """

    judged: float
    yes: Share
    no: Share

    @classmethod
    def of(
        cls,
        judged: float,
        verdicts: ArrayLike,
        labels: ArrayLike,
        weights: ArrayLike,
        prompts: ArrayLike,
    ) -> Verification:
        """Compare labels with verdicts.

        Parameters
        ----------
        judged
            The share of positive verdicts over the whole group, labelled or not.
        verdicts, labels, weights, prompts
            Of the labelled rollouts: the judge's verdict (bool), the label (0-1), the inverse of the
            chance to be drawn, and the prompt.

        Raises
        ------
        ValueError
            A weight is not positive, or a label lies outside 0-1.
        """
        z, y = np.asarray(verdicts, dtype=bool), np.asarray(labels, dtype=float)
        w, prompt = np.asarray(weights, dtype=float), np.asarray(prompts)
        if (w <= 0).any() or not np.isfinite(w).all():
            raise ValueError("weights must be positive numbers")
        if ((y < 0) | (y > 1) | ~np.isfinite(y)).any():
            raise ValueError("labels must lie in 0-1")
        return cls(judged, Share.of(y[z], w[z], prompt[z]), Share.of(y[~z], w[~z], prompt[~z]))

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return self.yes.labels + self.no.labels

    @property
    def lacking(self) -> str:
        """Which labels are missing to correct anything, in words; empty where none are."""
        if self.judged > 0 and not self.yes.labels:
            return "no label among the judge's positive verdicts"
        if self.judged < 1 and not self.no.labels:
            return "no label among the judge's negative verdicts"
        return ""

    def error(self) -> tuple[float, float]:
        """Sensitivity and specificity."""
        sensitivity, specificity = _error(self.judged, *self.means())
        return float(sensitivity), float(specificity)

    def means(self) -> tuple[float, float]:
        """The share of truly positive things among the judge's positive and negative verdicts."""
        # where the judge never gives a verdict, what is true under it does not matter
        return tuple(0.5 if np.isnan(share.mean) else share.mean for share in (self.yes, self.no))  # type: ignore[return-value]

    def error_draws(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draws of sensitivity and specificity."""
        return _error(self.judged, self.yes.draws(rng), self.no.draws(rng))


def _error(judged: float, yes: ArrayLike, no: ArrayLike) -> tuple[Floats, Floats]:
    """Sensitivity and specificity by Bayes' rule (Begg & Greenes 1983, Biometrics 39:207)."""
    yes, no = np.asarray(yes, dtype=float), np.asarray(no, dtype=float)
    true = judged * yes + (1 - judged) * no
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity = np.where(true > 0, judged * yes / true, np.nan)
        specificity = np.where(true < 1, (1 - judged) * (1 - no) / (1 - true), np.nan)
    return sensitivity, specificity


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (proportions or differences of them)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """One condition in one tier: its judged rate, and the verification that applies to it.

    `own` says that the verification's group is this very condition. There, and where the judge gave
    one verdict throughout, the labelled shares apply as they are; elsewhere only sensitivity and
    specificity carry over.
    """

    rate: Clustered
    verification: Verification
    own: bool

    def corrected(self) -> float:
        """The true rate behind the judged one."""
        yes, no = self.verification.means()
        return float(self._true(self.rate.rate, yes, no))

    def _true(self, judged: Floats, yes: Any, no: Any) -> Floats:
        if self.own or self.verification.judged in (0, 1):
            return judged * yes + (1 - judged) * no
        sensitivity, specificity = _error(self.verification.judged, yes, no)
        with np.errstate(divide="ignore", invalid="ignore"):
            true = (judged + specificity - 1) / (sensitivity + specificity - 1)
        return np.clip(np.nan_to_num(true, nan=0.5), 0, 1)

    def draws(self, scores: Floats, rng: np.random.Generator, level: float) -> tuple[Floats, Floats]:
        """Draws of the judged and the true rate; `scores` are standard normal, one a draw."""
        judged = self._judged(scores, level)
        verification = self.verification
        return judged, self._true(judged, verification.yes.draws(rng), verification.no.draws(rng))

    def _judged(self, scores: Floats, level: float) -> Floats:
        """Draws of the judged rate: Jeffreys on the effective size, widened for few prompts."""
        z = float(special.ndtri((1 + level) / 2))
        size = float(self.rate.n_effective * (z / critical_value(level, self.rate.prompts)) ** 2)
        positive = float(self.rate.rate) * size
        at = np.linspace(0, 1, _GRID)
        quantiles = special.betaincinv(positive + 0.5, size - positive + 0.5, at)
        return np.interp(special.ndtr(scores), at, quantiles)


@dataclass(frozen=True)
class CorrectedPair:
    """Two tiers of a condition, corrected; `shift` is the part of the raw gap that the judge made."""

    free: Estimate
    paid: Estimate
    gap: Estimate
    shift: Estimate


def corrected_pair(
    free: Judged, paid: Judged, correlation: float = 0.0, *, level: float = 0.95, seed: int = 0
) -> CorrectedPair:
    """Both tiers' true rates and the true gap, with intervals that carry all uncertainty.

    Parameters
    ----------
    free, paid
        The two tiers, each with the verification of the judge in that tier.
    correlation
        Of the two judged rates over prompts.
    level
        Confidence level in (0, 1).
    seed
        Of the draws.

    References
    ----------
    Where the labels are of the condition itself this is double sampling (Tenenbein 1970, JASA
    65:1350); elsewhere Rogan & Gladen (1978), American J. Epidemiology 107:71, with sensitivity and
    specificity from verified verdicts. Intervals are equal-tailed quantiles of the draws, drawn out to
    the estimate where it lies beyond.
    """
    check_level(level)
    rng = np.random.default_rng(seed)
    first, other = rng.standard_normal((2, DRAWS))
    second = correlation * first + np.sqrt(1 - correlation**2) * other
    judged_free, true_free = free.draws(first, rng, level)
    judged_paid, true_paid = paid.draws(second, rng, level)
    gap, raw = true_free - true_paid, judged_free - judged_paid
    value = free.corrected() - paid.corrected()
    return CorrectedPair(
        free=estimate(free.corrected(), true_free, level),
        paid=estimate(paid.corrected(), true_paid, level),
        gap=estimate(value, gap, level),
        shift=estimate(float(free.rate.rate - paid.rate.rate) - value, raw - gap, level),
    )


def estimate(value: float, draws: Floats, level: float) -> Estimate:
    """A value with the equal-tailed interval of its draws; an undefined value has none."""
    if np.isnan(value):
        return Estimate(value, float("nan"), float("nan"))
    known = draws[np.isfinite(draws)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))
