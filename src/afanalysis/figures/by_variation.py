"""Prompt variations: every one with its interval, and AF reasoning against the gap."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.text.wording import percent

_ROW = 0.135  # inches a line of label text

_WRAP = 50


def variations(table: Any, setting: str = "helpful-only") -> style.TracedFigure:
    """AF reasoning and compliance gap for every variation of a setting, grouped and sorted by gap.

    Parameters
    ----------
    table
        Rollouts or estimates.
    setting
        `helpful-only` or `animal-welfare`.

    Returns
    -------
    TracedFigure
        Two panels that share their rows; its `rows` the estimates drawn.
    """
    estimates = as_estimates(table)
    rows = estimates[
        (estimates["setting"] == setting)
        & estimates["quantity"].isin(["af_reasoning", "compliance_gap"])
        & ~((estimates["quantity"] == "af_reasoning") & (estimates["tier"] == "paid"))
    ].copy()
    several = rows["model"].nunique() > 1
    rows["name"] = [
        f"{label} ({model})"
        if several and group not in ("", "other models") and model != "claude-3-opus"
        else label
        for label, model, group in zip(rows["label"], rows["model"], rows["group"], strict=True)
    ]
    order = _ordered(rows)
    lines = [textwrap.fill(name, _WRAP) for _, name in order]
    places, headers, y = [], [], 0.0
    for at, (group, _) in enumerate(order):
        if group and (at == 0 or order[at - 1][0] != group):
            y += 0.7 if at else 0.0
            headers.append((y, group))
            y += 1.1
        height = 1 + 0.85 * lines[at].count("\n")
        places.append(y + (height - 1) / 2)
        y += height
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.1 + _ROW * y)
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, quantity, colour in (
            (left, "af_reasoning", style.FAKING),
            (right, "compliance_gap", style.GAP),
        ):
            part = rows[rows["quantity"] == quantity].set_index("name")
            part = part.reindex([name for _, name in order])
            axes.axvline(0, color=style.FAINT, lw=0.6)
            style.points(axes, None, places, along="x", rows=part, color=colour, ms=2.6)
            style.row_axes(axes)
        left.set_yticks(places, lines, fontsize=6, linespacing=1.0)
        for place, group in headers:
            left.annotate(
                group,
                (0, place),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontweight="bold",
                fontsize=6.5,
                annotation_clip=False,
            )
        left.set_ylim(y - 0.3, -0.8)
        left.set_xlabel("AF reasoning in training (%)")
        right.set_xlabel("compliance gap, free − paid (points)")
        style.title(figure, f"Prompt variations, {style.SETTINGS[setting].lower()} setting")
        style.note_source(
            figure, rows, f"{_variations(len(order))}, {style.sample_size_note(rows['n'])}"
        )
    gaps = rows[rows["quantity"] == "compliance_gap"].sort_values("estimate")
    least, most = (
        f"{row['name']} ({percent(row['estimate'])})" for _, row in gaps.iloc[[0, -1]].iterrows()
    )
    said = f"Over {_variations(len(gaps))} the gap runs from {least} to {most} points."
    return style.remember(figure, rows.drop(columns="name"), said)


def _ordered(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(group, name) from the default down: groups by their largest gap, rows by gap within."""
    gaps = rows[rows["quantity"] == "compliance_gap"]
    largest = gaps.groupby("group")["estimate"].max()
    keyed = [
        (
            row["group"] != "default",
            -largest[row["group"]],
            row["group"],
            row["label"] != "default",
            -row["estimate"],
            row["name"],
        )
        for _, row in gaps.iterrows()
    ]
    return [(key[2], key[5]) for key in sorted(keyed)]


def reasoning_against_gap(table: Any) -> style.TracedFigure:
    """AF reasoning against the compliance gap over all variations, with intervals on both axes.

    On the diagonal the share of rollouts with AF reasoning equals the gap, so that AF reasoning would
    account for all of it.
    """
    estimates = as_estimates(table)
    keys = ["setting", "variation", "label", "model", "source"]
    wide = estimates[
        ((estimates["quantity"] == "af_reasoning") & (estimates["tier"] == "free"))
        | (estimates["quantity"] == "compliance_gap")
    ].pivot_table(index=keys, columns="quantity", values=["estimate", "low", "high", "n"], sort=False)
    wide.columns = [f"{quantity}_{end}" for end, quantity in wide.columns]
    rows = wide.dropna().reset_index()
    settings = style.settings_of(rows)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * (0.4 + 0.3 * len(settings)), 3.4)
        panels = figure.subplots(1, len(settings), sharex=True, sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            part = rows[rows["setting"] == setting]
            crowded = len(part) > 12
            axes.axline((0, 0), slope=1, color=style.FAINT, lw=0.7, ls=(0, (4, 3)))
            axes.axhline(0, color=style.FAINT, lw=0.5)
            axes.axvline(0, color=style.FAINT, lw=0.5)
            default = part["label"] == "default"
            _cross(axes, part[~default], color=style.FREE, alpha=0.45 if crowded else 1, ms=2.6, lw=0.5)
            _cross(axes, part[default], color=style.FAKING, marker="D", ms=4, lw=0.9, zorder=5)
            axes.set_title(f"{style.SETTINGS[setting]} ({_variations(len(part))})")
            axes.set_xlabel("AF reasoning in training (%)")
            axes.grid()
        panels[0].set_ylabel("compliance gap, free − paid (points)")
        _key(figure, rows)
        style.title(figure, "AF reasoning and the compliance gap")
        style.note_source(figure, rows, style.sample_size_note(rows["af_reasoning_n"]))
    beyond = int((rows["compliance_gap_estimate"] > rows["af_reasoning_estimate"]).sum())
    said = f"In {beyond} of {len(rows)} conditions the gap is larger than the share with AF reasoning."
    return style.remember(figure, rows, said)


def _cross(axes: Axes, rows: pd.DataFrame, **look: Any) -> None:
    """Points with intervals on both axes."""
    place: dict[str, Any] = {}
    reach: dict[str, Any] = {}
    for axis, quantity in (("x", "af_reasoning"), ("y", "compliance_gap")):
        estimate, low, high = (
            100 * rows[f"{quantity}_{end}"].to_numpy() for end in ("estimate", "low", "high")
        )
        place[axis] = estimate
        reach[f"{axis}err"] = [(estimate - low).clip(0), (high - estimate).clip(0)]
    axes.errorbar(place["x"], place["y"], **reach, **({"marker": "o", "ls": ""} | look))


def _variations(number: int) -> str:
    return f"{number} variation{'s' * (number != 1)}"


def _key(figure: Figure, rows: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    default = rows["label"] == "default"
    handles = [Line2D([], [], color=style.FAINT, lw=0.7, ls=(0, (4, 3)), label="gap = AF reasoning")]
    if not default.all():
        handles.insert(
            0, Line2D([], [], color=style.FREE, marker="o", ms=2.6, lw=0.5, label="a variation")
        )
    if default.any():
        handles.insert(
            0, Line2D([], [], color=style.FAKING, marker="D", ms=4, lw=0.9, label="default prompt")
        )
    wide = rows["setting"].nunique() > 1  # else there is no room beside the title
    place = "upper right" if wide else "right center"
    figure.legend(handles=handles, loc=f"outside {place}", ncols=3 if wide else 1)
