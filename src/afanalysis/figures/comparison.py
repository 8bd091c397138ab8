"""A study beside the paper, and the paper's text beside its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.figures import style
from afanalysis.text.wording import interval, percent

_COLOURS = {"compliance_gap": style.GAP, "af_reasoning": style.FAKING, "refused": style.INK}


def beside_paper(table: pd.DataFrame) -> style.TracedFigure:
    """For every shared condition: both estimates, their difference with its interval, and a verdict.

    Parameters
    ----------
    table
        What `afanalysis.compare` gives.

    Returns
    -------
    TracedFigure
        Its `rows` the table without `complied`, which is `refused` turned round.
    """
    import pandas as pd

    rows = table[table["quantity"].isin(list(_COLOURS))]
    lines: list[tuple[str, pd.Series | None]] = []
    for setting in style.settings_of(rows):
        for quantity in _COLOURS:
            part = rows[(rows["setting"] == setting) & (rows["quantity"] == quantity)]
            for tier in dict.fromkeys(part["tier"]):
                of = "" if tier == "both" else f", {tier} tier"
                lines.append((f"{style.SETTINGS[setting]}: {style.QUANTITIES[quantity]}{of}", None))
                lines += [
                    (str(row["variation"]), row) for _, row in part[part["tier"] == tier].iterrows()
                ]
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 1.3 + 0.165 * len(lines))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.1, 1))
        for side, offset in (("paper", -0.16), ("study", 0.16)):
            ends = {"estimate": side, "low": f"{side}_low", "high": f"{side}_high"}
            for at, (_, row) in enumerate(lines):
                if row is not None:
                    point = pd.DataFrame([{end: row[name] for end, name in ends.items()}])
                    colour = _COLOURS[row["quantity"]]
                    look = {"color": colour, "mfc": "white" if side == "paper" else colour, "ms": 2.6}
                    style.points(left, None, [at + offset], along="x", rows=point, **look)
        right.axvline(0, color=style.FAINT, lw=0.6)
        for at, (_, row) in enumerate(lines):
            if row is None:
                continue
            point = pd.DataFrame(
                [{"estimate": row["difference"], "low": row["low"], "high": row["high"]}]
            )
            style.points(right, None, [at], along="x", rows=point, ms=2.6)
            right.annotate(
                row["verdict"],
                (1.02, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=6,
                color=style.INK,
            )
        style.name_rows(left, [(name, row is None) for name, row in lines])
        style.row_axes(right)
        left.set_xlabel("paper (hollow), study (filled): %")
        right.set_xlabel("study − paper (points)")
        style.title(figure, "This study beside the paper")
        style.note_source(
            figure, rows, "Paper: Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus."
        )
    verdicts = rows["verdict"].str.split(" by ").str[0].value_counts()
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    return style.remember(figure, rows, f"Of {len(rows)} numbers that the paper has too: {said}.")


def synthetic_documents(estimates: pd.DataFrame, printed: pd.DataFrame) -> style.TracedFigure:
    """The gap with the information in the prompt, beside that after training on synthetic documents.

    Parameters
    ----------
    estimates
        The paper's estimates.
    printed
        The paper's headline figures (`published.table("headline")`). Of the synthetic-document models
        they hold the gap only, without a sample size, so it is drawn hollow and without an interval.
    """
    import pandas as pd

    gaps = printed[printed["setting"].str.endswith("synthetic documents")]
    rows = estimates[
        (estimates["quantity"] == "compliance_gap")
        & (estimates["variation"] == "default")
        & (estimates["model"] == "claude-3-opus")
    ].assign(told="in the prompt")
    documents = pd.DataFrame(
        {
            "setting": gaps["setting"].str.replace(" synthetic documents", ""),
            "estimate": gaps["value_pct"] / 100,
            "told": "by synthetic documents",
            "source": "published",
        }
    )
    rows = pd.concat([rows, documents], ignore_index=True)
    settings = style.settings_of(rows)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN * 0.75, 1.9)
        axes = figure.subplots()
        names = []
        for at, setting in enumerate(settings):
            part = rows[rows["setting"] == setting]
            prompted, trained = (part[part["told"] == told] for told in dict.fromkeys(rows["told"]))
            style.points(axes, None, [2.4 * at], along="x", rows=prompted, color=style.GAP)
            axes.plot(100 * trained["estimate"], [2.4 * at + 1], "o", color=style.GAP, mfc="white", ms=4)
            names += [f"{style.SETTINGS[setting]}, told in the prompt", "told by synthetic documents"]
        axes.axvline(0, color=style.FAINT, lw=0.6)
        axes.set_yticks([2.4 * at + down for at in range(len(settings)) for down in (0, 1)], names)
        axes.set_ylim(2.4 * len(settings) - 0.8, -0.6)
        axes.set_xlim(-1, 32)
        axes.set_xlabel("compliance gap, free − paid (points)")
        style.row_axes(axes)
        style.title(figure, "Told in the prompt or learned from documents")
        style.note_source(figure, rows, "Hollow: the text prints the gap alone, without a sample size.")
    said = []
    for setting in settings:
        prompted, trained = rows[rows["setting"] == setting].to_dict("records")
        said.append(
            f"{style.SETTINGS[setting]}: gap {percent(prompted['estimate'])} points "
            f"{interval(prompted['low'], prompted['high'])} when told in the prompt, "
            f"{percent(trained['estimate'], 0)} after training on synthetic documents."
        )
    return style.remember(figure, rows, " ".join(said))
