"""What the judge's error does: raw beside corrected, and how wrong it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afanalysis.figures import style

if TYPE_CHECKING:
    import pandas as pd

_PANELS = {
    "free": ("compliance, free tier (%)", style.FREE),
    "paid": ("compliance, paid tier (%)", style.PAID),
    "both": ("gap, free − paid (points)", style.GAP),
}


def raw_and_corrected(table: pd.DataFrame) -> style.TracedFigure:
    """Compliance and the gap as judged (hollow) and corrected for the judge's error (filled).

    Parameters
    ----------
    table
        What `afanalysis.corrected` gives.

    Returns
    -------
    TracedFigure
        A row a condition; its `rows` the table.
    """
    keys = [name for name in ("model", "setting", "variation") if name in table]
    conditions = table[keys].drop_duplicates()
    several = [name for name in keys if name != "setting" and conditions[name].nunique() > 1]
    lines: list[tuple[str, pd.DataFrame | None]] = []
    for setting in style.settings_of(conditions):
        lines.append((f"{style.SETTINGS[setting]} setting", None))
        for _, condition in conditions[conditions["setting"] == setting].iterrows():
            name = ", ".join(condition[key] for key in several) or condition["model"]
            lines.append((name, table[(table[keys] == condition).all(axis=1)]))
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.2 + 0.22 * len(lines))
        panels = figure.subplots(1, len(_PANELS), sharey=True)
        for axes, (tier, (label, colour)) in zip(panels, _PANELS.items(), strict=True):
            for place, (_, block) in enumerate(lines):
                if block is None:
                    continue
                row = block[block["tier"] == tier]
                raw = row.assign(estimate=row["raw"], low=row["raw_low"], high=row["raw_high"])
                style.points(axes, None, [place - 0.17], along="x", rows=raw, color=colour, mfc="white")
                fixed = row.assign(estimate=row["corrected"]).dropna(subset="estimate")
                if len(fixed):
                    style.points(axes, None, [place + 0.17], along="x", rows=fixed, color=colour)
            axes.axvline(0, color=style.FAINT, lw=0.6, zorder=0)
            axes.set_xlabel(label)
        style.name_rows(panels[0], [(name, block is None) for name, block in lines])
        for axes in panels[1:]:
            style.row_axes(axes)
        style.title(figure, "As judged (hollow) and corrected for the judge's error (filled)")
        per_setting = table.groupby("setting")["labels"].max().items()
        said = ", ".join(f"{style.SETTINGS[name].lower()} {int(n)}" for name, n in per_setting)
        style.note_source(figure, table, f"Hand labels: {said}.")
    return style.remember(figure, table)
