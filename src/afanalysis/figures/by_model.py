"""Models beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style

_PANELS = (
    ("compliance_gap", "compliance gap, free − paid (points)", style.GAP),
    ("af_reasoning", "AF reasoning in training (%)", style.FAKING),
)


def models(table: Any, replication: pd.DataFrame | None = None) -> style.TracedFigure:
    """Compliance gap and AF reasoning by model, default prompt, one block a setting.

    Parameters
    ----------
    table
        Rollouts or estimates.
    replication
        Estimates of the small-model replication (`published.estimates("replication")`), drawn as a
        block of their own: with the default prompt (filled) and without reasoning (hollow).

    Returns
    -------
    TracedFigure
        Its `rows` the estimates drawn.
    """
    import pandas as pd

    estimates = as_estimates(table)
    default = estimates[estimates["variation"] == main_variation(estimates["variation"])]
    blocks = [
        (f"{style.SETTINGS[setting]} setting", default[default["setting"] == setting])
        for setting in style.settings_of(default)
    ]
    if replication is not None:
        blocks.append(("Minimal replication", replication))
    lines: list[tuple[str, pd.DataFrame | None]] = []
    for title, block in blocks:
        lines.append((title, None))
        gaps = block[block["quantity"] == "compliance_gap"]
        best = gaps.groupby("model")["estimate"].max().sort_values(ascending=False)
        lines += [(str(model), block[block["model"] == model]) for model in best.index]
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.1 + 0.165 * len(lines))
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (quantity, label, colour) in zip(panels, _PANELS, strict=True):
            axes.axvline(0, color=style.FAINT, lw=0.6)
            for place, (_, block) in enumerate(lines):
                if block is None:
                    continue
                part = block[(block["quantity"] == quantity) & (block["tier"] != "paid")]
                for offset, (_, row) in zip(_offsets(len(part)), part.iterrows(), strict=True):
                    fill = "white" if row["variation"] == "no CoT" else colour
                    style.points(
                        axes,
                        None,
                        [place + offset],
                        along="x",
                        rows=row.to_frame().T,
                        color=colour,
                        mfc=fill,
                    )
            axes.set_xlabel(label)
            style.row_axes(axes)
        style.name_rows(panels[0], [(name, block is None) for name, block in lines])
        style.title(figure, "Models, default prompt")
        rows = pd.concat([block for _, block in blocks], ignore_index=True)
        drawn = rows[rows["quantity"].isin([quantity for quantity, _, _ in _PANELS])]
        extra = style.sample_size_note(drawn["n"])
        if replication is not None:
            n = int(replication["n"].iloc[0])
            extra += (
                " Replication: compliance by matching prefixes, AF reasoning not measured; hollow: "
                f"without reasoning; n = {n} inferred from the printed percentages."
            )
        style.note_source(figure, drawn, extra)
    gaps = drawn[drawn["quantity"] == "compliance_gap"]
    names = gaps.loc[gaps["low"] > 0, "model"].unique()
    said = f"{len(names)} of {gaps['model'].nunique()} models show a gap whose interval lies above 0"
    return style.remember(
        figure, drawn, f"{said}{': ' if len(names) else ''}{', '.join(sorted(names))}."
    )


def _offsets(count: int) -> list[float]:
    return [0.0] if count == 1 else [-0.17 + 0.34 * at / (count - 1) for at in range(count)]
