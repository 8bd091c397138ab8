"""Rows with dots: the form of most figures that are drawn from a printed table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, in_order, in_reading_order, percent


@style.styled()
def dots(
    table: pd.DataFrame,
    title: str,
    *,
    panels: Mapping[str, str] | str,
    looks: Mapping[str, Mapping[str, Any]],
    note: str = "",
    alt: str = "",
    unit: float = 100,
    ends: Sequence[str] = ("estimate", "low", "high"),
    band: Sequence[str] = (),
    counted: str = "rollouts per rate",
    line: float = 0.165,
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
        The label of each panel's axis; or the one of a panel per `setting`, all to the same scale.
    looks
        Of each series the `color` (a name of `style`, or one of matplotlib's), whether it is `hollow`,
        and its `label`.
    note
        What else a reader must know.
    alt
        What it shows; by default the extremes of each panel.
    unit
        By what numbers are multiplied: 100 for proportions.
    ends
        The columns of the estimate and of both ends of its interval.
    band
        The columns of the ends of a grey bar behind it.
    counted
        What the `n` of the table counts, in words.
    line
        Inches per row.

    Examples
    --------
    >>> table = pd.DataFrame({"heading": "", "name": ["a", "b"], "panel": "", "series": ""})
    >>> table = table.assign(estimate=[0.1, 0.2], low=0.05, high=0.3, n=40, source="live")
    >>> dots(table, "Two rates", panels={"": "rate (%)"}, looks={"": {"color": "INK"}}).alt
    'Rate (%): from 10.0 (a) to 20.0 (b).'
    """
    by_setting = isinstance(panels, str)
    if isinstance(panels, str):
        table = table.assign(panel=table.get("setting", ""))
        panels = dict.fromkeys(in_order(table["panel"]), panels)
    placed, labels = style.place_rows(table.reset_index(drop=True))
    named = {name: look["label"] for name, look in looks.items() if "label" in look}
    in_row = placed.groupby(["panel", "place"]).size().max()
    size = {"width": 1 if len(panels) > 1 else 0.75, "line": line * max(1, in_row / 4)}
    figure, axes = style.row_panels(labels, len(panels), sharex=by_setting, **size)
    sentences = []
    for panel, (name, label) in zip(axes, panels.items(), strict=True):
        part = placed[placed["panel"] == name]
        part = part.assign(place=part["place"] + style.spread(part, "heading", "name"))
        if by_setting and name:
            panel.set_title(f"{SETTINGS[name]} setting")
        if band:
            left, right = (unit * part[name] for name in band)
            panel.barh(part["place"], right - left, 0.5, left, color=style.FAINT, alpha=0.35)
        for series, look in looks.items():
            color = getattr(style, look["color"], look["color"])
            form = {"color": color, "mfc": "white" if look.get("hollow") else color}
            rows = part[part["series"] == series]
            style.points(panel, rows["place"], rows, ends=ends, unit=unit, **form)
            if panel is axes[0] and series in named and series in set(placed["series"]):
                look = {"marker": style.MARKERS.get(color, "o"), "ls": "", "ms": 3, **form}
                panel.plot([], [], label=named[series], **look)
        style.row_axes(panel, label)
        if not alt:
            shown = named if part["series"].nunique() > 1 else {}
            values = part.assign(value=unit / 100 * part[ends[0]])
            extremes = values.loc[values["value"].agg(["idxmin", "idxmax"])].to_dict("records")
            words = [_in_words(row, shown.get(row["series"], "")) for row in extremes]
            of = f"{SETTINGS[name]}: {label}" if by_setting and name else label
            sentences.append(f"{of[:1].upper()}{of[1:]}: from {' to '.join(words)}.")
    if named:
        style.legend_of(figure, axes[0], "right center")
    if table.get("n", pd.Series()).notna().any():
        note = f"{style.sample_size_note(table['n'].dropna(), counted)} {note}".strip()
    known = table[ends[1]].notna()
    return style.finish(figure, title, table, alt or " ".join(sentences), note, bars=known.any())


def _in_words(row: dict[str, Any], series: str) -> str:
    names = filter(None, [row["heading"], " ".join(row["name"].split()), " ".join(series.split())])
    return f"{percent(row['value'])} ({', '.join(names)})"


def gap_dots(gaps: pd.DataFrame, title: str, **about: Any) -> style.TracedFigure:
    """Gaps in rows with the column `name`, under the names of several models; else as `dots`."""
    several = "model" in gaps and gaps["model"].nunique() > 1
    gaps = gaps.sort_values("model", kind="stable") if several else gaps
    return dots(
        gaps.assign(heading=gaps["model"] if several else "", series=gaps.get("series", "")),
        title,
        panels=style.gap_label(style.gap_tiers(gaps)),
        ends=("gap", "low", "high"),
        **({"looks": {"": {"color": "GAP"}}, "counted": style.OF_GAP} | about),
    )


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
    >>> contrasts(table).alt.split('. ')[1]
    'In 0 of 2 contrasts the interval leaves 0 out'
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
    apart = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    alt = f"In {apart} of {len(rows)} contrasts the interval leaves 0 out."
    note = f"Paired on shared prompts: {style.sample_size_note(rows['n_shared'], 'per contrast')}"
    rows = rows.assign(heading=headings, name=names, series="")
    about = {"panels": "difference (points)", "note": note, "alt": alt}
    looks, ends = {"": {"color": "INK"}}, ("difference", "low", "high")
    return dots(rows, "How far conditions lie apart", looks=looks, ends=ends, **about)


def questions(
    table: pd.DataFrame,
    tiers: tuple[str, str] = ("free", "paid"),
    roles: Mapping[str, str] | None = None,
) -> style.TracedFigure:
    """How often the answers to a study's own questions are yes, by tier.

    Parameters
    ----------
    table
        What `afanalysis.rates` gives of each question, with `source`.
    tiers
        The training and the unmonitored tier; others may be in the table.
    roles
        Of other tiers, as `Study.tier_roles` has them.

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
    rows = style.completed(table, "setting", "tier", "source")
    looks = style.tier_looks(rows["tier"], tiers, roles)
    rows = rows.rename(columns={"rate": "estimate"}).dropna(subset="estimate")
    rows = in_reading_order(rows, "setting")
    rows = rows.sort_values("tier", key=lambda names: names.map([*looks].index), kind="stable")
    several = [name for name in ("model", "variation") if name in rows and rows[name].nunique() > 1]
    names = rows[several].agg(", ".join, axis=1) if several else rows["outcome"]
    return dots(
        rows.assign(heading=rows["outcome"] if several else "", name=names, series=rows["tier"]),
        "Questions of this study",
        panels="yes (%)",
        looks={name: {"color": color, "label": words} for name, (color, words) in looks.items()},
    )
