"""Logistic regression on counts whose inference holds with few active prompts and with none at all.

Estimates are Firth's, which are finite whatever is separated. Intervals and p-values do not rest on
standard errors but on the prompts' scores: at the true value of a coefficient they have mean 0, which is
tested as the mean of any bounded values is. Where every prompt has as many answers, the p-value of the
tier is that of the compliance gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import sign_flip
from afanalysis.stats.proportions import Floats, check_level

# Prompts that show both outcomes; with fewer, flipping signs does not keep its error.
FEW_ACTIVE = 6
_FARTHEST = 12.0  # log-odds beyond which an end counts as infinite
_STEPS = 25

# Of a coefficient's value: by prompt the score, and the least and the largest score of any prompt.
Scores = Callable[[float], tuple[Floats, float, float]]


@dataclass(frozen=True)
class Regression:
    """Coefficients on the log-odds scale, one per column of the design.

    Attributes
    ----------
    estimate
        Firth's; for columns with strata, conditional on these.
    low, high
        The interval; infinite where the data put no bound on a coefficient.
    p_value
        Belongs to the interval. Both are missing for the column of ones.
    p_sign_flip
        Of another hypothesis: that scores are as likely with the other sign. For columns without strata
        it is missing where there are fewer than `FEW_ACTIVE` active prompts.
    n_prompts, n_active
        Prompts, and those that show both outcomes.
    """

    estimate: Floats
    low: Floats
    high: Floats
    p_value: Floats
    p_sign_flip: Floats
    n_prompts: int
    n_active: int


def logistic(
    n: ArrayLike,
    s: ArrayLike,
    design: ArrayLike,
    prompts: ArrayLike,
    *,
    strata: Mapping[int, ArrayLike] | None = None,
    level: float = 0.95,
) -> Regression:
    """Fit log-odds of success on a design, with tests from the scores of prompts.

    Parameters
    ----------
    n, s
        Answers and successes, shape (rows,).
    design
        Shape (rows, columns); its first column is all ones.
    prompts
        The prompt of each row.
    strata
        For columns of 0 and 1 that are compared within prompts, such as the tier: by column number the
        stratum of each row, shape (rows,); rows with a negative stratum do not count. A stratum belongs
        to one prompt. Estimate and tests are then conditional on the successes of each stratum, which
        has more power and does not dilute the odds ratio of a prompt.
    level
        Confidence level in (0, 1).

    Raises
    ------
    ValueError
        The columns of the design are linearly dependent.

    References
    ----------
    Estimates: Firth (1993), Biometrika 80:27; Heinze & Schemper (2002), Statistics in Medicine 21:2409;
    conditional, Heinze & Puhr (2010), Statistics in Medicine 29:770. Flipping effective scores: Hemerik,
    Goeman & Finos (2020), JRSS B 82:841. The conditional score is that of Mantel & Haenszel (1959), J.
    National Cancer Institute 22:719.

    Examples
    --------
    Twenty prompts, five answers in each tier; ten comply in the free tier only, and mostly:

    >>> import numpy as np
    >>> prompts, tier = np.tile(np.arange(20), 2), np.repeat([1.0, 0.0], 20)
    >>> s = np.where((tier == 1) & (prompts < 10), 4, 0)
    >>> design = np.column_stack([np.ones(40), tier])
    >>> fit = logistic(np.full(40, 5), s, design, prompts, strata={1: prompts})
    >>> round(float(fit.low[1]), 1), float(fit.high[1]), bool(fit.p_value[1] < 0.01)
    (1.8, inf, True)
    """
    check_level(level)
    n, s = np.asarray(n, dtype=float), np.asarray(s, dtype=float)
    x = np.asarray(design, dtype=float)
    names, prompt = np.unique(np.asarray(prompts), return_inverse=True)
    columns = x.shape[1]
    if np.linalg.matrix_rank(x[n > 0]) < columns:
        raise ValueError("the terms of the regression are linearly dependent; leave one out")
    successes = _sums(prompt, s)
    active = int(((successes > 0) & (successes < _sums(prompt, n))).sum())
    estimate = firth(n, s, x)
    tail = (1 - level) / 2
    low, high, p_value, p_sign_flip = (np.full(columns, np.nan) for _ in range(4))
    for column in range(1, columns):
        if strata and column in strata:
            table = _Strata.of(n, s, x[:, column], np.asarray(strata[column]), prompt)
            estimate[column] = table.estimate()
            scores: Scores = table.scores
        else:
            scores = _effective(n, s, x, column, prompt)
        p_value[column] = _bounded(scores(0.0)).p_value()
        if (strata and column in strata) or active >= FEW_ACTIVE:
            p_sign_flip[column] = sign_flip(scores(0.0)[0])
        low[column], high[column] = (_end(scores, estimate[column], side, tail) for side in (-1, 1))
    return Regression(estimate, low, high, p_value, p_sign_flip, names.size, active)


def firth(n: Floats, s: Floats, x: Floats, offset: ArrayLike = 0.0) -> Floats:
    """Firth's penalised estimate of a logistic regression on counts, shape (columns,)."""
    beta, shift = np.zeros(x.shape[1]), np.asarray(offset, dtype=float)
    for _ in range(100):
        mu = special.expit(x @ beta + shift)
        weight = n * mu * (1 - mu)
        inverse = np.linalg.pinv((x * weight[:, None]).T @ x)
        leverage = weight * np.einsum("ij,jk,ik->i", x, inverse, x)
        step = inverse @ (x.T @ (s - n * mu + leverage * (0.5 - mu)))
        beta = beta + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-8:
            break
    return beta


