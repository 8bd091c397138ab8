"""Regression of the outcome on conditions."""

import re
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis.conditions import TIERS, Tiers, known_columns, of_gap, remarks
from afanalysis.errors import InputError
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.stats.logistic_regression import FEW_ACTIVE, logistic
from afanalysis.stats.proportions import check_level
from afanalysis.table.counting import counts


def regression(
    data: Any,
    terms: str = "tier",
    *,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Odds ratios of the outcome on condition columns, with tests that respect prompts.

    Terms that vary within prompts, such as the tier, are compared within prompts.

    Parameters
    ----------
    data, outcome
        As in `rates`.
    terms
        The right-hand side of a formula over condition columns, such as `tier * variation`. The paid
        tier and the default variation are the references.
    level
        Confidence level in (0, 1).
    tiers
        Compare only these two; the second is the reference. By default all tiers are compared.

    Returns
    -------
    DataFrame
        `term`, `odds_ratio`, `low`, `high` (infinite or 0 where the data put no bound on it), `p_value`
        (belongs to the interval), `p_holm` (adjusted over the terms), `p_sign_flip` (missing where fewer
        than six prompts show both outcomes), `n_prompts`, `n_active` (prompts that show both), `note`
        (separation, or too few active prompts, in words). The intercept has neither interval nor p.

    Raises
    ------
    InputError
        A column is missing, or the terms cannot be told apart on these data.

    Examples
    --------
    >>> import afanalysis as af
    >>> regression(af.example_rollouts(), "tier")["term"].tolist()
    ['Intercept', 'tier = free']
    """
    from formulaic import model_matrix

    names = re.findall(r"[A-Za-z_]\w*", str(terms))
    if not names or "~" in terms or outcome in names:
        raise InputError(f"terms is {terms!r}; name condition columns, as in 'tier * variation'")
    names = known_columns(data, names, ())
    check_level(level)
    counted = counts(data, outcome, names)
    if tiers and "tier" in names:
        counted, tiers = of_gap(counted, tiers)
    odd = remarks(counted, [])[str({})]
    counted = counted[(counted["n"] > 0) & counted["prompt_id"].notna()].reset_index(drop=True)
    if counted.empty:
        raise InputError(f"no prompt has a known {outcome!r}")
    first = {"tier": (tiers or TIERS)[1], "variation": "default"}
    for name in names:
        known = sorted(counted[name].astype(str).unique())
        if len(known) < 2:
            raise InputError(f"column {name!r} has one value only ({known[0]!r}); it explains nothing")
        known.sort(key=lambda value, name=name: value != first.get(name))  # type: ignore[misc]
        counted[name] = pd.Categorical(counted[name].astype(str), known)
    try:
        matrix = model_matrix(terms, counted)
    except Exception as error:  # formulaic's own errors, and those of whatever the formula calls
        raise InputError(f"terms {terms!r} cannot be read as a formula of columns") from error
    design = matrix.to_numpy(float)
    n, s, prompts = (counted[name].to_numpy() for name in ("n", "s", "prompt_id"))
    strata = _strata(design, prompts)
    try:
        fit = logistic(n, s, design, prompts, strata=strata, level=level)
    except ValueError as error:
        raise InputError(f"terms {terms!r}: {error}") from error
    table = pd.DataFrame(vars(fit)).rename(columns={"estimate": "odds_ratio"})
    table[["odds_ratio", "low", "high"]] = np.exp(table[["odds_ratio", "low", "high"]])
    table.insert(0, "term", [re.sub(r"\[T\.(.*?)\]", r" = \1", name) for name in matrix.columns])
    table.insert(5, "p_holm", adjust(fit.p_value))
    unbounded = "the data put no bound on the odds ratio at one end"
    few = f"only {fit.n_active} prompts show both outcomes; the p-value has little power"
    table["note"] = [
        "; ".join(filter(None, [unbounded * separated, few * (fit.n_active < FEW_ACTIVE), odd]))
        for separated in (np.isinf(fit.low) | np.isinf(fit.high)).tolist()
    ]
    return table


def _strata(design: np.ndarray, prompts: np.ndarray) -> dict[int, np.ndarray]:
    """For columns that vary within prompts while the others stay: the stratum of each row, or -1."""
    strata = {}
    for column in range(1, design.shape[1]):
        rest = pd.DataFrame(np.delete(design, column, axis=1)).assign(prompt=prompts)
        stratum = rest.groupby(list(rest.columns)).ngroup().to_numpy()
        values = pd.Series(design[:, column]).groupby(stratum)
        varies = (values.transform("min") == 0) & (values.transform("max") == 1)
        if varies.any() and set(np.unique(design[:, column])) <= {0.0, 1.0}:
            strata[column] = np.where(varies, stratum, -1)
    return strata
