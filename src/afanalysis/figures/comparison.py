"""A study beside the paper."""

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import QUANTITIES, SETTINGS, TIERS, in_reading_order

# `complied` is `refused` turned round.
_COLORS = {"compliance_gap": style.GAP, "af_reasoning": style.FAKING, "refused": style.INK}


@style.styled()
def beside_paper(table: pd.DataFrame) -> style.TracedFigure:
    """For every shared condition: both estimates, their difference with its interval, and a verdict.

    Parameters
    ----------
    table
        What `afanalysis.compare` gives.

    Returns
    -------
    TracedFigure
        Its `rows` the table without `complied` (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates = af.published.estimates()
    >>> estimates = estimates[estimates["model"] == "claude-3-opus"]
    >>> af.figures.beside_paper(af.compare(estimates)).heading
    'This study beside the paper'
    """
    rows = table[table["quantity"].isin(list(_COLORS))]
    headings = rows["setting"].map(SETTINGS) + ": " + rows["quantity"].map(QUANTITIES)
    tiers = (", " + rows["tier"].map(TIERS)).where(rows["tier"] != "both", "")
    named = rows.assign(heading=headings + tiers, name=rows["variation"])
    placed, labels = style.place_rows(in_reading_order(named, "setting", "quantity", "tier"))
    figure, (left, right) = style.row_panels(labels, 2, width_ratios=(1.1, 1))
    for quantity, color in _COLORS.items():
        part = placed[placed["quantity"] == quantity]
        for side, offset, face in (("paper", -0.16, "white"), ("study", 0.16, color)):
            ends = (side, f"{side}_low", f"{side}_high")
            places = part["place"] + offset
            style.points(left, places, part, ends=ends, color=color, mfc=face, ms=2.6)
    style.points(right, placed["place"], placed, ends=("difference", "low", "high"), ms=2.6)
    for row in placed.itertuples():
        where = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 6}
        right.annotate(row.verdict, (1.02, row.place), **where)
    style.row_axes(left, "paper (hollow), study (filled): %")
    style.row_axes(right, "study − paper (points)")
    verdicts = rows["verdict"].str.split(" by ").str[0].value_counts()
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    alt = f"Of {len(rows)} numbers that the paper has too: {counted}."
    note = "Paper: Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus, one answer per query."
    return style.finish(figure, "This study beside the paper", rows, alt, note)
