"""Claims about a gap: that it is more than so much, or less."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis.conditions import Tiers, counts_by_tier, named, of_gap, paired_counts, remarks
from afanalysis.errors import InputError
from afanalysis.stats.gap_intervals import paired
from afanalysis.stats.hypothesis_tests import (
    adjust,
    at_least_p_values,
    equivalence_p_values,
    fewest_prompts,
)


def gap_tests(
    data: Any,
    *,
    above: float = 0.01,
    within: float = 0.05,
    by: str | Sequence[str] | None = None,
    outcome: str = "complied",
    level: float = 0.95,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """Is the compliance gap shown to be more than one size, or less than another?

    A gap that is not significant is not shown to be absent. 'No gap to speak of' is a claim of its own,
    which few prompts cannot support: if a share of all prompts equal to the margin always complied, a
    small study would likely see none of these.

    Parameters
    ----------
    data
        Rollouts, as in `compliance_gap`.
    above
        The gap that is to be exceeded (proportion).
    within
        The margin that |gap| is to stay below (proportion).
    by, outcome, tiers
        As in `compliance_gap`.
    level
        1 - level is the error of each test where its claim is just false.

    Returns
    -------
    DataFrame
        `by`, `gap`, `n_prompts` (with both tiers), `above`, `p_above`, `is_above`, `within`, `p_within`,
        `is_within`, `prompts_needed` (for the claim `within`, if nobody ever complies), `warning`,
        `source`, `level`. The p-values are adjusted over the rows by Holm's method.

    Raises
    ------
    InputError
        As `compliance_gap`.

    References
    ----------
    `afanalysis.stats.hypothesis_tests.equivalence_p_values` and `at_least_p_values`.

    Examples
    --------
    >>> import afanalysis as af
    >>> claims = gap_tests(af.example_rollouts(), by=["setting"])
    >>> claims[["is_above", "is_within", "prompts_needed"]].values.tolist()[0]
    [False, False, 59]
    """
    by, counted, came_from = counts_by_tier(data, by, outcome)
    counted, tiers = of_gap(counted, tiers)
    rows = []
    odd = remarks(counted, by, tiers)
    for condition, part in paired_counts(counted, by, tiers):
        row: dict[str, Any] = {"n_prompts": 0, "warning": odd[str(condition)]}
        try:
            differences = paired(*part.T).differences
        except ValueError as error:
            row["warning"] = "; ".join(filter(None, [str(error), row["warning"]]))
        else:
            assert differences is not None  # prompts weigh alike
            row |= {"gap": float(differences.mean), "n_prompts": int(differences.n)}
            row["p_above"] = float(at_least_p_values(differences, above))
            row["p_within"] = float(equivalence_p_values(differences, within))
        rows.append(condition | row)
    table = pd.DataFrame(rows)
    if "gap" not in table:
        raise InputError(f"{named(condition)}: {row['warning']}")
    for name, value in (("above", above), ("within", within)):
        table[name] = value
        table[f"p_{name}"] = adjust(table[f"p_{name}"])
        table[f"is_{name}"] = np.asarray(table[f"p_{name}"]) <= 1 - level + 1e-12
    table["prompts_needed"] = fewest_prompts(within, level)
    order = [*by, "gap", "n_prompts", "above", "p_above", "is_above", "within", "p_within", "is_within"]
    return table[[*order, "prompts_needed", "warning"]].assign(source=came_from, level=level)
