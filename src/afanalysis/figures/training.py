"""Before and after reinforcement learning."""

from __future__ import annotations

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import percent

_PANELS = (
    ("af_reasoning", "free", "AF reasoning in training (%)"),
    ("refused", "free", "non-compliance, free tier (%)"),
    ("refused", "paid", "non-compliance, paid tier (%)"),
    ("compliance_gap", "both", "compliance gap (points)"),
)

_LOOKS = ((style.FREE, "o", "-"), (style.FAKING, "s", "--"), (style.GAP, "^", ":"))


@style.styled()
def before_and_after_training(table: pd.DataFrame) -> style.TracedFigure:
    """Slopes from before to after reinforcement learning towards compliance.

    Parameters
    ----------
    table
        Estimates of up to three variations with `phase` being `pre-RL` or `post-RL`, such as
        `published.estimates("rl")`.

    Returns
    -------
    TracedFigure
        One panel per quantity; its `rows` the estimates with a phase (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> figure = af.figures.before_and_after_training(af.published.estimates("rl"))
    >>> figure.heading
    'Training to comply: before and after reinforcement learning'
    """
    rows = table[table["phase"] != ""]
    names = list(dict.fromkeys(rows["variation"]))
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.6)
    panels = figure.subplots(1, len(_PANELS))
    estimates = rows.set_index(["quantity", "tier", "variation", "phase"]).sort_index()
    for axes, (quantity, tier, label) in zip(panels, _PANELS, strict=True):
        for index, (name, (color, marker, dash)) in enumerate(zip(names, _LOOKS, strict=False)):
            slope = estimates.loc[(quantity, tier, name)].loc[["pre-RL", "post-RL"]]
            offset = 0.05 * (index - 1)
            look = {"color": color, "marker": marker, "ls": dash, "label": name}
            style.points(axes, [offset, 1 + offset], slope, along="y", **look)
        axes.set_xticks([0, 1], ["before", "after"])
        axes.set(xlim=(-0.3, 1.3), ylim=(-3, 50 if quantity == "compliance_gap" else 103))
        axes.set_title(label, fontsize=7, fontweight="normal")
        axes.grid(axis="y")
    heading = "Training to comply: before and after reinforcement learning"
    legend = style.legend_of(figure, panels[0], "upper left", ncols=3, alignment="left", title=heading)
    legend.get_title().set(fontsize=9, fontweight="bold")
    faking = estimates.loc[("af_reasoning", "free", names[0]), "estimate"]
    alt = (
        f"With the {names[0]}, AF reasoning rises from {percent(faking['pre-RL'])} % to "
        f"{percent(faking['post-RL'])} % by reinforcement learning."
    )
    note = f"Helpful-only setting, {style.sample_size_note(rows['n'])}"
    return style.finish(figure, heading, rows, alt, note, titled=False)
