"""Regression of the outcome on conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.stats.hypothesis_tests import adjust
from afanalysis.stats.logistic_regression import logistic
from afanalysis.table.counting import counts

if TYPE_CHECKING:
    import pandas as pd


def regression(
    data: Any, terms: str = "tier", *, outcome: str = "complied", level: float = 0.95
) -> pd.DataFrame:
    """Log-odds of the outcome on condition columns, with errors clustered by prompt.

    Parameters
    ----------
    data, outcome
        As in `rates`.
    terms
        The right-hand side of a formula over condition columns, such as `tier * variation`. The paid
        tier and the default variation are the references.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `term`, `odds_ratio`, `low`, `high`, `p_value`, `p_holm` (adjusted over all but the intercept),
        `n_prompts`, `note`. Where the data leave a coefficient unbounded (separation) its odds ratio is
        0 or infinite, it has no interval, and the note gives the reason.

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
    import re

    import numpy as np
    import pandas as pd
    from formulaic import model_matrix

    names = list(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", terms)))
    if not names:
        raise InputError(f"terms is {terms!r}; name condition columns, as in 'tier * variation'")
    counted = counts(data, outcome, names)
    counted = counted[counted["n"] > 0].reset_index(drop=True)
    first = {"tier": "paid", "variation": "default"}
    for name in names:
        known = sorted(counted[name].astype(str).unique())
        if len(known) < 2:
            raise InputError(f"column {name!r} has one value only ({known[0]!r}); it explains nothing")
        known.sort(key=lambda value, name=name: value != first.get(name))  # type: ignore[misc]
        counted[name] = pd.Categorical(counted[name].astype(str), known)
    matrix = model_matrix(terms, counted)
    try:
        fit = logistic(counted["n"], counted["s"], matrix.to_numpy(float), counted["prompt_id"], level)
    except ValueError as error:
        raise InputError(f"terms {terms!r}: {error}") from error
    ratio = np.exp(fit.estimate)
    ratio[fit.separated > 0], ratio[fit.separated < 0] = np.inf, 0.0
    table = pd.DataFrame(
        {
            "term": [re.sub(r"\[T\.(.*?)\]", r" = \1", name) for name in matrix.columns],
            "odds_ratio": ratio,
            "low": np.exp(fit.low),
            "high": np.exp(fit.high),
            "p_value": fit.p_value,
        }
    )
    table["p_holm"] = adjust(table["p_value"].where(table["term"] != "Intercept"))
    table["n_prompts"] = fit.clusters
    note = "separation: the outcome is all alike there, so the data put no bound on the odds ratio"
    table["note"] = np.where(fit.separated != 0, note, "")
    return table