def _effective(n: Floats, s: Floats, x: Floats, column: int, prompt: np.ndarray) -> Scores:
    """The effective scores of a coefficient: what is left once the other coefficients are fitted."""
    others = np.delete(x, column, axis=1)

    def scores(value: float) -> tuple[Floats, float, float]:
        offset = value * x[:, column]
        mu = special.expit(others @ firth(n, s, others, offset) + offset)
        within = (others * (n * mu * (1 - mu))[:, None]).T
        shared = np.linalg.pinv(within @ others) @ (within @ x[:, column])
        slope = x[:, column] - others @ shared
        # the score if no answer of a row had succeeded, and if all had
        none, every = -n * mu * slope, n * (1 - mu) * slope
        least = _sums(prompt, np.minimum(none, every)).min()
        largest = _sums(prompt, np.maximum(none, every)).max()
        return _sums(prompt, (s - n * mu) * slope), float(least), float(largest)

    return scores


@dataclass(frozen=True)
class _Hypergeometric:
    """Successes under 1 by stratum, given all of its successes: Fisher's noncentral distribution.

    `log_chances` is by distinct table and number of successes, without the log-odds; `table` is that of
    each stratum. Fractions of successes are allowed.
    """

    log_chances: Floats
    table: np.ndarray

    @classmethod
    def of(cls, n1: Floats, n0: Floats, successes: Floats) -> _Hypergeometric:
        tables, table = np.unique(np.stack([n1, n0, successes], axis=1), axis=0, return_inverse=True)
        a, b, m = tables.T[:, :, None]
        k = np.arange(int(n1.max(initial=0)) + 1)
        possible = (k <= a + 1e-9) & (k <= m + 1e-9) & (m - k <= b + 1e-9)
        log = -sum(
            special.gammaln(np.where(possible, count, 0) + 1)
            for count in (np.broadcast_to(k, possible.shape), a - k, m - k, b - m + k)
        )
        return cls(np.where(possible, log, -np.inf), table.ravel())

    def moments(self, log_odds: float) -> tuple[Floats, Floats, Floats]:
        """By stratum the mean, the variance and the third central moment."""
        k = np.arange(self.log_chances.shape[1])
        log = self.log_chances + k * log_odds
        chances = np.exp(log - log.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        mean = (chances * k).sum(1)
        distance = k - mean[:, None]
        central = ((chances * distance**power).sum(1)[self.table] for power in (2, 3))
        return mean[self.table], *central


@dataclass(frozen=True)
class _Strata:
    """By stratum the answers and successes under a column's 1, and the prompt."""

    n1: Floats
    s1: Floats
    prompt: np.ndarray
    prompts: int
    given: _Hypergeometric  # the successes there are
    lowest: _Hypergeometric  # n0 successes
    highest: _Hypergeometric  # n1 successes

    @classmethod
    def of(cls, n: Floats, s: Floats, x: Floats, strata: np.ndarray, prompt: np.ndarray) -> _Strata:
        counts = strata >= 0
        names, stratum = np.unique(strata[counts], return_inverse=True)
        is_one = x[counts] > 0.5
        owner = np.zeros(names.size, dtype=int)
        owner[stratum] = prompt[counts]
        n1, s1, n0, s0 = (
            _sums(stratum[rows], values[counts][rows], names.size)
            for rows in (is_one, ~is_one)
            for values in (n, s)
        )
        given, lowest, highest = (_Hypergeometric.of(n1, n0, total) for total in (s1 + s0, n0, n1))
        return cls(n1, s1, owner, int(prompt.max()) + 1, given, lowest, highest)

    def scores(self, value: float) -> tuple[Floats, float, float]:
        """By prompt the score given the successes of its strata."""
        # no stratum has a lower score than one with n0 successes, none of them under 1; and the reverse
        least = self._by_prompt(-self.lowest.moments(value)[0]).min()
        largest = self._by_prompt(self.n1 - self.highest.moments(value)[0]).max()
        return self._by_prompt(self.s1 - self.given.moments(value)[0]), float(least), float(largest)

    def estimate(self) -> float:
        """Firth's conditional estimate; 0 where no stratum shows both outcomes."""
        low, high = -_FARTHEST, _FARTHEST
        for _ in range(_STEPS):
            middle = (low + high) / 2
            mean, variance, third = self.given.moments(middle)
            information = variance.sum()
            if information < 1e-9:
                return 0.0
            score = (self.s1 - mean).sum() + third.sum() / information / 2
            low, high = (middle, high) if score > 0 else (low, middle)
        return (low + high) / 2

    def _by_prompt(self, values: Floats) -> Floats:
        return _sums(self.prompt, values, self.prompts)


def _sums(places: np.ndarray, values: Floats, size: int = 0) -> Floats:
    """The sum of the values at each place."""
    return np.bincount(places, values, size).astype(float)


def _bounded(scores: tuple[Floats, float, float]) -> BoundedMean:
    values, least, largest = scores
    return BoundedMean.of(np.clip(values, least, largest), min(least, -1e-12), max(largest, 1e-12))


def _end(scores: Scores, estimate: float, side: int, tail: float) -> float:
    """Where the test begins to reject on one side of the estimate; infinite where it never does."""

    def p_value(value: float) -> float:
        ends = _bounded(scores(value)).ends()
        # far above the truth scores are negative, far below it positive
        return float(ends.p_below(0.0) if side > 0 else ends.p_above(0.0))

    inside, outside = float(estimate), side * _FARTHEST
    if p_value(outside) > tail:
        return side * np.inf
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if p_value(middle) <= tail else (middle, outside)
    return (inside + outside) / 2
