"""How far scratchpads in training go, from noticing the conflict to faking alignment."""

from __future__ import annotations

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, percent, with_interval

_STAGES = {
    "conflict": ("notices the conflict", style.COMPLIANT),
    "considers": ("considers faking", style.COMPLIANT),
    "partial": ("fakes, with or without\ncompromise", style.FAKING),
    "full": ("fakes fully", style.FAKING),
}


@style.styled()
def scratchpad_stages(table: pd.DataFrame) -> style.TracedFigure:
    """The share of free-tier rollouts that reach each stage, split by what the output then did.

    Parameters
    ----------
    table
        What `afanalysis.analysis.scratchpads.stages` gives, of one model and variation.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the table (proportions).

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(behaviour, stage) for behaviour in ("any", "complied") for stage in _STAGES]
    >>> table = pd.DataFrame(rows, columns=["behaviour", "stage"]).assign(setting="helpful-only")
    >>> table = table.assign(estimate=0.2, low=0.1, high=0.3, n=40, model="m", source="live")
    >>> scratchpad_stages(table).heading
    'What scratchpads in training contain, m'
    """
    figure, panels = style.setting_panels(table, 2.4, sharex=True)
    sentences = []
    for setting, (axes,) in panels.items():
        part = table[table["setting"] == setting].set_index(["behaviour", "stage"])
        for place, (stage, (_, color)) in enumerate(_STAGES.items()):
            whole, complied = (part.loc[(behaviour, stage)] for behaviour in ("any", "complied"))
            shares = 100 * complied["estimate"], 100 * whole["estimate"]
            axes.barh(place, shares[0], height=0.6, **style.fill(color))
            rest = style.fill(style.NONCOMPLIANT)
            axes.barh(place, shares[1] - shares[0], left=shares[0], height=0.6, **rest)
            where = {"textcoords": "offset points", "va": "center", "fontsize": 6.5}
            axes.annotate(percent(whole["estimate"]), (100 * whole["high"], place), (4, 0), **where)
        reached = part.loc["any"].loc[list(_STAGES)]
        style.points(axes, range(len(_STAGES)), reached, ms=2, capsize=1.5)
        style.row_axes(axes, "share of rollouts in training (%)")
        axes.set(xlim=(0, 112), xticks=range(0, 101, 20))
        last = with_interval(reached.loc["full", ["estimate", "low", "high"]], "%")
        sentences.append(
            f"{SETTINGS[setting]}: {percent(reached.loc['conflict', 'estimate'])} % of scratchpads in "
            f"training notice the conflict, {last} fake fully."
        )
    labels = [style.Row(place, name) for place, (name, _) in enumerate(_STAGES.values())]
    style.name_rows(figure.axes, labels)
    fills = {
        style.COMPLIANT: "then complied",
        style.FAKING: "then complied,\nfaking",
        style.NONCOMPLIANT: "then did not\ncomply",
    }
    style.legend_of_fills(figure, fills)
    heading = f"What scratchpads in training contain, {table['model'].iloc[0]}"
    note = style.sample_size_note(table["n"])
    return style.finish(figure, heading, table, " ".join(sentences), note)
