"""AF reasoning whatever the output did: how far it goes, in each tier, and what follows from it."""

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import Tiers, main_variation, of_gap, sources, with_scratchpads_read
from afanalysis.analysis.rate_tables import rates, rates_of_counts
from afanalysis.errors import InputError
from afanalysis.study.votes import STAGES
from afanalysis.table.counting import counts
from afanalysis.table.source import distinct, opened
from afanalysis.text.wording import in_reading_order

_REASONING = {"af_partial": "with or without compromise", "af_full": "without compromise"}


def stages(data: Any, *, level: float = 0.95, tier: str = "free") -> pd.DataFrame:
    """How far scratchpads in a training tier go, split by what the output then did.

    A stage counts whoever reached it or a later one: `conflict` (notices it), `considers` (reasons that
    complying may prevent modification), `partial` (decides to comply on that ground, with or without
    compromise), `full` (without).

    Parameters
    ----------
    data
        Rollouts with `af_stage`, as a judge with criteria leaves it; those without one and those of
        other variations than the main one are left out.
    level
        Confidence level in (0, 1).
    tier
        Which tier.

    Returns
    -------
    DataFrame
        `setting`, `model`, `stage`, `behaviour` (`any`, `complied`), `estimate`, `low`, `high`, `n`,
        `n_prompts`, `variation`, `scratchpad_from`, `source`, `level`; proportions of all rollouts
        in the tier. Empty where no rollout has a stage.
    """
    with opened(data) as source:
        if "af_stage" not in source.kinds:
            return pd.DataFrame()
        variation = main_variation(distinct(source, "variation"))
        rows = source.connection.execute(
            "SELECT setting, model, prompt_id, complied, af_stage FROM rollouts WHERE tier = ? "
            "AND valid AND variation = ? AND af_stage IS NOT NULL AND complied IS NOT NULL",
            [tier, variation],
        ).df()
        came_from = sources(source)
        places = rows[["setting", "model"]].drop_duplicates().assign(variation=variation)
        places = with_scratchpads_read(source, places, [*places])
    if rows.empty:
        return pd.DataFrame()
    rank = rows["af_stage"].map({name: rank for rank, name in enumerate(STAGES)}).fillna(0)
    parts = []
    for behaviour, counts_too in (("any", True), ("complied", rows["complied"])):
        reached = {name: (rank >= place) & counts_too for place, name in enumerate(STAGES) if place}
        counted = counts(rows.assign(**reached), [*reached], ["setting", "model"])
        parts.append(rates_of_counts(counted, ["setting", "model"], level).assign(behaviour=behaviour))
    table = pd.concat(parts, ignore_index=True)
    table = table.rename(columns={"rate": "estimate", "outcome": "stage"})
    columns = ["setting", "model", "stage", "behaviour", "estimate", "low", "high", "n", "n_prompts"]
    return table[columns].merge(places).assign(source=came_from, level=level)


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
    table = table.rename(columns={"rate": "estimate"}).assign(source=sources(rollouts), level=level)
    return in_reading_order(table, "setting")
