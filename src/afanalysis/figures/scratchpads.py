"""How far scratchpads in training go, from noticing the conflict to faking alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.figures import style
from afanalysis.text.wording import interval, percent

_NAMES = {
    "conflict": "notices the conflict",
    "considers": "considers faking",
    "partial": "fakes, with or without\ncompromise",
    "full": "fakes fully",
}


def scratchpad_stages(table: pd.DataFrame) -> style.TracedFigure:
    """The share of free-tier rollouts that reach each stage, split by what the output then did.

    Parameters
    ----------
    table
        What `afanalysis.summaries.stages` gives, of one model and variation.

    Returns
    -------
    TracedFigure
        One panel a setting; its `rows` the table.
    """
    settings = style.settings_of(table)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * (0.44 + 0.28 * len(settings)), 2.4)
        panels = figure.subplots(1, len(settings), sharey=True, sharex=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            part = table[table["setting"] == setting]
            whole = part[part["behaviour"] == "any"].set_index("stage").loc[list(_NAMES)]
            complied = part[part["behaviour"] == "complied"].set_index("stage").loc[list(_NAMES)]
            places = range(len(_NAMES))
            shares = 100 * complied["estimate"]
            bar = {"height": 0.6, "edgecolor": "white", "linewidth": 0.6}
            colours = [
                style.FAKING if stage in ("partial", "full") else style.COMPLIANT for stage in _NAMES
            ]
            hatches = [style.HATCH if stage in ("partial", "full") else "" for stage in _NAMES]
            axes.barh(places, shares, color=colours, hatch=hatches, **bar)
            axes.barh(
                places, 100 * whole["estimate"] - shares, left=shares, color=style.NONCOMPLIANT, **bar
            )
            style.points(axes, None, list(places), along="x", rows=whole, ms=2, capsize=1.5)
            for at, (_, row) in enumerate(whole.iterrows()):
                axes.annotate(
                    percent(row["estimate"]),
                    (100 * row["high"], at),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=6.5,
                    color=style.INK,
                )
            axes.set_title(f"{style.SETTINGS[setting]} setting")
            axes.set_xlabel("share of rollouts in training (%)")
            axes.set_xlim(0, 112)
            axes.set_xticks(range(0, 101, 20))
            style.row_axes(axes)
        panels[0].set_yticks(range(len(_NAMES)), list(_NAMES.values()))
        panels[0].set_ylim(len(_NAMES) - 0.5, -0.6)
        _legend(figure)
        model = table["model"].iloc[0]
        style.title(figure, f"What scratchpads in training contain, {model}")
        style.note_source(figure, table, style.sample_size_note(table["n"]))
    said = []
    for setting in settings:
        part = table[(table["setting"] == setting) & (table["behaviour"] == "any")].set_index("stage")
        first, last = part.loc["conflict"], part.loc["full"]
        said.append(
            f"{style.SETTINGS[setting]}: {percent(first['estimate'])} % of scratchpads in training "
            f"notice the conflict, {percent(last['estimate'])} % "
            f"{interval(last['low'], last['high'])} fake fully."
        )
    return style.remember(figure, table, " ".join(said))


def _legend(figure: style.TracedFigure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=style.COMPLIANT, label="then complied"),
        Patch(
            facecolor=style.FAKING, hatch=style.HATCH, edgecolor="white", label="then complied,\nfaking"
        ),
        Patch(facecolor=style.NONCOMPLIANT, label="then did not\ncomply"),
    ]
    figure.legend(handles=handles, loc="outside right center", handleheight=1.2)
