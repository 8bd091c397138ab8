"""Estimates, one row per quantity, as the figures draw them; and the table of a results paragraph."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import Tiers, counts_by_tier, gap_name, of_gap, with_scratchpads_read
from afanalysis.analysis.judge_errors import corrected, has_labels
from afanalysis.analysis.rate_tables import gaps_of_counts, rates_of_counts
from afanalysis.errors import InputError
from afanalysis.table.source import Source, opened
from afanalysis.text import markup
from afanalysis.text.wording import COLUMNS, RATES, USUAL, in_words, p_value, split_remarks


def taken_for(columns: Iterable[str]) -> list[str]:
    """What a table with these columns lacks and is therefore assumed, in words.

    Examples
    --------
    >>> taken_for(["tier", "setting"])
    ["no variation is named: taken as 'default'"]
    """
    lacking = {"variation", "setting"}.difference(columns)
    return [f"no {name} is named: taken as {USUAL[name]!r}" for name in sorted(lacking)]


def estimates(data: Any, *, level: float = 0.95, tiers: Tiers | None = None) -> pd.DataFrame:
    """Everything the figures draw, in the form that `published.estimates` gives: one row per quantity.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `complied`, `af_reasoning` or both. Where no condition has
        `complied` in both tiers there is no gap, and `warning` says why.
    level
        Confidence level in (0, 1).
    tiers
        The tiers of the gap, as in `compliance_gap`; rates are there for every tier.

    Returns
    -------
    DataFrame
        `setting`, `variation`, `label`, `group`, `model`, `phase`, `tier` (of the gap `both`, or
        `pro − enterprise` of other tiers), `quantity`, `estimate`,
        `low`, `high` (proportions), `n`, `n_prompts`, `left_out` (the share of answers that do not
        count), `interval`, `source`, `level`, `warning`, and `scratchpad_from` of AF reasoning. The
        quantity `blocked` is there if any answer was blocked.

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates(af.example_rollouts())["quantity"].nunique()
    4
    """
    return estimates_and_gaps(data, level, tiers)[0]


def estimates_and_gaps(
    data: Any, level: float, tiers: Tiers | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The estimates, and the gaps with all that `compliance_gap` says of them.

    The gaps are in compliance, or in the first outcome of a table that lacks it.
    """
    with opened(data) as source:
        outcomes = [*filter(source.kinds.__contains__, ["complied", "af_reasoning"])]
        outcomes = [*(outcomes or ["complied"]), *({"blocked"} & set(source.kinds))]
        by, counted, came_from = counts_by_tier(source, None, outcomes)
        keys = [*by, "tier"]
        texts = with_scratchpads_read(source, counted[keys].drop_duplicates(), keys)
    if not counted.loc[counted["outcome"] == "blocked", "s"].sum():
        counted = counted[counted["outcome"] != "blocked"]
    known = counted.groupby(["outcome", *by, "tier"], dropna=False)["n"].transform("sum") > 0
    silent = ~known & (counted["outcome"] == "af_reasoning")  # a log that nobody judged for it
    measured, gaps = measured_and_gaps(counted[~silent], by, level, tiers=tiers)
    measured["interval"] = "bounded mean over prompts"
    measured = measured.merge(texts.assign(quantity="af_reasoning"), "left")
    refused = measured[measured["quantity"] == "complied"].assign(quantity="refused")
    refused[["estimate", "low", "high"]] = 1 - refused[["estimate", "high", "low"]].to_numpy()
    parts = [measured, refused]
    if len(refused) and len(gaps):
        _, tiers = of_gap(counted, tiers)
        left_out = gaps[[f"missing_{tier}" for tier in tiers]].max(axis=1)
        drawn = gaps.rename(columns={"gap": "estimate"}).assign(left_out=left_out, tier=gap_name(tiers))
        paired = "bounded mean over prompts, paired"
        parts.append(drawn.assign(quantity="compliance_gap", interval=paired))
    table = pd.concat(parts, ignore_index=True)
    usual = {name: USUAL[name] for name in ("model", "setting", "variation") if name not in by}
    table, gaps = (part.assign(**usual) for part in (table, gaps))
    for part in (table, gaps) if taken_for(by) else ():
        words = part.get("warning", pd.Series(dtype=str))
        part["warning"] = ["; ".join(filter(None, [word, *taken_for(by)])) for word in words]
    table = table.assign(label=table["variation"], group="", phase="", source=came_from, level=level)
    order = ["setting", "variation", "label", "group", "model", "phase", "tier", "quantity"]
    order += ["estimate", "low", "high", "n", "n_prompts", "left_out", "interval", "source", "level"]
    return table[[*order, "warning", *({"scratchpad_from"} & set(table))]], gaps


