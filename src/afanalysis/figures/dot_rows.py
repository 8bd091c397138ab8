"""Rows with dots: the form of most figures that are drawn from a printed table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import percent


@style.styled()
def dots(
    table: pd.DataFrame,
    title: str,
    *,
    panels: Mapping[str, str],
    looks: Mapping[str, Mapping[str, Any]],
    note: str = "",
    unit: float = 100,
) -> style.TracedFigure:
    """Estimates as dots with their intervals, in named rows, panels beside each other.

    Parameters
    ----------
    table
        `heading`, `name`, `panel` and `series` of each dot with `estimate`, `low`, `high`, which may be
        missing, and `source`.
    title
        Of the figure.
    panels
        The label of each panel's axis.
    looks
        Of each series the `color` (a name of `style`), whether it is `hollow`, and its `label`.
    note
        What else a reader must know.
    unit
        By what numbers are multiplied: 100 for proportions.

    Examples
    --------
    >>> table = pd.DataFrame({"heading": "", "name": ["a", "b"], "panel": "", "series": ""})
    >>> table = table.assign(estimate=[0.1, 0.2], low=0.05, high=0.3, n=40, source="live")
    >>> dots(table, "Two rates", panels={"": "rate (%)"}, looks={"": {"color": "INK"}}).alt
    'Rate (%): from 10.0 (a) to 20.0 (b).'
    """
    placed, labels = style.place_rows(table.reset_index(drop=True))
    named = {name: look["label"] for name, look in looks.items() if "label" in look}
    figure, axes = style.row_panels(labels, len(panels), width=1 if len(panels) > 1 else 0.75)
    sentences = []
    for panel, (name, label) in zip(axes, panels.items(), strict=True):
        part = placed[placed["panel"] == name]
        part = part.assign(place=part["place"] + style.spread(part, "heading", "name"))
        for series, look in looks.items():
            color = getattr(style, look["color"])
            form = {"color": color, "mfc": "white" if look.get("hollow") else color, "unit": unit}
            rows = part[part["series"] == series]
            style.points(panel, rows["place"], rows, **form)
            if panel is axes[0] and series in named and series in set(placed["series"]):
                panel.plot([], [], "o", ms=3, color=color, mfc=form["mfc"], label=named[series])
        style.row_axes(panel, label)
        shown = named if part["series"].nunique() > 1 else {}
        ends = part.loc[part["estimate"].agg(["idxmin", "idxmax"])].to_dict("records")
        ends = [_in_words(row, unit, shown.get(row["series"], "")) for row in ends]
        sentences.append(f"{label[:1].upper()}{label[1:]}: from {' to '.join(ends)}.")
    if named:
        style.legend_of(figure, axes[0], "right center")
    if table.get("n", pd.Series()).notna().any():
        note = f"{style.sample_size_note(table['n'].dropna())} {note}".strip()
    known = table["low"].notna()
    return style.finish(figure, title, table, " ".join(sentences), note, bars=known.any())


def _in_words(row: dict[str, Any], unit: float, series: str) -> str:
    names = filter(None, [row["heading"], " ".join(row["name"].split()), " ".join(series.split())])
    return f"{percent(row['estimate'] * unit / 100)} ({', '.join(names)})"
