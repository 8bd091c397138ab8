"""What the model did, tier beside tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.text.wording import interval, percent


def compliance_by_tier(
    table: Any, variation: str | None = None, model: str | None = None
) -> style.TracedFigure:
    """Compliance with and without alignment-faking reasoning, free tier beside paid tier.

    Parameters
    ----------
    table
        Rollouts or estimates.
    variation
        Which prompt variation is drawn; by default the main one.
    model
        Which model; by default the first that there is (claude-3-opus for the paper).

    Returns
    -------
    TracedFigure
        One panel a setting, its `rows` the estimates drawn.
    """
    estimates = as_estimates(table)
    variation = variation or main_variation(estimates["variation"])
    estimates = estimates[estimates["variation"] == variation]
    model = style.model_of(estimates, model)
    rows = estimates[estimates["model"] == model]
    settings = style.settings_of(rows)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * (0.36 + 0.32 * len(settings)), 3.1)
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            _panel(axes, rows[rows["setting"] == setting], style.SETTINGS[setting])
        panels[0].set_ylabel("share of rollouts (%)")
        _legend(figure, rows)
        style.title(figure, f"Behaviour of {model} by tier")
        style.note_source(figure, rows, _sizes(rows))
    return style.remember(figure, rows, " ".join(_said(rows, setting) for setting in settings))


def _said(rows: pd.DataFrame, setting: str) -> str:
    part = rows[rows["setting"] == setting]
    free, paid, faking, gap = (
        _one(part, tier, quantity)
        for tier, quantity in (
            ("free", "complied"),
            ("paid", "complied"),
            ("free", "af_reasoning"),
            ("both", "compliance_gap"),
        )
    )
    said = f"{style.SETTINGS[setting]}: complied with {percent(free['estimate'].iloc[0])} % of requests "
    said += f"in the free tier and {percent(paid['estimate'].iloc[0])} % in the paid tier"
    if len(gap):
        ends = interval(gap["low"].iloc[0], gap["high"].iloc[0])
        said += f", a gap of {percent(gap['estimate'].iloc[0])} points {ends}"
    if len(faking):
        said += f"; {percent(faking['estimate'].iloc[0])} % with alignment-faking reasoning"
    return said + "."


def _panel(axes: Axes, rows: pd.DataFrame, setting: str) -> None:
    places = dict(zip(style.TIERS, (0.0, 1.3), strict=True))
    for tier, at in places.items():
        complied = _one(rows, tier, "complied")
        if complied.empty:
            continue
        faking = _one(rows, tier, "af_reasoning")
        total = 100 * complied["estimate"].iloc[0]
        split = 0.0 if faking.empty else 100 * faking["estimate"].iloc[0]
        bar: dict[str, Any] = {"width": 0.44, "edgecolor": "white", "linewidth": 0.6}
        axes.bar(at, split, color=style.FAKING, hatch=style.HATCH, **bar)
        plain = style.UNSPLIT if faking.empty else style.COMPLIANT
        axes.bar(at, total - split, bottom=split, color=plain, **bar)
        axes.bar(at, 100 - total, bottom=total, color=style.NONCOMPLIANT, **bar)
        style.points(axes, [at + 0.1], None, along="y", rows=complied, ms=2, capsize=1.5)
        label: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 6.5, "color": style.INK}
        apart = max(total, split + 7) if split else total
        axes.text(at + 0.26, max(apart, 3), f"{total:.1f} complied", **label)
        if split:
            style.points(axes, [at - 0.1], None, along="y", rows=faking, ms=2, capsize=1.5)
            axes.text(at + 0.26, max(min(split, apart - 7), 3), f"{split:.1f} AF", **label)
        label["ha"] = "center"
        axes.text(at, (100 + total) / 2, f"{100 - total:.1f}", **label)
    axes.set_title(f"{setting} setting", pad=14)
    gap = _one(rows, "both", "compliance_gap")
    if not gap.empty:
        estimate, low, high = (percent(gap[end].iloc[0]) for end in ("estimate", "low", "high"))
        axes.annotate(
            f"compliance gap {estimate} points [{low}, {high}]",
            (0, 1),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=6.5,
            color=style.INK,
        )
    axes.set_xticks(list(places.values()), list(style.TIERS.values()))
    axes.set_xlim(-0.45, 2.3)
    axes.set_ylim(0, 100)


def _one(rows: pd.DataFrame, tier: str, quantity: str) -> pd.DataFrame:
    return rows[(rows["tier"] == tier) & (rows["quantity"] == quantity)]


def _legend(figure: Figure, rows: pd.DataFrame) -> None:
    from matplotlib.patches import Patch

    faking = rows[rows["quantity"] == "af_reasoning"]
    handles = [
        Patch(facecolor=style.NONCOMPLIANT, label="did not comply"),
        Patch(facecolor=style.COMPLIANT, label="complied, no AF reasoning"),
        Patch(
            facecolor=style.FAKING,
            hatch=style.HATCH,
            edgecolor="white",
            label="complied with\nAF reasoning",
        ),
    ]
    if set(faking["tier"]) != {"free", "paid"}:
        unsplit = Patch(facecolor=style.UNSPLIT, label="complied, reasoning\nnot published")
        handles.insert(1, unsplit)
    figure.legend(handles=handles, loc="outside right center", handleheight=1.2)


def _sizes(rows: pd.DataFrame) -> str:
    complied = rows[rows["quantity"] == "complied"]
    parts = []
    for setting, part in complied.groupby("setting", sort=False):
        each = ", ".join(f"{row['tier']} {row['n']:.0f}" for _, row in part.iterrows())
        parts.append(f"{style.SETTINGS[setting]}: n = {each}.")
    return " ".join(parts)
