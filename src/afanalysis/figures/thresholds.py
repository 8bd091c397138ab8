"""What the choice of a threshold on graded scores does to the gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.figures import style
from afanalysis.text.wording import interval, percent


def score_thresholds(table: pd.DataFrame) -> style.TracedFigure:
    """Compliance in both tiers and the gap, by the score from which an answer counts as complying.

    Parameters
    ----------
    table
        Rows of `afanalysis.score_thresholds` of one model and variation.

    Returns
    -------
    TracedFigure
        One panel a setting; its `rows` the table.
    """
    settings = style.settings_of(table)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * (0.5 + 0.2 * len(settings)), 2.9)
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            part = table[table["setting"] == setting].sort_values("threshold")
            axes.axhline(0, color=style.FAINT, lw=0.6)
            for tier, colour in (("free", style.FREE), ("paid", style.PAID)):
                axes.plot(
                    part["threshold"],
                    100 * part[tier],
                    color=colour,
                    marker="s" if tier == "free" else "D",
                    ms=2.6,
                    lw=0.9,
                    label=f"complied, {tier} tier",
                )
            rows = part.rename(columns={"gap": "estimate"})
            style.points(axes, part["threshold"], None, along="y", rows=rows, color=style.GAP)
            axes.plot([], [], color=style.GAP, marker="o", ms=3, lw=0.9, label="gap, free − paid")
            axes.set_xticks(part["threshold"], [f"{score:g}" for score in part["threshold"]])
            axes.tick_params(axis="x", labelrotation=45 if len(part) > 4 else 0)
            axes.set_title(f"{style.SETTINGS[setting]} setting")
            axes.set_xlabel("an answer complies from this score on")
            axes.grid(axis="y")
        panels[0].set_ylabel("share of rollouts (%), gap (points)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
        style.title(figure, "What the threshold on graded answers does")
        style.note_source(figure, table, f"n = {int(table['n'].min())} or more a tier.")
    said = []
    for setting in settings:
        part = table[table["setting"] == setting].sort_values("gap")
        ends = [
            f"{percent(row.gap)} points {interval(row.low, row.high)} from {row.threshold:g} on"
            for row in (part.iloc[0], part.iloc[-1])
        ]
        said.append(f"{style.SETTINGS[setting]}: the gap runs from {ends[0]} to {ends[1]}.")
    return style.remember(figure, table, " ".join(said))
