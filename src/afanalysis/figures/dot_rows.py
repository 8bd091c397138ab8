"""Rows with dots: the form of most figures that are drawn from a printed table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, in_order, in_reading_order, percent


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
        Of each series the `color` (a name of `style`, or one of matplotlib's), whether it is `hollow`,
        and its `label`.
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
    in_row = placed.groupby(["panel", "place"]).size().max()
    size = {"width": 1 if len(panels) > 1 else 0.75, "line": 0.165 * max(1, in_row / 4)}
    figure, axes = style.row_panels(labels, len(panels), **size)
    sentences = []
    for panel, (name, label) in zip(axes, panels.items(), strict=True):
        part = placed[placed["panel"] == name]
        part = part.assign(place=part["place"] + style.spread(part, "heading", "name"))
        for series, look in looks.items():
            color = getattr(style, look["color"], look["color"])
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


@style.styled()
def contrasts(table: pd.DataFrame) -> style.TracedFigure:
    """How far gaps or rates lie apart between models, variations, tiers or judges.

    Parameters
    ----------
    table
        What `afanalysis.contrast` gives; of several columns that were compared, with the name of the
        column in `between`.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> table = af.contrast(af.example_rollouts(), "variation")
    >>> contrasts(table).alt
    'In 0 of 2 contrasts the interval leaves 0 out.'
    """
    usual = table.columns[list(table.columns).index("reference") - 1]
    rows = table.assign(between=table.get("between", usual))
    names, headings = [], []
    for row in rows.to_dict("records"):
        within = [name for name in ("model", "variation", "tier", "judge") if name in row]
        held = [row[name] for name in within if name != row["between"] and row[name] == row[name]]
        what = "rate" if isinstance(row.get("tier"), str) else "gap"
        names.append(f"{row[row['between']]} − {row['reference']}")
        headings.append(", ".join([f"{what} by {row['between']}", *map(str, held)]))
    drawn = rows.assign(heading=headings, name=names, gap=rows["difference"])
    figure, _ = style.gap_rows(drawn, 1.3, 0.18, style.INK, "difference (points)")
    apart = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    alt = f"In {apart} of {len(rows)} contrasts the interval leaves 0 out."
    note = f"Paired on the prompts that both have: {style.sample_size_note(rows['n_shared'])}"
    note = note.replace("rollouts per rate", "prompts per contrast")
    return style.finish(figure, "How far conditions lie apart", rows, alt, note)


def questions(table: pd.DataFrame, tiers: tuple[str, str] = ("free", "paid")) -> style.TracedFigure:
    """How often the answers to a study's own questions are yes, by tier.

    Parameters
    ----------
    table
        What `afanalysis.rates` gives of each question, with `source`.
    tiers
        The training and the unmonitored tier; others may be in the table.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> rollouts = af.example_rollouts().assign(asks=True)
    >>> questions(af.rates(rollouts, "asks").assign(source="simulated")).heading
    'Questions of this study'
    """
    usual = {"setting": "helpful-only", "tier": "all", "source": "unknown"}
    rows = table.assign(**{name: value for name, value in usual.items() if name not in table})
    looks = style.tier_looks(rows["tier"], tiers)
    rows = rows.rename(columns={"rate": "estimate"}).dropna(subset="estimate")
    rows = in_reading_order(rows, "setting").sort_values(
        "tier", key=lambda names: names.map([*looks].index), kind="stable"
    )
    several = [name for name in ("model", "variation") if name in rows and rows[name].nunique() > 1]
    names = rows[several].agg(", ".join, axis=1) if several else rows["outcome"]
    return dots(
        rows.assign(
            heading=rows["outcome"] if several else "",
            name=names,
            panel=rows["setting"],
            series=rows["tier"],
        ),
        "Questions of this study",
        panels={name: f"{SETTINGS[name].lower()}: yes (%)" for name in in_order(rows["setting"])},
        looks={name: {"color": color, "label": words} for name, (color, words) in looks.items()},
    )
