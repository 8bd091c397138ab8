"""What the model did, tier beside tier."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from afanalysis.analysis.conditions import of_one_condition
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, TIERS, percent, with_interval


@style.styled()
def compliance_by_tier(
    table: Any, variation: str | None = None, model: str | None = None
) -> style.TracedFigure:
    """Compliance with and without alignment-faking reasoning, free tier beside paid tier.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from.
    variation, model
        Which condition is drawn; by default the main variation and the main model.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the estimates drawn (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates = af.published.estimates()
    >>> af.figures.compliance_by_tier(estimates).heading
    'Behaviour of claude-3-opus by tier'
    """
    rows = of_one_condition(as_estimates(table), variation, model)
    figure, panels = style.setting_panels(rows, 3.1)
    sentences, sizes = [], []
    for setting, (axes,) in panels.items():
        part = rows[rows["setting"] == setting]
        estimates = part.set_index(["quantity", "tier"])
        for place, tier in enumerate(("free", "paid")):
            if ("complied", tier) in estimates.index:
                _stack(axes, 1.3 * place, estimates.xs(tier, level="tier"))
        axes.set_xticks([0, 1.3], [f"{TIERS['free']}\n(training)", f"{TIERS['paid']}\n(unmonitored)"])
        axes.set(xlim=(-0.45, 2.3), ylim=(0, 100))
        axes.set_title(axes.get_title(loc="left"), pad=14)
        shares = estimates["estimate"].map(percent)
        sentence = f"{SETTINGS[setting]}: complied with {shares['complied', 'free']} % of requests in "
        sentence += f"the free tier and {shares['complied', 'paid']} % in the paid tier"
        if ("compliance_gap", "both") in estimates.index:
            ends = estimates.loc[("compliance_gap", "both"), ["estimate", "low", "high"]]
            gap = with_interval(ends, "points")
            where = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 6.5}
            axes.annotate(f"compliance gap {gap}", (0, 1), (0, 4), **where)
            sentence += f", a gap of {gap}"
        if ("af_reasoning", "free") in estimates.index:
            sentence += f"; {shares['af_reasoning', 'free']} % with alignment-faking reasoning"
        sentences.append(f"{sentence}.")
        n = part.loc[part["quantity"] == "complied", ["tier", "n"]].itertuples(index=False)
        sizes.append(f"{SETTINGS[setting]} " + ", ".join(f"{size:.0f} {tier}" for tier, size in n))
    figure.axes[0].set_ylabel("share of rollouts (%)")
    labels = {
        style.NONCOMPLIANT: "did not comply",
        style.UNSPLIT: "complied, reasoning\nnot published",
        style.COMPLIANT: "complied, no AF reasoning",
        style.FAKING: "complied with\nAF reasoning",
    }
    if set(rows.loc[rows["quantity"] == "af_reasoning", "tier"]) == {"free", "paid"}:
        del labels[style.UNSPLIT]
    style.legend_of_fills(figure, labels)
    heading = f"Behaviour of {rows['model'].iloc[0]} by tier"
    note = f"Number of rollouts: {'; '.join(sizes)}."
    return style.finish(figure, heading, rows, " ".join(sentences), note)


def _stack(axes: Axes, place: float, estimates: pd.DataFrame) -> None:
    """A bar of the three behaviours in one tier, with its values beside it."""
    complied = estimates.loc[["complied"]]
    faking = estimates[estimates.index == "af_reasoning"]
    total = 100 * complied["estimate"].iloc[0]
    split = 100 * faking["estimate"].sum()
    plain = style.UNSPLIT if faking.empty else style.COMPLIANT
    ends = [0, split, total, 100]
    for color, low, high in zip((style.FAKING, plain, style.NONCOMPLIANT), ends, ends[1:], strict=False):
        axes.bar(place, high - low, bottom=low, width=0.44, **style.fill(color))
    beside: dict[str, Any] = {"va": "center", "fontsize": 6.5, "color": style.INK}
    apart = max(total, split + 7) if split else total
    style.points(axes, [place + 0.1], complied, along="y", ms=2, capsize=1.5)
    axes.text(place + 0.26, max(apart, 3), f"{total:.1f} complied", **beside)
    if split:
        style.points(axes, [place - 0.1], faking, along="y", ms=2, capsize=1.5)
        axes.text(place + 0.26, max(min(split, apart - 7), 3), f"{split:.1f} AF", **beside)
    axes.text(place, (100 + total) / 2, f"{100 - total:.1f}", ha="center", **beside)
