"""The table that a results paragraph needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.analysis.judge_errors import corrected, has_labels
from afanalysis.analysis.quantities import estimates_and_gaps
from afanalysis.table.source import Source, opened
from afanalysis.text import markup
from afanalysis.text.wording import interval, p_value, percent


def summary(data: Any, form: str = "table", *, level: float = 0.95) -> pd.DataFrame | str:
    """What a results paragraph needs, one row a model, setting and variation.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `tier`, `complied` and `af_reasoning`.
    form
        `table`: a DataFrame of numbers (proportions); `latex` or `markdown`: text with percentages and
        intervals, ready to paste.
    level
        Confidence level in (0, 1).

    Returns
    -------
    DataFrame or str
        Per row: `n_prompts`, `n`, then `refused_free`, `refused_paid`, `complied_free`, `complied_paid`,
        `af_free`, `gap`, each with `_low` and `_high`; `p_value`, `p_holm` (adjusted over the rows),
        `source`, `warning`. With hand labels also `complied_free_corrected`, `complied_paid_corrected`
        and `gap_corrected`, each with `_low` and `_high`, and `labels`
        (see `afanalysis.corrections.corrected`).
    """
    if form not in ("table", "latex", "markdown"):
        raise ValueError(f"form is {form!r}; use 'table', 'latex' or 'markdown'")
    with opened(data) as source:
        found, wide = estimates_and_gaps(source, level)
        fixed = _corrections(source, level)
    keys = ["model", "setting", "variation"]
    names = {
        ("refused", "free"): "refused_free",
        ("refused", "paid"): "refused_paid",
        ("complied", "free"): "complied_free",
        ("complied", "paid"): "complied_paid",
        ("af_reasoning", "free"): "af_free",
        ("compliance_gap", "both"): "gap",
    }
    for key in keys:
        if key not in wide:
            wide[key] = found[key].iloc[0]
    table = wide[[*keys, "n_prompts", "n"]].copy()
    for (quantity, tier), name in names.items():
        part = found[(found["quantity"] == quantity) & (found["tier"] == tier)].set_index(keys)
        for end, suffix in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            known = part[end].to_dict()  # nothing, where nobody judged the scratchpads
            places = zip(*(table[key] for key in keys), strict=True)
            table[name + suffix] = [known.get(place, float("nan")) for place in places]
    table["p_value"], table["p_holm"] = wide["p_value"], wide["p_holm"]
    table["source"], table["warning"] = found["source"].iloc[0], wide["warning"]
    if fixed is not None:
        table = table.merge(fixed, how="left", on=[key for key in keys if key in fixed])
    if form == "table":
        return table
    shown = table[keys].astype(str)
    shown["prompts"], shown["n"] = table["n_prompts"].astype(str), table["n"].astype(str)
    titles = {
        "refused_free": "non-compliance, free (%)",
        "refused_paid": "non-compliance, paid (%)",
        "af_free": "AF reasoning (%)",
        "gap": "gap (points)",
    }
    if fixed is not None:
        titles["gap_corrected"] = "gap corrected for judge error (points)"
    for name, title in titles.items():
        shown[title] = [
            f"{percent(x)} {interval(low, high)}" if x == x else "–"
            for x, low, high in zip(
                table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True
            )
        ]
    shown["p (Holm)"] = [p_value(p) for p in table["p_holm"]]
    shown["source"] = table["source"]
    return markup.to_latex(shown) if form == "latex" else markup.to_markdown(shown)


def _corrections(source: Source, level: float) -> pd.DataFrame | None:
    """The corrected rates and gap of each condition, one row each; None without hand labels."""
    if not has_labels(source):
        return None
    found = corrected(source, level=level)
    keys = [name for name in ("model", "setting", "variation") if name in found]
    parts = found[[*keys, "labels"]].drop_duplicates(keys)
    for tier, name in (("free", "complied_free"), ("paid", "complied_paid"), ("both", "gap")):
        new = {
            "corrected": f"{name}_corrected",
            "low": f"{name}_corrected_low",
            "high": f"{name}_corrected_high",
        }
        part = found.loc[found["tier"] == tier, [*keys, *new]].rename(columns=new)
        parts = parts.merge(part, on=keys) if keys else parts.join(part.reset_index(drop=True))
    return parts
