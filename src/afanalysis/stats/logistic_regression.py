"""Logistic regression on counts with prompt-clustered errors, and a check for separation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from afanalysis.stats.proportions import Floats, check_level


@dataclass(frozen=True)
class Regression:
    """Coefficients on the log-odds scale, one an exogenous column.

    Attributes
    ----------
    estimate, low, high, p_value
        NaN where `separated`.
    separated
        +1 or -1 where the data put no bound on a coefficient from above or below (the estimate would
        be plus or minus infinity), else 0.
    """

    estimate: Floats
    low: Floats
    high: Floats
    p_value: Floats
    separated: np.ndarray
    clusters: int


def logistic(
    n: ArrayLike, s: ArrayLike, design: ArrayLike, clusters: ArrayLike, level: float = 0.95
) -> Regression:
    """Fit log-odds of success on a design, with errors clustered by prompt.

    Parameters
    ----------
    n, s
        Samples and successes, shape (rows,).
    design
        Shape (rows, columns); an intercept is not added.
    clusters
        The prompt of each row.
    level
        Confidence level in (0, 1).

    Notes
    -----
    The estimate is that of generalised estimating equations with independence as working correlation,
    and the errors are their sandwich: consistent whatever the correlation within prompts.

    Raises
    ------
    ValueError
        The columns of the design are linearly dependent, or there are no more clusters than columns.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73:13; fitted by statsmodels' GLM. Separation: Albert & Anderson
    (1984), Biometrika 71:1, by the linear programme of Konis (2007), DPhil thesis, Oxford.
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    check_level(level)
    n, s = np.asarray(n, dtype=float), np.asarray(s, dtype=float)
    x = np.asarray(design, dtype=float)
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(group.max()) + 1
    columns = x.shape[1]
    if np.linalg.matrix_rank(x) < columns:
        raise ValueError("the terms of the regression are linearly dependent; leave one out")
    if count <= columns:
        raise ValueError(f"{count} prompts cannot carry {columns} terms with clustered errors")
    infinite = separation(n, s, x)
    kept = infinite == 0
    estimate, error = np.full(columns, np.nan), np.full(columns, np.nan)
    # rows that a separated direction predicts without error hold no information on the other terms
    informative = (np.abs(x[:, ~kept]) < 1e-12).all(1) if not kept.all() else np.ones(len(n), bool)
    rows = informative if informative.any() else np.ones(len(n), bool)
    if kept.any():
        fitted = GLM(np.column_stack([s, n - s])[rows], x[rows][:, kept], family=Binomial()).fit(
            cov_type="cluster", cov_kwds={"groups": group[rows]}
        )
        estimate[kept], error[kept] = fitted.params, fitted.bse
    critical = float(special.stdtrit(count - 1, (1 + level) / 2))
    with np.errstate(invalid="ignore"):
        p_value = 2 * special.stdtr(count - 1, -np.abs(estimate / error))
    return Regression(
        estimate, estimate - critical * error, estimate + critical * error, p_value, infinite, count
    )


def separation(n: ArrayLike, s: ArrayLike, design: ArrayLike) -> np.ndarray:
    """Which coefficients the data leave unbounded: +1, -1 or 0 each.

    A direction b separates the data if x·b >= 0 on every row with a success, x·b <= 0 on every row
    with a failure, and not 0 on all. The largest such direction is found by linear programming.
    """
    from scipy.optimize import linprog

    n, s = np.asarray(n, dtype=float), np.asarray(s, dtype=float)
    x = np.unique(
        np.column_stack([np.where(s >= n, 1, np.where(s <= 0, -1, 0)), np.asarray(design, float)]),
        axis=0,
    )
    sign, x = x[:, 0], x[:, 1:]
    # a design row with both outcomes somewhere is mixed, whatever prompt they came from
    _, place = np.unique(x, axis=0, return_inverse=True)
    place = place.ravel()
    mixed = np.array([len(set(sign[place == at])) > 1 or 0 in sign[place == at] for at in place])
    pure = ~mixed
    if not pure.any():
        return np.zeros(x.shape[1], dtype=int)
    signed = sign[pure, None] * x[pure]
    found = linprog(
        -signed.sum(0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        A_eq=x[mixed] if mixed.any() else None,
        b_eq=np.zeros(int(mixed.sum())) if mixed.any() else None,
        bounds=(-1, 1),
    )
    if not found.success or -found.fun < 1e-9:
        return np.zeros(x.shape[1], dtype=int)
    return np.where(np.abs(found.x) > 1e-9, np.sign(found.x), 0).astype(int)
