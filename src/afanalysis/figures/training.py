"""Before and after reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def before_and_after_training(table: pd.DataFrame) -> style.TracedFigure:
    """Slopes from before to after reinforcement learning towards compliance.

    Parameters
    ----------
    table
        Estimates with `phase` being `pre-RL` or `post-RL`: `published.estimates("rl")`.
    """
    rows = table[table["phase"] != ""]
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 2.6)
        panels = figure.subplots(1, len(_PANELS))
        for axes, (quantity, tier, label) in zip(panels, _PANELS, strict=True):
            part = rows[(rows["quantity"] == quantity) & (rows["tier"] == tier)]
            names = list(dict.fromkeys(part["variation"]))
            for offset, name, (colour, marker, dash) in zip(
                (-0.05, 0.0, 0.05), names, _LOOKS, strict=False
            ):
                both = part[part["variation"] == name].set_index("phase")
                axes.plot(
                    [offset, 1 + offset],
                    100 * both.loc[["pre-RL", "post-RL"], "estimate"],
                    color=colour,
                    ls=dash,
                    lw=0.9,
                    label=name,
                )
                style.points(
                    axes,
                    [offset, 1 + offset],
                    None,
                    along="y",
                    rows=both.loc[["pre-RL", "post-RL"]],
                    color=colour,
                    marker=marker,
                )
            axes.set_xticks([0, 1], ["before", "after"])
            axes.set_xlim(-0.3, 1.3)
            axes.set_ylim(-3, 103 if quantity != "compliance_gap" else 50)
            axes.set_title(label, fontsize=7, fontweight="normal")
            axes.grid(axis="y")
        handles, names = panels[0].get_legend_handles_labels()
        legend = figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=3,
            alignment="left",
            title="Training to comply: before and after reinforcement learning",
        )
        legend.get_title().set(fontsize=9, fontweight="bold")
        extra = f"Helpful-only setting, {style.sample_size_note(rows['n'])}"
        style.note_source(figure, rows, extra)
    faking = rows[
        (rows["quantity"] == "af_reasoning") & (rows["variation"] == rows["variation"].iloc[0])
    ]
    before, after = (
        faking.loc[faking["phase"] == phase, "estimate"].iloc[0] for phase in ("pre-RL", "post-RL")
    )
    said = f"With the {rows['variation'].iloc[0]}, AF reasoning rises from {percent(before)} % to "
    return style.remember(figure, rows, said + f"{percent(after)} % by reinforcement learning.")
