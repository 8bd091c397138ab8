"""The conditions of a table: which columns make them, and the rows of each."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from afanalysis.errors import InputError
from afanalysis.table.counting import MISSING_NAME, check_column, counts
from afanalysis.table.database import quote_names
from afanalysis.table.schema import TAKEN
from afanalysis.table.source import Source, distinct, opened

GAP_CONDITIONS = ("model", "setting", "variation")
# The training and the unmonitored tier of a gap.
Tiers = tuple[str, str]
TIERS: Tiers = ("free", "paid")
_MAIN = {"tier": "paid", "variation": "default", "model": "claude-3-opus"}
# The numbers of answers that count in no rate.
LOST = ["n_missing", "n_invalid", "n_blocked"]
# A greater share of answers that are left out is reported, and so is a greater difference between tiers.
MUCH_LEFT_OUT = 0.1
UNEQUALLY_LEFT_OUT = 0.05


def known_columns(
    data: Any, by: str | Sequence[str] | None, usual: Sequence[str], reserved: Sequence[str] = ()
) -> list[str]:
    """The condition columns that are named, else those of the usual ones that the table has.

    Raises
    ------
    InputError
        Among those named is `prompt_id`, a reserved column, which the function itself groups by, one
        that the table lacks, or one that the result has for itself.
    """
    with opened(data) as source:
        if by is None:
            return [name for name in usual if name in source.kinds]
        names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
        for name in names:
            check_column(source, name)
    for name in names:
        if name in TAKEN:
            raise InputError(f"by holds {name!r}, which tables of results use; rename the column")
        if name in ("prompt_id", *reserved):
            what = "prompts are what is averaged over" if name == "prompt_id" else "both are compared"
            raise InputError(f"by holds {name!r}; leave it out ({what})")
    return names


def counts_by_tier(
    data: Any,
    by: str | Sequence[str] | None,
    outcomes: str | Sequence[str] = "complied",
    further: Sequence[str] = (),
) -> tuple[list[str], pd.DataFrame, str]:
    """What a gap is made of: the condition columns, the counts by these and the tier, and the sources.

    The counts are by further columns, too, if such are named.

    Raises
    ------
    InputError
        As `known_columns`, with the tier reserved, and as `table.counting.counts`.
    """
    with opened(data) as source:
        by = known_columns(source, by, GAP_CONDITIONS, reserved=("tier",))
        return by, counts(source, outcomes, [*by, "tier", *further]), sources(source)


def of_gap(counted: pd.DataFrame, tiers: Tiers | None) -> tuple[pd.DataFrame, Tiers]:
    """The counts for a gap, and its two tiers: those named, else free and paid.

    Counts of other tiers are dropped where the two are named, and left for `remarks` where they are not.

    Raises
    ------
    InputError
        The table has neither of the tiers.
    """
    present = sorted(set(map(str, counted["tier"].dropna())))
    found = f"column 'tier' holds {', '.join(map(repr, present))}"
    if tiers is None:
        if not set(TIERS) <= set(present) and not set(present) <= set(TIERS):
            how = f"tiers=({', '.join(map(repr, [*present, 'paid'][:2]))}) or --tiers"
            raise InputError(f"{found}, so name the training and the unmonitored tier of the gap: {how}")
        return counted, TIERS
    if isinstance(tiers, str) or len(set(tiers)) != 2 or set(tiers).isdisjoint(present):
        raise InputError(f"tiers is {tiers!r}, but {found}: name two of these")
    return counted[counted["tier"].isin(tiers)].reset_index(drop=True), (tiers[0], tiers[1])


def gap_name(tiers: Tiers) -> str:
    """What the column `tier` calls a gap: `both` for free - paid.

    Examples
    --------
    >>> gap_name(("free", "paid")), gap_name(("pro", "enterprise"))
    ('both', 'pro − enterprise')
    """
    return "both" if tiers == TIERS else " − ".join(tiers)


def paired_counts(
    counted: pd.DataFrame, by: Sequence[str], tiers: Tiers, numbers: Sequence[str] = ("n", "s")
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Per-prompt counts of both tiers for each condition, from `table.counting.counts` of one outcome.

    Returns
    -------
    list of (condition, counts)
        counts has shape (prompts, 2 × numbers): those of the first tier, then those of the second; 0
        where a prompt lacks a tier.
    """
    known = counted[counted["tier"].isin(tiers) & counted["prompt_id"].notna()]
    if known.empty:
        raise InputError(f"no rollout of the {' or the '.join(tiers)} tier has a prompt_id")
    keys = [*by, "prompt_id"]
    wide = known.set_index([*keys, "tier"])[list(numbers)].unstack("tier", fill_value=0)
    wide = wide.reindex(columns=[(x, t) for t in tiers for x in numbers], fill_value=0)
    table = wide.to_numpy(dtype=float)
    return [(condition, table[places]) for condition, places in groups(wide.reset_index(), by)]


