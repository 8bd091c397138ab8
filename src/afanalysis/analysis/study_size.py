"""How many prompts and samples a study needs, and looking at one while it runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.analysis import conditions
from afanalysis.analysis.conditions import Tiers
from afanalysis.analysis.rate_tables import rates
from afanalysis.errors import InputError
from afanalysis.stats.gap_intervals import paired
from afanalysis.stats.planning import Design, confidence_sequence, late_spending
from afanalysis.table.counting import shares_in_time
from afanalysis.table.source import opened


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
    for tier in (name for name in tiers if name not in by_tier.index):
        raise InputError(f"the rollouts have no tier {tier!r}; give the rate and correlation instead")
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
    return pd.concat(parts, ignore_index=True).assign(level=level, paid=paid, icc=icc, planned=power)


# Of the prompts that come later, the share that has begun before a prompt is finished: nearly all where
# a study asks sample by sample.
MANY_OPEN = 0.5


def monitor(
    data: Any,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "complied",
    level: float = 0.95,
    rounds: int | None = None,
    tiers: Tiers | None = None,
) -> pd.DataFrame:
    """The gap as prompts came in, with ends that hold at every look.

    One may look after every prompt and stop whenever one likes. This holds for studies with
    `order: prompts`, which ask prompts in random order and all answers of a prompt together. Ten looks
    at a running study with ordinary intervals find a gap where there is none in about one of seven
    studies. A study with `order: samples` asks in rounds, one sample of every prompt after another; give
    their number to look after whole rounds.

    Parameters
    ----------
    data
        Rollouts, as in `compliance_gap`, with `collected_at`.
    by, outcome, tiers
        As in `compliance_gap`.
    level
        The chance that the ends hold the gap at all looks together, in (0, 1).
    rounds
        The samples per prompt that the study plans, if it asks in rounds.

    Returns
    -------
    DataFrame
        One row per condition and prompt with both tiers, in the order in which prompts began, or per
        condition and whole round: `by`, `prompts` (how many so far), `prompt_id` or `round`, `gap` (mean
        so far), `low`, `high` (proportions), `decided` (0 lies outside ends that hold), `source`,
        `level`, `warning` (answers came sample by sample).

    Raises
    ------
    InputError
        A column is missing, or no prompt has both tiers.

    References
    ----------
    `afanalysis.stats.planning.confidence_sequence`; for rounds `late_spending`.

    Examples
    --------
    >>> import afanalysis as af
    >>> table = af.monitor(af.example_rollouts(), by=["setting"])
    >>> bool((table["low"] <= table["gap"]).all())
    True
    """
    with opened(data) as source:
        sample = ["sample"] if rounds else []
        by, table, came_from = conditions.counts_by_tier(source, by, outcome, sample)
        table, tiers = conditions.of_gap(table, tiers)
        odd = conditions.remarks(table, by, tiers)
        if not rounds:
            table = shares_in_time(source, outcome, [*by, "tier"])
    parts, lost = [], []
    for condition, places in conditions.groups(table, by):
        part = table.iloc[places]
        try:
            known = part, tiers, level
            looks, words = _by_round(*known, rounds) if rounds else _by_prompt(*known)
        except ValueError as error:
            lost.append(f"{conditions.named(condition)}: {error}")
            continue
        looks["decided"] &= conditions.excludes_0(looks["low"], looks["high"])
        warning = "; ".join(filter(None, [*words, odd[str(condition)]]))
        parts.append(looks.assign(**condition, warning=warning))
    if not parts:
        raise InputError(lost[0] if lost else f"no prompt has a known {outcome!r}")
    table = conditions.with_origin(pd.concat(parts, ignore_index=True), came_from, level)
    table["warning"] = ["; ".join(filter(None, [words, *lost])) for words in table["warning"]]
    names = ["prompts", "round" if rounds else "prompt_id", "gap", "low", "high", "decided"]
    return table[[*by, *names, "source", "level", "warning"]]


def _by_prompt(part: pd.DataFrame, tiers: Tiers, level: float) -> tuple[pd.DataFrame, list[str]]:
    """The gap after each prompt, and what is odd about it; `decided` is whether its ends hold."""
    part = part[part["tier"].isin(tiers)]
    shares = part.pivot(index="prompt_id", columns="tier", values="share").reindex(columns=tiers)
    times = part.groupby("prompt_id")[["first", "last"]].agg({"first": "min", "last": "max"})
    order = times[shares.notna().all(axis=1)].sort_values(["first", "last"], kind="stable")
    lacking = len(times) - len(order)
    if order.empty:
        raise ValueError("no prompt has known outcomes in both tiers")
    differences = (shares[tiers[0]] - shares[tiers[1]]).loc[order.index].to_numpy()
    low, high = confidence_sequence(differences, level)
    count = np.arange(1, len(differences) + 1)
    begun = np.searchsorted(order["first"].to_numpy(), order["last"].to_numpy(), side="right")
    by_sample = (begun - count).sum() > MANY_OPEN * (len(order) - count).sum()
    words = ["answers came sample by sample, so the ends do not hold at every look"] * int(by_sample)
    words += [f"{lacking} prompts without both tiers are left out"] if lacking else []
    if order["first"].isna().any():
        words.append("some prompts have no time (collected_at), and come last")
    looks = {"prompts": count, "prompt_id": order.index, "gap": np.cumsum(differences) / count}
    return pd.DataFrame(looks | {"low": low, "high": high, "decided": not by_sample}), words


def _by_round(
    part: pd.DataFrame, tiers: Tiers, level: float, rounds: int
) -> tuple[pd.DataFrame, list[str]]:
    """The gap after each whole round: those in which every prompt was asked in both tiers."""
    if not part["tier"].isin(tiers).any():
        raise ValueError(f"neither the {tiers[0]} nor the {tiers[1]} tier is there")
    rows = []
    asked = part.groupby("sample").size()
    looks = zip(asked.index[:rounds], late_spending(rounds, level), strict=False)
    for number, (sample, allowed) in enumerate(looks, start=1):
        if asked[sample] < asked.max():
            break
        so_far = part[part["sample"] <= sample].groupby(["tier", "prompt_id"], as_index=False)
        [(_, table)] = conditions.paired_counts(so_far[["n", "s"]].sum(), [], tiers)
        differences = paired(*table.T).differences
        assert differences is not None  # prompts weigh alike
        low, high = differences.interval(allowed)
        rows.append((number, int(differences.n), *map(float, (differences.mean, low, high)), True))
    if not rows:
        raise ValueError("no round is complete")
    return pd.DataFrame(rows, columns=["round", "prompts", "gap", "low", "high", "decided"]), []
