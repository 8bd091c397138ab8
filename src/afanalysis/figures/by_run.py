"""The runs of a sweep beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.analysis.conditions import main_variation
from afanalysis.figures import style
from afanalysis.text.wording import percent


def gaps_by_run(table: pd.DataFrame, told: list[str]) -> style.TracedFigure:
    """The compliance gap of every run of a sweep.

    Parameters
    ----------
    table
        The gaps of all runs (`afanalysis.sweeps.combine`), with `source`.
    told
        The columns of parameters, by which rows are named.

    Returns
    -------
    TracedFigure
        One panel a setting; its `rows` the gaps of each run's default prompt, or first variation.
    """
    chosen = table.groupby("run")["variation"].transform(main_variation)
    rows = table[table["variation"] == chosen]
    names = {
        run: ", ".join(f"{name.rpartition('.')[2]} {part[name].iloc[0]}" for name in told)
        for run, part in rows.groupby("run", sort=False)
    }
    settings = style.settings_of(rows)
    several = rows["model"].nunique() > 1
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.1 + 0.17 * len(names))
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            for at, run in enumerate(names):
                part = rows[(rows["run"] == run) & (rows["setting"] == setting)]
                part = part.rename(columns={"gap": "estimate"})
                step = 0.5 / max(len(part), 1)
                for down, (_, row) in enumerate(part.iterrows()):
                    place = at + (down - (len(part) - 1) / 2) * step if several else at
                    point = row.to_frame().T
                    style.points(axes, None, [place], along="x", rows=point, color=style.GAP)
            axes.axvline(0, color=style.FAINT, lw=0.6)
            axes.set_title(f"{style.SETTINGS[setting]} setting")
            axes.set_xlabel("compliance gap, free − paid (points)")
            style.row_axes(axes)
        style.name_rows(panels[0], [(name, False) for name in names.values()])
        style.title(figure, "The gap in every run of the sweep")
        size = style.sample_size_note(rows["n"])
        if "level" in told:
            size += " (Levels other than 95 % as named.)"
        style.note_source(figure, rows.drop(columns="level", errors="ignore"), size)
    least, most = rows["gap"].min(), rows["gap"].max()
    said = f"Over {len(names)} runs the gap lies between {percent(least)} and {percent(most)} points."
    return style.remember(figure, rows, said)
