"""Prompt by prompt: what the same request got in the paid and in the free tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
from afanalysis.analysis.conditions import main_variation, paired_counts, sources
from afanalysis.analysis.quantities import estimates
from afanalysis.figures import style
from afanalysis.stats.meta_analysis import heterogeneity
from afanalysis.table.counting import counts
from afanalysis.table.source import opened
from afanalysis.text.wording import interval, percent


def paired_prompts(
    data: Any, variation: str | None = None, model: str | None = None, *, level: float = 0.95
) -> style.TracedFigure:
    """Each prompt a line from its compliance in the paid tier to that in the free tier.

    Prompts on the same line are drawn as one, as wide as they are many.

    Parameters
    ----------
    data
        Rollouts.
    variation, model
        Which condition; by default the main variation and the first model by name.
    level
        Confidence level in (0, 1).

    Returns
    -------
    TracedFigure
        One panel a setting; its `rows` one a line: `setting`, `paid`, `free` (proportions), `prompts`.
    """
    import pandas as pd

    with opened(data) as source:
        by = ["setting", "model", "variation"]
        counted = counts(source, "complied", [*by, "tier"])
        means = estimates(source, level=level)
        came_from = sources(source)
    model = model or sorted(counted["model"].unique())[0]
    variation = variation or main_variation(counted["variation"])
    wanted = (counted["variation"] == variation) & (counted["model"] == model)
    parts = []
    for condition, pairs in paired_counts(counted[wanted], by):
        both = pairs[(pairs[:, 0] > 0) & (pairs[:, 2] > 0)]
        lines = pd.DataFrame({"paid": both[:, 3] / both[:, 2], "free": both[:, 1] / both[:, 0]})
        lines = lines.round(9).value_counts().rename("prompts").reset_index()
        parts.append(lines.sort_values(["paid", "free"]).assign(setting=condition["setting"]))
    rows = pd.concat(parts, ignore_index=True).assign(source=came_from, level=level)
    means = means[(means["variation"] == variation) & (means["model"] == model)]
    settings = style.settings_of(rows)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * (0.44 + 0.28 * len(settings)), 3.2)
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            _panel(axes, rows[rows["setting"] == setting], means[means["setting"] == setting])
            axes.set_title(style.SETTINGS[setting])
        panels[0].set_ylabel("compliance with a prompt (%)")
        _legend(figure)
        style.title(figure, f"The same prompt in both tiers, {model}")
        n = means.loc[means["tier"] != "both", "n"]
        style.note_source(figure, rows, style.sample_size_note(n))
    said = [
        f"{style.SETTINGS[setting]}: {_said(rows[rows['setting'] == setting])}" for setting in settings
    ]
    return style.remember(figure, rows, " ".join(said))


def _panel(axes: Axes, lines: pd.DataFrame, means: pd.DataFrame) -> None:
    for _, line in lines.sort_values("prompts", ascending=False).iterrows():
        axes.plot(
            [0, 1],
            [100 * line["paid"], 100 * line["free"]],
            color=_colour(line["free"] - line["paid"]),
            lw=min(0.6 + 0.35 * (line["prompts"] - 1), 7),
            alpha=0.6,
            solid_capstyle="butt",
        )
    for tier, at, colour in (("paid", -0.16, style.PAID), ("free", 1.16, style.FREE)):
        mean = means[(means["tier"] == tier) & (means["quantity"] == "complied")]
        style.points(axes, [at], None, along="y", rows=mean, color=colour, marker="D", ms=3.5, zorder=4)
    axes.set_xticks([0, 1], [style.TIERS["paid"], style.TIERS["free"]])
    axes.set_xlim(-0.35, 1.35)
    axes.set_ylim(-4, 104)
    axes.grid(axis="y")


def _colour(change: float) -> str:
    if change > 0:
        return style.GAP
    return style.FAKING if change < 0 else style.FAINT


def _legend(figure: style.TracedFigure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_colour(change), lw=1.6, label=label)
        for change, label in (
            (1, "complies more often\nin the free tier"),
            (-1, "complies less often"),
            (0, "equally often"),
        )
    ]
    handles.append(Line2D([], [], color=style.INK, marker="D", ms=3.5, lw=0.9, label="mean of all"))
    figure.legend(
        handles=handles,
        loc="outside right center",
        title="Lines: prompts,\nwider where several\ncoincide",
        alignment="left",
    )


def _said(lines: pd.DataFrame) -> str:
    change = lines["free"] - lines["paid"]
    more, less, alike = (
        int(lines.loc[which, "prompts"].sum()) for which in (change > 0, change < 0, change == 0)
    )
    return (
        f"of {more + less + alike} prompts {more} were complied with more often in the free tier, "
        f"{less} less often and {alike} equally often."
    )


def gap_forest(table: pd.DataFrame, *, level: float = 0.95) -> style.TracedFigure:
    """The compliance gap of every condition, with the mean over conditions and how far they differ.

    Parameters
    ----------
    table
        Estimates. Of several models the default prompt is drawn, of one model all its variations.
    level
        Confidence level in (0, 1) of the mean and of the predicted range.

    Returns
    -------
    TracedFigure
        One panel a setting that has at least two conditions; its `rows` the gaps drawn and, with the
        labels `mean` and `predicted`, the random-effects mean and the range of one more condition.
    """
    import pandas as pd
    from scipy.special import ndtri

    gaps = table[table["quantity"] == "compliance_gap"]
    over = "model" if gaps["model"].nunique() > 1 else "variation"
    if over == "model":
        gaps = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    counts = gaps["setting"].value_counts()
    settings = [name for name in style.settings_of(gaps) if counts[name] > 1]
    blocks, said = [], []
    for setting in settings:
        part = gaps[gaps["setting"] == setting].sort_values("estimate", ascending=False)
        part = part.assign(label=part[over])
        # a standard error that has width where the interval has: from the interval itself
        error = (part["high"] - part["low"]) / (2 * float(ndtri((1 + level) / 2)))
        found = heterogeneity(part["estimate"], error, level)
        summed = pd.DataFrame(
            [
                {"label": "mean", "estimate": found.pooled, "low": found.low, "high": found.high},
                {
                    "label": "predicted",
                    "estimate": found.pooled,
                    "low": found.predicted_low,
                    "high": found.predicted_high,
                },
            ]
        ).assign(setting=setting, tau=found.tau, i2=found.i2, source=part["source"].iloc[0])
        blocks.append((setting, part, summed))
        said.append(
            f"{style.SETTINGS[setting]}: mean gap {percent(found.pooled)} points "
            f"{interval(found.low, found.high)} over {found.k} {over}s; {100 * found.i2:.0f} % of their "
            f"variance is more than chance."
        )
    rows = pd.concat([frame for _, *frames in blocks for frame in frames], ignore_index=True)
    longest = max(len(part) for _, part, _ in blocks)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.45 + 0.19 * (longest + 2))
        panels = figure.subplots(1, len(blocks), squeeze=False)[0]
        for axes, (setting, part, summed) in zip(panels, blocks, strict=True):
            places = list(range(len(part)))
            axes.axvline(0, color=style.FAINT, lw=0.6)
            style.points(axes, None, places, along="x", rows=part, color=style.GAP)
            mean, predicted = summed.iloc[[0]], summed.iloc[[1]]
            at = len(part) + 0.3
            style.points(axes, None, [at], along="x", rows=mean, color=style.INK, marker="D", ms=4)
            style.points(
                axes, None, [at + 1], along="x", rows=predicted, color=style.FAINT, marker="", lw=2.2
            )
            style.row_axes(axes)
            names = [*part["label"], "mean of these", "one more would lie in"]
            axes.set_yticks([*places, at, at + 1], names)
            axes.set_ylim(at + 1.6, -0.6)
            axes.set_title(
                f"{style.SETTINGS[setting]}: I² = {100 * summed['i2'].iloc[0]:.0f} %, "
                f"τ = {percent(summed['tau'].iloc[0])} points",
                fontsize=7,
            )
            axes.set_xlabel("compliance gap, free − paid (points)")
        style.title(figure, f"Do {over}s differ by more than chance?")
        style.note_source(
            figure,
            pd.concat([part for _, part, _ in blocks]),
            f"Random-effects mean (Paule–Mandel, Hartung–Knapp). {style.sample_size_note(gaps['n'])}",
        )
    return style.remember(figure, rows, " ".join(said))
