"""How far scratchpads go, from noticing the conflict to faking alignment."""

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import main_variation, scratchpads_read, sources
from afanalysis.analysis.rate_tables import rates_of_counts
from afanalysis.table.counting import counts
from afanalysis.table.source import distinct, opened

STAGES = ("conflict", "considers", "partial", "full")


def stages(
    data: Any, variation: str | None = None, *, level: float = 0.95, tier: str = "free"
) -> pd.DataFrame:
    """How far scratchpads in a training tier go, split by what the output then did.

    A stage counts whoever reached it or a later one: `conflict` (notices it), `considers` (reasons that
    complying may prevent modification), `partial` (decides to comply on that ground, with or without
    compromise), `full` (without).

    Parameters
    ----------
    data
        Rollouts with `af_stage`, as a judge with criteria leaves it; those without one are left out.
    variation
        Which prompt variation; by default the main one.
    level
        Confidence level in (0, 1).
    tier
        Which tier.

    Returns
    -------
    DataFrame
        `setting`, `model`, `stage`, `behaviour` (`any`, `complied`), `estimate`, `low`, `high`, `n`,
        `n_prompts`, `scratchpad_from`, `source`, `level`; proportions of all rollouts
        in the tier. Empty where no rollout has a stage.
    """
    with opened(data) as source:
        if "af_stage" not in source.kinds:
            return pd.DataFrame()
        variation = variation or main_variation(distinct(source, "variation"))
        rows = source.connection.execute(
            "SELECT setting, model, prompt_id, complied, af_stage FROM rollouts WHERE tier = ? "
            "AND valid AND variation = ? AND af_stage IS NOT NULL AND complied IS NOT NULL",
            [tier, variation],
        ).df()
        came_from = sources(source)
        places = rows[["setting", "model"]].drop_duplicates()
        if "scratchpad_from" in source.kinds:
            texts = scratchpads_read(source, places.assign(variation=variation), [*places, "variation"])
            places["scratchpad_from"] = texts
    if rows.empty:
        return pd.DataFrame()
    rank = rows["af_stage"].map({name: rank for rank, name in enumerate(STAGES)}).fillna(-1)
    parts = []
    for behaviour, counts_too in (("any", True), ("complied", rows["complied"])):
        reached = {name: (rank >= place) & counts_too for place, name in enumerate(STAGES)}
        counted = counts(rows.assign(**reached), STAGES, ["setting", "model"])
        part = rates_of_counts(counted, ["setting", "model"], level)
        parts.append(part.assign(behaviour=behaviour))
    table = pd.concat(parts, ignore_index=True)
    table = table.rename(columns={"rate": "estimate", "outcome": "stage"})
    columns = ["setting", "model", "stage", "behaviour", "estimate", "low", "high", "n", "n_prompts"]
    return table[columns].merge(places).assign(source=came_from, level=level)