def prompt_values(counted: pd.DataFrame, keys: list[str], tiers: Tiers | None = None) -> pd.DataFrame:
    """By condition (rows) and prompt (columns) its rate, or the gap of two tiers; or missing."""
    known = counted[counted["prompt_id"].notna() & (counted["n"] > 0)]
    share = (known["s"] / known["n"]).rename("share")
    table = known.assign(share=share)
    if tiers:
        shares = table.pivot(index=[*keys, "prompt_id"], columns="tier", values="share")
        first, second = (shares.reindex(columns=tiers)[tier] for tier in tiers)
        table = (first - second).rename("share").reset_index()
    wide = table.pivot(index=keys, columns="prompt_id", values="share")
    if len(keys) == 1:  # one level, as for several
        wide.index = pd.MultiIndex.from_arrays([wide.index], names=keys)
    return wide.dropna(how="all")


def remarks(counted: pd.DataFrame, by: Sequence[str], tiers: Tiers | None = None) -> dict[str, str]:
    """What is odd about the rollouts of a condition, in words, by the condition as text.

    Parameters
    ----------
    counted
        From `table.counting.counts`.
    by
        The condition columns.
    tiers
        The two of a gap; rollouts of others are left out.
    """
    words: dict[str, str] = {}
    left_out = counted[["n_without_prompt", "n_repeated"]].to_numpy()
    is_other = ~counted["tier"].isin(tiers).to_numpy() if tiers else np.zeros(len(counted), dtype=bool)
    for condition, places in groups(counted, by):
        without, repeated = map(int, left_out[places].sum(0))
        sentences = [f"{without} rollouts without a prompt_id are left out"] if without else []
        sentences += [f"{repeated} rows repeat a rollout and count again"] if repeated else []
        others = places[is_other[places]]
        for tier, rows in counted.iloc[others].groupby("tier", dropna=False) if len(others) else ():
            number = int(rows[["n", *LOST, "n_without_prompt"]].to_numpy().sum())
            sentences.append(f"{number} rollouts of tier {tier!r} are left out")
        words[str(condition)] = "; ".join(sentences)
    return words


def with_origin(table: pd.DataFrame, source: str, level: float) -> pd.DataFrame:
    """A table that names its source, unless it is grouped by that, and its confidence level."""
    return table.assign(source=table.get("source", source), level=level)


def left_out_warning(shares: Sequence[float], tiers: Sequence[str] = (), what: str = "answers") -> str:
    """What is odd about the shares left out of a rate or of some tiers, in words."""
    words = " and ".join(f"{share:.0%}" for share in shares)
    if max(shares) - min(shares) > UNEQUALLY_LEFT_OUT:
        how = f"left out differ by over {100 * UNEQUALLY_LEFT_OUT:.0f} points between tiers"
        return f"the shares of {what} {how} ({words}, {' and '.join(tiers)})"
    where = f"are left out{' in a tier' * (len(shares) > 1)} ({words})"
    return f"over {MUCH_LEFT_OUT:.0%} of {what} {where}" if max(shares) > MUCH_LEFT_OUT else ""


def main_value(column: str, names: Iterable[Any]) -> Any:
    """The value of a column that others are compared with: the usual one, or the first by name."""
    return min(names, key=lambda name: (name != _MAIN.get(column), str(name)))


def main_variation(names: Iterable[str]) -> str:
    """Which prompt variation stands for a study: `default`, or the first by name where there is none.

    Examples
    --------
    >>> main_variation(["short", "default"]), main_variation(["short", "long"])
    ('default', 'long')
    """
    return main_value("variation", names)


def of_one_condition(table: pd.DataFrame, model: str | None = None) -> pd.DataFrame:
    """The rows of the main variation and of one model, by default the main one."""
    rows = table[table["variation"] == main_variation(table["variation"])]
    return rows[rows["model"] == (model or main_value("model", rows["model"]))]


def sources(data: Any) -> str:
    """Where rollouts come from: `simulated`, `live`, `imported`, several of these, or `unknown`."""
    with opened(data) as rollouts:
        return ", ".join(distinct(rollouts, "source")) if "source" in rollouts.kinds else "unknown"


def with_scratchpads_read(source: Source, table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The table, with `scratchpad_from` if the rollouts have it: the texts that a condition's are."""
    if "scratchpad_from" not in source.kinds:
        return table
    kind = "coalesce(scratchpad_from, 'unknown')"
    columns = ", ".join([*map(quote_names, by), f"string_agg(DISTINCT {kind}, ', ' ORDER BY {kind})"])
    rows = source.connection.sql(f"SELECT {columns} FROM rollouts GROUP BY ALL").df()
    texts = {row[:-1]: row[-1] for row in rows.fillna(MISSING_NAME).itertuples(index=False, name=None)}
    found = [texts[row] for row in table[list(by)].itertuples(index=False, name=None)]
    return table.assign(scratchpad_from=found)


def groups(counted: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Each condition with the places of its rows, sorted by name."""
    if not by:
        return [({}, np.arange(len(counted)))]
    grouped = counted.groupby(list(by), sort=True, dropna=False).indices
    conditions = [
        (dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True)), places)
        for key, places in grouped.items()
    ]
    return sorted(conditions, key=lambda pair: tuple(map(str, pair[0].values())))


def excludes_0(low: Any, high: Any) -> Any:
    """Whether an interval leaves 0 out; of columns, which rows' do."""
    return (low > 0) | (high < 0)


def named(condition: dict[str, Any]) -> str:
    """A condition in words, for an error."""
    return ", ".join(f"{name} {value}" for name, value in condition.items()) or "the rollouts"
