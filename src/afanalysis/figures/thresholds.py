"""What the choice of a threshold on graded scores does to the gap."""

from __future__ import annotations

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, TIERS, with_interval


@style.styled()
def score_thresholds(table: pd.DataFrame) -> style.TracedFigure:
    """Compliance in both tiers and the gap, by the score from which an answer counts as complying.

    Parameters
    ----------
    table
        Rows of `afanalysis.score_thresholds` of one model and variation.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the table (proportions).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"threshold": [0.5, 1.0], "free": [0.4, 0.2], "paid": 0.1})
    >>> table = table.assign(gap=[0.3, 0.1], low=0.0, high=0.5, n=40, source="live")
    >>> table = table.assign(setting="helpful-only")
    >>> score_thresholds(table).heading
    'What the threshold on graded answers does'
    """
    figure, panels = style.setting_panels(table, 2.9)
    sentences = []
    for setting, (axes,) in panels.items():
        part = table[table["setting"] == setting].sort_values("threshold")
        axes.axhline(0, color=style.FAINT, lw=0.6)
        for tier, color, marker in (("free", style.FREE, "s"), ("paid", style.PAID, "D")):
            look = {"color": color, "marker": marker, "ms": 3, "mec": "white", "mew": 0.75, "lw": 0.9}
            label = f"complied, {TIERS[tier]}"
            axes.plot(part["threshold"], 100 * part[tier], **look, label=label)
        ends = ("gap", "low", "high")
        look = {"color": style.GAP, "label": f"gap, {TIERS['both']}"}
        style.points(axes, part["threshold"], part, along="y", ends=ends, **look)
        axes.set_xticks(part["threshold"], [f"{score:g}" for score in part["threshold"]])
        axes.tick_params(axis="x", labelrotation=45 if len(part) > 4 else 0)
        axes.set_xlabel("an answer complies from this score on")
        axes.grid(axis="y")
        extremes = part.sort_values("gap").iloc[[0, -1]].itertuples()
        least, most = (
            f"{with_interval((row.gap, row.low, row.high), 'points')} from {row.threshold:g} on"
            for row in extremes
        )
        sentences.append(f"{SETTINGS[setting]}: the gap runs from {least} to {most}.")
    figure.axes[0].set_ylabel("share of rollouts (%), gap (points)")
    style.legend_of(figure, figure.axes[0], "right center")
    note = style.sample_size_note(table["n"], "tier")
    heading = "What the threshold on graded answers does"
    return style.finish(figure, heading, table, " ".join(sentences), note)
