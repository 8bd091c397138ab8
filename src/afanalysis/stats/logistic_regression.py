"""Logistic regression on counts whose inference holds with few active prompts and with none at all.

Estimates are Firth's, which are finite whatever is separated. P-values and intervals do not rest on
standard errors but on flipping the signs of the prompts' scores: under the hypothesis a prompt's
contribution is as likely to point the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.hypothesis_tests import sign_flip
from afanalysis.stats.proportions import Floats, check_level

# Prompts that show both outcomes; with fewer, flipping signs does not keep its error.
FEW_ACTIVE = 6
_FARTHEST = 12.0  # log-odds beyond which an end counts as infinite
_STEPS = 18


@dataclass(frozen=True)
class Regression:
    """Coefficients on the log-odds scale, one per column of the design.

    Attributes
    ----------
    estimate
        Firth's.
    low, high
        The interval by inverting the test; missing where `separated`.
    p_value
        Missing, as the interval is, where there are fewer than `FEW_ACTIVE` active prompts; and for the
        column of ones.
    separated
        +1 or -1 where the data put no bound on a coefficient from above or below, else 0.
    active
        Prompts that show both outcomes.
    """

    estimate: Floats
    low: Floats
    high: Floats
    p_value: Floats
    separated: np.ndarray
    active: int
    prompts: int


def logistic(
    n: ArrayLike,
    s: ArrayLike,
    design: ArrayLike,
    prompts: ArrayLike,
    *,
    strata: dict[int, ArrayLike] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Regression:
    """Fit log-odds of success on a design, with tests that flip signs by prompt.

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
        stratum of each row, shape (rows,); rows with a negative stratum do not count. Their test is
        conditional on the strata, which has more power.
    level
        Confidence level in (0, 1).
    seed
        Of the flips, where there are too many to enumerate.

    Raises
    ------
    ValueError
        The columns of the design are linearly dependent.

    References
    ----------
    Estimate: Firth (1993), Biometrika 80:27; Heinze & Schemper (2002), Statistics in Medicine 21:2409.
    Flipping effective scores: Hemerik, Goeman & Finos (2020), JRSS B 82:841. The conditional score is
    that of Mantel & Haenszel (1959), J. National Cancer Institute 22:719.
    """
    check_level(level)
    n, s = np.asarray(n, dtype=float), np.asarray(s, dtype=float)
    x = np.asarray(design, dtype=float)
    names, prompt = np.unique(np.asarray(prompts), return_inverse=True)
    columns = x.shape[1]
    if np.linalg.matrix_rank(x) < columns:
        raise ValueError("the terms of the regression are linearly dependent; leave one out")
    successes = np.bincount(prompt, s, names.size)
    active = int(((successes > 0) & (successes < np.bincount(prompt, n, names.size))).sum())
    estimate = firth(n, s, x)
    separated = separation(n, s, x)
    low, high, p_value = (np.full(columns, np.nan) for _ in range(3))
    for column in range(1, columns):
        if strata and column in strata:
            scores = _conditional(n, s, x[:, column], np.asarray(strata[column]), prompt)
        elif active >= FEW_ACTIVE:
            scores = _effective(n, s, x, column, prompt)
        else:
            continue

        def p_at(value: float, scores: Callable[[float], Floats] = scores) -> float:
            return sign_flip(scores(value), seed=seed)

        p_value[column] = p_at(0.0)
        if not separated[column]:
            low[column] = _end(p_at, estimate[column], -1, 1 - level)
            high[column] = _end(p_at, estimate[column], 1, 1 - level)
    return Regression(estimate, low, high, p_value, separated, active, names.size)


def firth(n: Floats, s: Floats, x: Floats, offset: ArrayLike = 0.0) -> Floats:
    """Firth's penalised estimate of a logistic regression on counts, shape (columns,)."""
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        mu = special.expit(x @ beta + offset)
        weight = n * mu * (1 - mu)
        inverse = np.linalg.pinv((x * weight[:, None]).T @ x)
        leverage = weight * np.einsum("ij,jk,ik->i", x, inverse, x)
        step = inverse @ (x.T @ (s - n * mu + leverage * (0.5 - mu)))
        beta = beta + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-8:
            break
    return beta


