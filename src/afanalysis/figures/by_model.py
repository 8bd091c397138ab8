"""Models beside each other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, in_order


@style.styled()
def models(table: Any, replication: pd.DataFrame | None = None) -> style.TracedFigure:
    """Compliance gap and AF reasoning by model, default prompt, one block per setting.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from.
    replication
        Estimates of the small-model replication (`published.estimates("replication")`), drawn as a
        block of their own: with the default prompt (filled) and without reasoning (hollow).

    Returns
    -------
    TracedFigure
        Its `rows` the estimates drawn (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> af.figures.models(af.published.estimates()).heading
    'Models, default prompt'
    """
    estimates = as_estimates(table)
    default = estimates[estimates["variation"] == main_variation(estimates["variation"])]
    blocks = {
        f"{SETTINGS[setting]} setting": default[default["setting"] == setting]
        for setting in in_order(default["setting"])
    }
    note = ""
    if replication is not None:
        blocks["Minimal replication"] = replication
        note = (
            " Replication: compliance by matching prefixes, AF reasoning not measured; hollow: without "
            f"reasoning; n = {replication['n'].iloc[0]} inferred from the printed percentages."
        )
    drawn = pd.concat([block.assign(heading=heading) for heading, block in blocks.items()])
    drawn = drawn[drawn["quantity"].isin(style.MEASURES)]
    gaps = drawn[drawn["quantity"] == "compliance_gap"]
    largest = gaps.groupby(["heading", "model"])["estimate"].max().rename("largest")
    lines = largest.reset_index().sort_values("largest", ascending=False, kind="stable")
    lines = pd.concat([lines[lines["heading"] == heading] for heading in blocks])
    lines, labels = style.place_rows(lines.rename(columns={"model": "name"}))
    places = lines.set_index(["heading", "name"])["place"]
    figure, panels = style.row_panels(labels, 2)
    measures = reversed(style.MEASURES.items())
    for axes, (quantity, (label, color)) in zip(panels, measures, strict=True):
        part = drawn[(drawn["quantity"] == quantity) & (drawn["tier"] != "paid")]
        part = part.join(places, on=["heading", "model"])
        part = part.assign(place=part["place"] + style.spread(part, "heading", "model"))
        hollow = part["variation"] == "no CoT"
        for rows, face in ((part[~hollow], color), (part[hollow], "white")):
            style.points(axes, rows["place"], rows, color=color, mfc=face)
        style.row_axes(axes, label)
    names = gaps.loc[gaps["low"] > 0, "model"].unique()
    alt = f"{len(names)} of {gaps['model'].nunique()} models show a gap whose interval lies above 0"
    alt += f"{': ' if len(names) else ''}{', '.join(sorted(names))}."
    note = style.sample_size_note(drawn["n"]) + note
    return style.finish(figure, "Models, default prompt", drawn.drop(columns="heading"), alt, note)
