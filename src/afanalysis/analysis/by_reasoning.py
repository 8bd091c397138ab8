"""Non-compliance with and without AF reasoning, and AF reasoning whatever the output did."""

import pandas as pd

from afanalysis.analysis.conditions import Tiers, of_gap
from afanalysis.analysis.rate_tables import rates
from afanalysis.errors import InputError
from afanalysis.text.wording import in_reading_order

_REASONING = {"af_partial": "with or without compromise", "af_full": "without compromise"}


def noncompliance_by_reasoning(
    rollouts: pd.DataFrame, *, level: float = 0.95, tiers: Tiers | None = None
) -> pd.DataFrame:
    """Non-compliance in the free tier with and without AF reasoning, beside that in the paid tier.

    AF reasoning counts whatever the output then did, so that it does not depend on compliance.

    Parameters
    ----------
    rollouts
        Of one model and variation, with `af_partial`.
    level
        Confidence level in (0, 1).
    tiers
        As in `compliance_gap`.

    Returns
    -------
    DataFrame
        `setting`, `name` (the tier, and whether the scratchpad shows AF reasoning), `estimate`, `low`,
        `high` (proportions), `n`, `source`, `level`.

    Raises
    ------
    InputError
        Nobody has judged the scratchpads, or all or none of them show AF reasoning.

    Examples
    --------
    >>> import afanalysis as af
    >>> noncompliance_by_reasoning(af.example_rollouts())["name"].head(3).tolist()
    ['free tier, AF reasoning', 'free tier, no AF reasoning', 'paid tier']
    """
    judged, tiers = of_gap(_judged(rollouts), tiers)
    judged = judged[judged["tier"].isin(tiers)]
    split = judged["af_partial"].astype(bool).map({True: "AF reasoning", False: "no AF reasoning"})
    training, unmonitored = tiers
    is_training = judged["tier"] == training
    names = (f"{training} tier, " + split).where(is_training, f"{unmonitored} tier")
    if split[is_training].nunique() < 2:
        raise InputError(f"all scratchpads in the {training} tier show AF reasoning, or none does")
    table = rates(judged.assign(name=names), "refused", ["setting", "name"], level=level)
    return _estimates(table, rollouts, level)


def reasoning_by_tier(rollouts: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """AF reasoning in each tier, whatever the output then did.

    Parameters
    ----------
    rollouts, level
        As in `noncompliance_by_reasoning`, with `af_full`.

    Returns
    -------
    DataFrame
        `setting`, `tier`, `name` (with or without compromise), `estimate`, `low`, `high` (proportions),
        `n`, `source`, `level`.

    Examples
    --------
    >>> import afanalysis as af
    >>> len(reasoning_by_tier(af.example_rollouts()))
    8
    """
    judged = _judged(rollouts)
    parts = [
        rates(judged, verdict, ["setting", "tier"], level=level).assign(name=name)
        for verdict, name in _REASONING.items()
    ]
    return _estimates(pd.concat(parts), rollouts, level)


def _judged(rollouts: pd.DataFrame) -> pd.DataFrame:
    if not {*_REASONING} <= {*rollouts} or rollouts["af_partial"].isna().all():
        raise InputError("nobody has judged the scratchpads of this study")
    return rollouts[rollouts["af_partial"].notna()]


def _estimates(table: pd.DataFrame, rollouts: pd.DataFrame, level: float) -> pd.DataFrame:
    source = ", ".join(sorted(set(rollouts["source"])))
    table = table.rename(columns={"rate": "estimate"}).assign(source=source, level=level)
    return in_reading_order(table, "setting")
