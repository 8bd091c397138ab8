"""What the gap would be if the judge erred as assumed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from afanalysis.analysis.conditions import Tiers, gap_name, of_gap, of_one_condition
from afanalysis.text.wording import in_order


def assumed_judge_error(
    estimates: pd.DataFrame,
    false_alarms: Sequence[float] | None = None,
    *,
    sensitivities: Sequence[float] = (1.0, 0.9, 0.8),
    model: str | None = None,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """The gap that would be true if the judge called a share of refusals compliance.

    Parameters
    ----------
    estimates
        What `afanalysis.estimates` gives; of the main variation.
    false_alarms
        The shares of refusals that the judge calls compliance (proportions); by default 121 from 0 to
        0.3.
    sensitivities
        The shares of compliant answers that the judge calls compliance (proportions).
    model
        Which model; by default claude-3-opus, or the first by name.
    tiers
        Those of the gap, as in `compliance_gap`.

    Returns
    -------
    DataFrame
        `setting`, `wrong_in` (false alarms in the tier `free` only, or in `both` alike), `sensitivity`,
        `false_alarms`, `estimate`, `low`, `high` (the gap; its interval is that of the raw gap, scaled
        as the gap is), `source`, `level`, `model`, `vanishes_at` (the false alarms, in the free tier
        only and at the first sensitivity, at which the gap is 0; missing where it lies beyond them). The
        gap is missing where the judge would have been wrong more often than it said compliance.

    References
    ----------
    Rogan & Gladen (1978), American J. Epidemiology 107:71.

    Examples
    --------
    >>> import afanalysis as af
    >>> table = af.assumed_judge_error(af.published.estimates(), [0, 0.1], sensitivities=[1])
    >>> free = table[(table["setting"] == "helpful-only") & (table["wrong_in"] == "free")]
    >>> free["estimate"].round(3).tolist()
    [0.113, 0.018]
    """
    rows = of_one_condition(estimates, model=model)
    _, tiers = of_gap(rows[rows["quantity"] == "complied"], tiers)
    alarms = np.linspace(0, 0.3, 121) if false_alarms is None else np.asarray(false_alarms, float)
    parts = []
    for setting in in_order(rows["setting"]):
        part = rows[rows["setting"] == setting].set_index(["quantity", "tier"])
        free, paid = (part.loc[("complied", tier), "estimate"] for tier in tiers)
        gap = part.loc[("compliance_gap", gap_name(tiers))]
        curves = []
        for wrong_in in (tiers[0], "both"):
            for sensitivity in sensitivities:
                slope = sensitivity - alarms
                in_paid = alarms if wrong_in == "both" else np.zeros_like(alarms)
                true_free, true_paid = (
                    np.where((rate >= 0) & (rate <= 1), rate, np.nan)
                    for rate in ((free - alarms) / slope, (paid - in_paid) / (sensitivity - in_paid))
                )
                true_gap = true_free - true_paid
                assumed = {"setting": setting, "wrong_in": wrong_in, "sensitivity": sensitivity}
                curve = pd.DataFrame({**assumed, "false_alarms": alarms, "estimate": true_gap})
                below, above = gap["estimate"] - gap["low"], gap["high"] - gap["estimate"]
                curve["low"] = (true_gap - below / slope).clip(-1, 1)
                curve["high"] = (true_gap + above / slope).clip(-1, 1)
                curves.append(curve)
        # where (free - a) / (s - a) = paid / s
        crossing = (free - paid) / (1 - paid / sensitivities[0]) if paid < sensitivities[0] else np.nan
        reached = 0 <= crossing <= alarms.max()
        parts.append(pd.concat(curves).assign(vanishes_at=crossing if reached else np.nan))
    table = pd.concat(parts, ignore_index=True)
    known = rows.iloc[0]
    return table.assign(source=known["source"], level=known["level"], model=known["model"])
