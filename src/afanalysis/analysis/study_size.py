"""How many prompts and samples a study needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.stats.planning import Design


def plan(
    gap: float,
    paid: float = 0.03,
    *,
    icc: float = 0.3,
    correlation: float = 0.5,
    samples: Sequence[int] = (1, 2, 3, 5, 10),
    power: float = 0.8,
    width: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many prompts a study needs, for each number of samples a prompt.

    Parameters
    ----------
    gap, paid
        The compliance gap to find, and compliance in the paid tier (proportions).
    icc, correlation
        How alike answers to one prompt are, and propensities of a prompt in the two tiers.
    samples
        The numbers of samples a prompt and tier to compare.
    power, width
        Find the gap with this chance; or, where `width` is given, make its interval this narrow.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `samples`, `prompts` (the fewest that do), `rollouts` (both tiers together), `power`, `width`;
        the cheapest design in rollouts has `cheapest` true.
    """
    import pandas as pd

    design = Design(paid, gap, icc, correlation)
    rows = []
    for k in samples:
        prompts = (
            design.prompts_for_power(k, power, level)
            if width is None
            else design.prompts_for_width(k, width, level)
        )
        rows.append(
            {
                "samples": k,
                "prompts": prompts,
                "rollouts": 2 * k * prompts,
                "power": design.power(prompts, k, level),
                "width": design.width(prompts, k, level),
            }
        )
    table = pd.DataFrame(rows)
    table["cheapest"] = table["rollouts"] == table["rollouts"].min()
    return table