def _effective(
    n: Floats, s: Floats, x: Floats, column: int, prompt: np.ndarray
) -> Callable[[float], Floats]:
    """By prompt the effective score of a coefficient, as a function of its value."""
    others = np.delete(x, column, axis=1)

    def scores(value: float) -> Floats:
        offset = value * x[:, column]
        mu = special.expit(others @ firth(n, s, others, offset) + offset)
        weight = n * mu * (1 - mu)
        within = (others * weight[:, None]).T
        shared = np.linalg.pinv(within @ others) @ (within @ x[:, column])
        return np.bincount(prompt, (s - n * mu) * (x[:, column] - others @ shared))

    return scores


def _conditional(
    n: Floats, s: Floats, x: Floats, strata: np.ndarray, prompt: np.ndarray
) -> Callable[[float], Floats]:
    """By prompt the score of a column of 0 and 1 given the successes of each stratum."""
    counts = strata >= 0
    names, stratum = np.unique(strata[counts], return_inverse=True)
    one = x[counts] > 0.5
    table = {
        key: np.bincount(stratum[mask], values[counts][mask], names.size)
        for key, mask, values in (
            ("n1", one, n),
            ("n0", ~one, n),
            ("s1", one, s),
            ("s0", ~one, s),
        )
    }
    owner = np.zeros(names.size, dtype=int)
    owner[stratum] = prompt[counts]

    def scores(value: float) -> Floats:
        expected = _expected(table["n1"], table["n0"], table["s1"] + table["s0"], value)
        return np.bincount(owner, table["s1"] - expected, prompt.max() + 1)

    return scores


def _expected(n1: Floats, n0: Floats, successes: Floats, log_odds: float) -> Floats:
    """The mean of Fisher's noncentral hypergeometric distribution; fractions of answers are allowed."""
    if log_odds == 0:
        total = n1 + n0
        return np.divide(successes * n1, total, out=np.zeros(n1.shape), where=total > 0)
    most = int(max(n1.max(initial=0), 0))
    k = np.arange(most + 1)[None, :]
    a, b, m = (array[:, None] for array in (n1, n0, successes))
    possible = (k <= a) & (k <= m) & (m - k <= b)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = (
            -special.gammaln(k + 1)
            - special.gammaln(a - k + 1)
            - special.gammaln(m - k + 1)
            - special.gammaln(b - m + k + 1)
            + k * log_odds
        )
    log = np.where(possible, log, -np.inf)
    weight = np.exp(log - np.max(np.where(possible, log, -1e300), axis=1, keepdims=True))
    weight = np.where(possible, weight, 0)
    return (weight * k).sum(1) / np.maximum(weight.sum(1), 1e-300)


def _end(p_at: Callable[[float], float], estimate: float, sign: int, alpha: float) -> float:
    """Where the test begins to reject on one side of the estimate; infinite where it never does."""
    inside, outside = float(estimate), sign * _FARTHEST
    if sign * (outside - inside) <= 0 or p_at(outside) > alpha:
        return sign * np.inf
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if p_at(middle) <= alpha else (middle, outside)
    return (inside + outside) / 2


def separation(n: Floats, s: Floats, design: Floats) -> np.ndarray:
    """Which coefficients the data leave unbounded: +1, -1 or 0 each.

    A direction b separates the data if x·b >= 0 on every row with a success, x·b <= 0 on every row
    with a failure, and not 0 on all. The largest such direction is found by linear programming.
    """
    from scipy.optimize import linprog

    rows = np.unique(
        np.column_stack([np.where(s >= n, 1, np.where(s <= 0, -1, 0)), design]),
        axis=0,
    )
    sign, x = rows[:, 0], rows[:, 1:]
    # a design row with both outcomes somewhere is mixed, whatever prompt they came from
    _, place = np.unique(x, axis=0, return_inverse=True)
    place = place.ravel()
    mixed = np.array([len(set(sign[place == row])) > 1 or 0 in sign[place == row] for row in place])
    pure = ~mixed
    if not pure.any():
        return np.zeros(x.shape[1], dtype=int)
    signed = sign[pure, None] * x[pure]
    solution = linprog(
        -signed.sum(0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        A_eq=x[mixed] if mixed.any() else None,
        b_eq=np.zeros(int(mixed.sum())) if mixed.any() else None,
        bounds=(-1, 1),
    )
    if not solution.success or -solution.fun < 1e-9:
        return np.zeros(x.shape[1], dtype=int)
    return np.where(np.abs(solution.x) > 1e-9, np.sign(solution.x), 0).astype(int)
