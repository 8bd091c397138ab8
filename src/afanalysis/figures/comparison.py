"""A study beside the paper, the paper's text beside its tables, models before and after training."""

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import QUANTITIES, SETTINGS, TIERS, in_reading_order, percent, with_interval

# `complied` is `refused` turned round.
_COLORS = {"compliance_gap": style.GAP, "af_reasoning": style.FAKING, "refused": style.INK}

# Of figures of training: the panels, and the looks of up to three variations.
_PANELS = (
    ("af_reasoning", "free", "AF reasoning in training (%)"),
    ("refused", "free", "non-compliance, free tier (%)"),
    ("refused", "paid", "non-compliance, paid tier (%)"),
    ("compliance_gap", "both", "compliance gap (points)"),
)

_LOOKS = ((style.FREE, "o", "-"), (style.FAKING, "s", "--"), (style.GAP, "^", ":"))


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
    headings = [
        f"{SETTINGS[row.setting]}: {QUANTITIES[row.quantity]}"
        + (f", {TIERS[row.tier]}" if row.tier != "both" else "")
        for row in rows.itertuples()
    ]
    rows_in_order = in_reading_order(
        rows.assign(heading=headings, name=rows["variation"]), "setting", "quantity", "tier"
    )
    placed, labels = style.place_rows(rows_in_order)
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
    note = "Paper: Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus."
    return style.finish(figure, "This study beside the paper", rows, alt, note)


@style.styled()
def synthetic_documents(table: pd.DataFrame) -> style.TracedFigure:
    """The gap with the information in the prompt, beside that after training on synthetic documents.

    Parameters
    ----------
    table
        What `published.synthetic_documents` gives. Of the models trained on documents the paper prints
        the gap only, without a sample size, so it is drawn hollow and without an interval.

    Returns
    -------
    TracedFigure
        Its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> af.figures.synthetic_documents(af.published.synthetic_documents()).heading
    'Told in the prompt or learned from documents'
    """
    headings = table["setting"].map(lambda setting: f"{SETTINGS[setting]} setting")
    named = table.assign(heading=headings, name="told " + table["told"])
    placed, labels = style.place_rows(in_reading_order(named, "setting"))
    figure, (axes,) = style.row_panels(labels, width=0.75)
    known, printed = placed.dropna(subset="low"), placed[placed["low"].isna()]
    style.points(axes, known["place"], known, color=style.GAP)
    axes.plot(100 * printed["estimate"], printed["place"], "o", color=style.GAP, mfc="white", ms=4)
    axes.set_xlim(-1, 32)
    style.row_axes(axes, style.GAP_LABEL)
    sentences = []
    for setting, part in placed.groupby("setting", sort=False):
        prompted, trained = part.to_dict("records")
        gap = with_interval([prompted[end] for end in ("estimate", "low", "high")], "points")
        sentences.append(
            f"{SETTINGS[setting]}: gap {gap} when told in the prompt, "
            f"{percent(trained['estimate'], 0)} after training on synthetic documents."
        )
    note = "Hollow: the text prints the gap alone, without a sample size."
    heading = "Told in the prompt or learned from documents"
    return style.finish(figure, heading, table, " ".join(sentences), note)


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
