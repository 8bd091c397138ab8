"""How many prompts and samples a study needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis.rate_tables import rates
from afanalysis.errors import InputError
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
    aim: str = "gap",
    than: float = 0.0,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many prompts a study needs, for each number of samples per prompt.

    Found by simulating the very tests that are reported, on beta-distributed prompts.

    Parameters
    ----------
    gap, paid
        The compliance gap to find, and compliance in the paid tier (proportions).
    icc, correlation
        How alike answers to one prompt are, and propensities of a prompt in the two tiers.
    samples
        The numbers of samples per prompt and tier to compare.
    power, width
        Reach the aim with this chance; or, where `width` is given, make the gap's interval this narrow.
    aim, than
        `gap`: find that there is one (`compliance_gap`); `above`: show that it is more than `than`;
        `below`: show that it is less than `than` in absolute value (both `gap_tests`).
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame
        `samples`, `prompts` (the fewest that do), `rollouts` (both tiers together), `power`, `width`;
        the cheapest design in rollouts has `cheapest` true.

    Examples
    --------
    >>> plan(0.1, samples=[1, 5])["cheapest"].tolist()
    [True, False]
    """
    design = Design(paid, gap, icc, correlation)
    rows = []
    for k in samples:
        if width is None:
            prompts = design.prompts_for_power(k, power, level, aim=aim, than=than)
        else:
            prompts = design.prompts_for_width(k, width, level)
        reached = design.power(prompts, k, level, aim=aim, than=than)
        rows.append((k, prompts, 2 * k * prompts, reached, design.width(prompts, k, level)))
    table = pd.DataFrame(rows, columns=["samples", "prompts", "rollouts", "power", "width"])
    table["cheapest"] = table["rollouts"] == table["rollouts"].min()
    return table


def assumed_from(data: Any, tiers: tuple[str, str] = ("free", "paid")) -> tuple[dict[str, float], str]:
    """What to assume of the next study, if it is like these rollouts.

    Parameters
    ----------
    data
        Rollouts, as in `rates`.
    tiers
        The training tier and the unmonitored one.

    Returns
    -------
    tuple of (dict, str)
        `paid` and `icc`, as `plan` takes them, and where they are from. Where nobody complied in the
        unmonitored tier, `paid` is the upper end of that rate's interval: to plan with 0 is to plan with
        answers that cannot vary, and so with too few. Where answers do not vary, `icc` is 0.3.

    Examples
    --------
    >>> import afanalysis as af
    >>> assumed_from(af.example_rollouts())[0]["paid"]
    0.27
    """
    by_tier = rates(data, by=["tier"]).set_index("tier")
    if missing := [tier for tier in tiers if tier not in by_tier.index]:
        raise InputError(
            f"the rollouts have no tier {missing[0]!r}; give the rate and correlation instead"
        )
    row, icc = by_tier.loc[tiers[1]], by_tier.loc[tiers[0], "icc"]
    origin = "as" if row["rate"] else "the upper end for 0 of"
    origin += f" {row['n']} answers in the {tiers[1]} tier"
    paid = float(row["rate"] or row["high"])
    return {"paid": paid, "icc": max(float(icc), 0.0) if icc < 1 else 0.3}, origin


def power_by_prompts(
    paid: float,
    icc: float,
    *,
    gaps: Sequence[float] = (0.02, 0.05, 0.10),
    samples: Sequence[int] = (1, 5),
    power: float = 0.8,
    level: float = 0.95,
) -> pd.DataFrame:
    """The chance to find a gap, by number of prompts.

    Parameters
    ----------
    paid, icc
        As in `plan`: the compliance in the paid tier and the intraclass correlation that are assumed.
    gaps
        The compliance gaps to find (proportions).
    samples
        The numbers of samples per prompt and tier.
    power
        The chance that one plans for.
    level
        Confidence level in (0, 1) of the two-sided test.

    Returns
    -------
    DataFrame
        `gap`, `samples`, `prompts` (16 numbers from 10 to 2000), `power`, `level`, `paid`,
        `icc`, `planned` (the chance that one plans for), `needed` (the fewest prompts that reach it).

    Examples
    --------
    >>> table = power_by_prompts(0.03, 0.3, gaps=[0.1], samples=[5])
    >>> table["needed"].unique().tolist() == plan(0.1, icc=0.3, samples=[5])["prompts"].tolist()
    True
    """
    sizes = np.unique(np.round(np.geomspace(10, 2000, 16)).astype(int)).tolist()
    parts = []
    for gap in gaps:
        design = Design(paid, gap, icc)
        for k in samples:
            reached = [design.power(size, k, level) for size in sizes]
            curve = {"gap": gap, "samples": k, "prompts": sizes, "power": reached}
            needed = design.prompts_for_power(k, power, level)
            parts.append(pd.DataFrame(curve).assign(needed=needed))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(level=level, paid=paid, icc=icc, planned=power)
