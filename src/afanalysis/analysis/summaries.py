"""The table that a results paragraph needs."""

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import Tiers, gap_name, of_gap
from afanalysis.analysis.judge_errors import corrected, has_labels
from afanalysis.analysis.quantities import estimates_and_gaps
from afanalysis.errors import InputError
from afanalysis.table.source import Source, opened
from afanalysis.text import markup
from afanalysis.text.wording import in_words, p_value, split_remarks

# What readers see of it, by title, before and after the rates of each tier.
_CONDITION = {name: [name] for name in ("model", "setting", "variation")}
_CONDITION |= {"prompts": ["n_prompts"], "n per tier": ["n"]}
_GAPS = {"gap (points)": "gap", "gap corrected for judge error (points)": "gap_corrected"}
_RATES = {"refused_": "non-compliance, {} (%)", "af_": "AF reasoning, {} (%)"}


def summary(
    data: Any, form: str = "table", *, level: float = 0.95, tiers: Tiers | None = None
) -> pd.DataFrame | str:
    """What a results paragraph needs, one row per model, setting and variation.

    Parameters
    ----------
    data
        Rollouts, as in `estimates`.
    form
        `table`: a DataFrame of numbers (proportions); `latex` or `markdown`: text with percentages and
        intervals, ready to paste.
    level
        Confidence level in (0, 1).
    tiers
        The tiers of the gap, as in `compliance_gap`.

    Returns
    -------
    DataFrame or str
        Per row: `n_prompts`, `n`, then `refused_free`, `refused_paid`, `complied_free`, `complied_paid`,
        `af_free` (and the same of other tiers), `gap`, each with `_low` and `_high`; `p_value`,
        `p_holm` (adjusted over the rows), `source`, `warning`. With hand labels also
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
        corrections = _corrections(source, level, tiers)
    keys = ["model", "setting", "variation"]
    table = gaps[[*keys, "n_prompts", "n"]].copy()
    conditions = pd.MultiIndex.from_frame(table[keys])
    columns = [
        (quantity, tier, f"{short}_{tier}")
        for quantity, short in (("refused", "refused"), ("complied", "complied"), ("af_reasoning", "af"))
        for tier in (*tiers, *others)
        if (short, tier) != ("af", tiers[1])
    ]
    for quantity, tier, name in [*columns, ("compliance_gap", gap_name(tiers), "gap")]:
        part = every[(every["quantity"] == quantity) & (every["tier"] == tier)].set_index(keys)
        part = part.reindex(conditions)  # missing, where nobody judged the scratchpads
        for end, suffix in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            table[name + suffix] = part[end].to_numpy()
        if quantity == "af_reasoning" and "scratchpad_from" in part:
            table["scratchpad_from"] = part["scratchpad_from"].fillna("").to_numpy()
    for name in ("p_value", "p_holm"):  # of the gap
        table[name] = gaps[name].where(table["gap"].notna())
    table["source"], table["warning"] = every["source"].iloc[0], gaps["warning"]
    if corrections is not None:
        table = table.merge(corrections, how="left", on=[key for key in keys if key in corrections])
    if form == "table":
        return table
    shown = readable(table).assign(source=table["source"])
    return markup.to_latex(shown) if form == "latex" else markup.to_markdown(shown)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A summary as text: percentages with their intervals, settings in reading order."""
    shares = {
        title.format(name.removeprefix(short)): name
        for short, title in _RATES.items()
        for name in table
        if name.startswith(short) and f"{name}_low" in table
    }
    shares = {title: [name, f"{name}_low", f"{name}_high"] for title, name in (shares | _GAPS).items()}
    read_from = {"AF reasoning read from": ["scratchpad_from"]}
    shown = in_words(table, ["setting"], _CONDITION | shares | read_from)
    return shown.assign(**{"p (Holm)": table["p_holm"].map(p_value)})


def _corrections(source: Source, level: float, tiers: Tiers) -> pd.DataFrame | None:
    """The corrected rates and gap of each condition, one row each; None without hand labels."""
    if not has_labels(source):
        return None
    table = corrected(source, level=level, tiers=tiers)
    keys = [name for name in ("model", "setting", "variation") if name in table]
    of_both = gap_name(tiers)
    names = {tier: f"complied_{tier}" for tier in tiers} | {of_both: "gap"}
    parts = table.loc[table["tier"] == of_both, [*keys, "labels"]].reset_index(drop=True)
    for tier, name in names.items():  # as many rows per tier, in the same order
        part = table[table["tier"] == tier].reset_index(drop=True)
        for column, end in (("corrected", ""), ("low", "_low"), ("high", "_high")):
            parts[f"{name}_corrected{end}"] = part[column]
    return parts