def measured_and_gaps(
    counted: pd.DataFrame,
    by: list[str],
    level: float,
    rate_method: str | None = None,
    gap_method: str | None = None,
    tiers: Tiers | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rate of each quantity by tier, and the gaps (none if no condition has one)."""
    measured = rates_of_counts(counted, [*by, "tier"], level, rate_method)
    measured = measured.rename(columns={"rate": "estimate", "outcome": "quantity"})
    outcomes = counted["outcome"]
    outcome = "complied" if "complied" in set(outcomes) else outcomes.iloc[0]
    try:
        part = counted[outcomes == outcome]
        return measured, gaps_of_counts(part, by, level, tiers, method=gap_method)
    except InputError as reason:  # no condition has one
        words = [f"{words}; no gap: {reason}".removeprefix("; ") for words in measured["warning"]]
        return measured.assign(warning=words), pd.DataFrame()


def as_estimates(
    data: Any, *, level: float = 0.95, tiers: Tiers | None = None, with_gap: bool = True
) -> pd.DataFrame:
    """The table itself if it holds estimates, else the estimates of its rollouts."""
    table: pd.DataFrame = data
    if not {"quantity", "estimate"} <= set(getattr(data, "columns", ())):
        table = estimates(data, level=level, tiers=tiers)
    if with_gap and "compliance_gap" not in set(table["quantity"]):
        raise InputError("no condition has a known 'complied' in both tiers")
    return table


def summary(
    data: Any, form: str = "table", *, level: float = 0.95, tiers: Tiers | None = None
) -> pd.DataFrame | str:
    """What a results paragraph needs, one row per model, setting and variation.

    Parameters
    ----------
    data
        Rollouts, as in `estimates`.
    form
        `table`: a DataFrame of numbers (proportions); `markdown` or `latex` (a tabular of the rates by
        tier and one of the gaps): text with percentages and intervals, ready to paste.
    level
        Confidence level in (0, 1).
    tiers
        The tiers of the gap, as in `compliance_gap`.

    Returns
    -------
    DataFrame or str
        Per row: `n_prompts`, then `refused_free`, `refused_paid`, `complied_free`, `complied_paid`,
        `af_free`, `af_paid` (and the same of other tiers), `gap`, each with `_low`, `_high` and `_n`
        (answers; of the gap, in the tier with fewer); `p_value`, `p_holm` (adjusted over the rows),
        `source`, `warning`. With hand labels also
        `complied_free_corrected`, `complied_paid_corrected` and `gap_corrected`, each with `_low` and
        `_high`, and `labels` (see `afanalysis.corrected`).

    Examples
    --------
    >>> import afanalysis as af
    >>> summary(af.example_rollouts(), "markdown").splitlines()[0][:17]
    '| model | setting'
    """
    if form not in ("table", "latex", "markdown"):
        raise ValueError(f"form is {form!r}; use 'table', 'latex' or 'markdown'")
    with opened(data) as source:
        every, gaps = estimates_and_gaps(source, level, tiers)
        if gaps.empty:
            raise InputError(split_remarks(every["warning"].iloc[0])[-1])
        _, tiers = of_gap(every, tiers)
        others = sorted({*every["tier"]} - {*tiers, gap_name(tiers)}, key=str)
        if odd := [tier for tier in (*tiers, *others) if f"_{tier}".endswith(("_low", "_high", "_n"))]:
            raise InputError(f"tier {odd[0]!r}: columns of a summary end so; rename the tier")
        corrections = _corrections(source, level, tiers)
    keys = ["model", "setting", "variation"]
    table = gaps[[*keys, "n_prompts"]].copy()
    conditions = pd.MultiIndex.from_frame(table[keys])
    columns = [
        (quantity, tier, f"{short}_{tier}")
        for quantity, short in (("refused", "refused"), ("complied", "complied"), ("af_reasoning", "af"))
        for tier in (*tiers, *others)
    ]
    for quantity, tier, name in [*columns, ("compliance_gap", gap_name(tiers), "gap")]:
        part = every[(every["quantity"] == quantity) & (every["tier"] == tier)].set_index(keys)
        # missing, where nobody judged the scratchpads
        part = part.reindex(conditions).fillna({"n": 0}).astype({"n": int})
        for end, suffix in (("estimate", ""), ("low", "_low"), ("high", "_high"), ("n", "_n")):
            table[name + suffix] = part[end].to_numpy()
        if (quantity, tier) == ("af_reasoning", tiers[0]) and "scratchpad_from" in part:
            table["scratchpad_from"] = part["scratchpad_from"].fillna("").to_numpy()
    for name in ("p_value", "p_holm"):  # of the gap
        table[name] = gaps[name].where(table["gap"].notna())
    table["source"], table["warning"] = every["source"].iloc[0], gaps["warning"]
    if corrections is not None:
        table = table.merge(corrections, how="left", on=[key for key in keys if key in corrections])
    if form == "table":
        return table
    if form == "latex":
        return "\n".join(latex_tables(table).values())
    return markup.to_markdown(readable(table).assign(source=table["source"]))


def latex_tables(table: pd.DataFrame) -> dict[str, str]:
    """What a summary holds as tabulars that fit a column of text, by name: rates by tier, and gaps."""
    by_tier = []
    for tier, n in _sizes(table).items():
        ends = ("", "_low", "_high")
        names = {f"{what}_{tier}{end}": f"{what}{end}" for what in ("refused", "af") for end in ends}
        by_tier.append(table.rename(columns=names).assign(tier_name=tier, n=n))
    long = {"rates": pd.concat(by_tier).sort_index(kind="stable")}
    long["gaps"] = table.assign(p=table["p_holm"].map(p_value))
    above = table["model"] + ", " + table["setting"] + " setting, " + table["source"]
    tables = {}
    for name, rows in long.items():
        shown = in_words(rows, ["setting"], COLUMNS[f"latex_{name}"])
        tables[name] = markup.to_latex(shown, shown.index.map(above), wrapped=1 + (name == "rates"))
    return tables


def _sizes(table: pd.DataFrame) -> dict[str, list[str]]:
    """By tier, how many answers each rate of a summary counts, and of AF reasoning if that differs."""
    sizes = {}
    for tier in (name[8:-2] for name in table if name.startswith("refused_") and name.endswith("_n")):
        counts = zip(table[f"refused_{tier}_n"], table[f"af_{tier}_n"], strict=True)
        sizes[tier] = [f"{n or af}" + f" (AF {af})" * (0 < af != n > 0) for n, af in counts]
    return sizes


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A summary as text: percentages with their intervals, settings in reading order."""
    rates = {
        title.format(name.removeprefix(short)): [name, f"{name}_low", f"{name}_high"]
        for short, title in RATES.items()
        for name in table
        if name.startswith(short) and f"{name}_low" in table
    }
    sizes = {f"n, {tier}": n for tier, n in _sizes(table).items()}
    columns = COLUMNS["summary"] | {name: [name] for name in sizes} | rates | COLUMNS["gaps"]
    shown = in_words(table.assign(**sizes), ["setting"], columns)
    return shown.assign(**{"p (Holm)": table["p_holm"].map(p_value)})


def _corrections(source: Source, level: float, tiers: Tiers) -> pd.DataFrame | None:
    """The corrected rates and gap of each condition, one row each; None without hand labels."""
    if not has_labels(source):
        return None
    table = corrected(source, level=level, tiers=tiers)
    keys = [name for name in ("model", "setting", "variation") if name in table]
    names = {tier: f"complied_{tier}" for tier in tiers} | {gap_name(tiers): "gap"}
    wide = table.pivot(index=[*keys, "labels"], columns="tier", values=["corrected", "low", "high"])
    wide = wide.swaplevel(axis=1)[[*names]]
    ends = {"corrected": "", "low": "_low", "high": "_high"}
    wide.columns = [f"{names[tier]}_corrected{ends[end]}" for tier, end in wide.columns]
    return wide.reset_index()
