"""The runs of a sweep beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from afanalysis.analysis.conditions import main_variation
from afanalysis.figures import style
from afanalysis.text.wording import percent


@style.styled()
def gaps_by_run(table: pd.DataFrame, parameters: Sequence[str]) -> style.TracedFigure:
    """The compliance gap of every run of a sweep.

    Parameters
    ----------
    table
        The gaps of all runs (`afanalysis.pipeline.sweeps.finish`), with `source`.
    parameters
        The columns of parameters, by which rows are named.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the gaps of each run's default prompt, or first variation.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"run": ["a", "b"], "samples": [1, 5], "gap": [0.1, 0.2], "n": 40})
    >>> runs = runs.assign(low=0.0, high=0.3, variation="default", setting="helpful-only", source="live")
    >>> gaps_by_run(runs, ["samples"]).alt
    'Over 2 runs the gap lies between 10.0 and 20.0 points.'
    """
    chosen = table.groupby("run")["variation"].transform(main_variation)
    rows = table[table["variation"] == chosen]
    names = rows.groupby("run", sort=False)[list(parameters)].first().apply(_name, axis=1)
    placed, labels = style.place_rows(rows.assign(heading="", name=rows["run"].map(names)))
    figure, panels = style.setting_panels(rows, 1.1 + 0.17 * len(labels))
    for setting, (axes,) in panels.items():
        part = placed[placed["setting"] == setting]
        places = part["place"] + style.spread(part, "run")
        style.points(axes, places, part, ends=("gap", "low", "high"), color=style.GAP)
        style.row_axes(axes, style.GAP_LABEL)
    style.name_rows(figure.axes, labels)
    note = style.sample_size_note(rows["n"])
    if "level" in parameters:
        note += " (Levels other than 95 % as named.)"
    least, most = percent(rows["gap"].min()), percent(rows["gap"].max())
    alt = f"Over {len(labels)} runs the gap lies between {least} and {most} points."
    drawn = rows.drop(columns="level", errors="ignore")
    figure = style.finish(figure, "The gap in every run of the sweep", drawn, alt, note)
    figure.rows = rows.reset_index(drop=True)
    return figure


def _name(values: pd.Series) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in values.items())
