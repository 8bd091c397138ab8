"""What the choice of method and of design does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.figures import style
from afanalysis.stats.planning import Design
from afanalysis.text.wording import percent

_CHOSEN = "adjusted-t"

_GAPS = ((0.02, style.PAID), (0.05, style.GAP), (0.10, style.FREE))

_SAMPLES = ((1, ":"), (5, "-"))


def interval_methods(table: pd.DataFrame) -> style.TracedFigure:
    """The same gap with the interval of each method.

    Parameters
    ----------
    table
        Rows of `afanalysis.compliance_gap` by setting, one a method, with `source` and `level`.

    Returns
    -------
    TracedFigure
        One panel a setting; its `rows` the table.
    """
    settings = style.settings_of(table)
    methods = list(dict.fromkeys(table["method"]))
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.2 + 0.17 * len(methods))
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for axes, setting in zip(panels, settings, strict=True):
            part = table[table["setting"] == setting].set_index("method").loc[methods]
            part = part.rename(columns={"gap": "estimate"})
            for at, method in enumerate(methods):
                colour = style.GAP if method == _CHOSEN else style.FAINT
                style.points(axes, None, [at], along="x", rows=part.loc[[method]], color=colour)
            axes.axvline(0, color=style.FAINT, lw=0.6)
            axes.set_title(f"{style.SETTINGS[setting]} setting")
            axes.set_xlabel("compliance gap, free − paid (points)")
            style.row_axes(axes)
        style.name_rows(panels[0], [(method, method == _CHOSEN) for method in methods])
        style.title(figure, "The same gap by each method of interval")
        style.note_source(
            figure,
            table,
            f"Bold: the default, chosen by its coverage. n = {int(table['n'].min())} a tier.",
        )
    width = table.assign(width=table["high"] - table["low"]).groupby("method")["width"].mean()
    ratio = width["paper"] / width[_CHOSEN]
    said = (
        f"The formula that takes answers for independent and unpaired gives intervals {ratio:.2f} times "
        "as wide as the default, on average over the settings."
    )
    return style.remember(figure, table, said)


def power_curves(
    paid: float, icc: float, source: str, *, power: float = 0.8, level: float = 0.95
) -> style.TracedFigure:
    """The chance to find a gap, by number of prompts.

    Parameters
    ----------
    paid, icc
        Compliance in the paid tier and resemblance of answers to a prompt that are assumed.
    source
        Where these two are from.
    power
        Where the line is drawn that one plans for.
    level
        Confidence level in (0, 1) of the test.

    Returns
    -------
    TracedFigure
        Its `rows`: `gap`, `samples`, `prompts`, `power`.
    """
    import numpy as np
    import pandas as pd

    sizes = np.unique(np.round(np.geomspace(10, 2000, 90)).astype(int))
    rows = pd.DataFrame(
        [
            {
                "gap": gap,
                "samples": samples,
                "prompts": int(size),
                "power": Design(paid, gap, icc).power(int(size), samples, level),
            }
            for gap, _ in _GAPS
            for samples, _ in _SAMPLES
            for size in sizes
        ]
    ).assign(source=source, level=level)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * 0.75, 2.9)
        axes = figure.subplots()
        axes.axhline(100 * power, color=style.FAINT, lw=0.6, ls=(0, (4, 3)))
        for gap, colour in _GAPS:
            for samples, dash in _SAMPLES:
                part = rows[(rows["gap"] == gap) & (rows["samples"] == samples)]
                each = "1 sample" if samples == 1 else f"{samples} samples"
                label = f"gap {percent(gap, 0)} points, {each} a prompt"
                axes.plot(part["prompts"], 100 * part["power"], color=colour, ls=dash, label=label)
        axes.set_xscale("log")
        axes.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
        axes.set_xlabel("prompts, each asked in both tiers")
        axes.set_ylabel("chance to find the gap (%)")
        axes.set_ylim(0, 101)
        axes.grid()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
        style.title(figure, "How many prompts does the next study need?")
        style.note_plan(
            figure,
            f"Two-sided test at {100 * (1 - level):g} %. Assumed: compliance in the paid "
            f"tier {percent(paid)} %, ICC {icc:.2f} ({source}).",
        )
    needed = {gap: Design(paid, gap, icc).prompts_for_power(5, power, level) for gap, _ in _GAPS}
    said = ", ".join(f"{percent(gap, 0)} points: {prompts}" for gap, prompts in needed.items())
    return style.remember(
        figure,
        rows,
        f"Prompts needed with 5 samples each for a power of {100 * power:.0f} %, by gap: {said}.",
    )
