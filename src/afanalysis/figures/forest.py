"""Conditions, runs of a sweep, and a study and the paper beside each other; how far they differ."""

import pandas as pd

from afanalysis.analysis.conditions import main_variation
from afanalysis.figures import style
from afanalysis.figures.dot_rows import gap_dots
from afanalysis.text.wording import QUANTITIES, SETTINGS, TIERS, in_reading_order, percent, with_interval

_SUMMARY = {
    "mean": ("mean of these", ["gap", "low", "high"]),
    "population": ("mean of others like these", ["population", "population_low", "population_high"]),
    "predicted": ("one more would lie in", ["population", "predicted_low", "predicted_high"]),
}
_ENDS = ("estimate", "low", "high")

# `complied` is `refused` turned round.
_COLORS = {"compliance_gap": style.GAP, "af_reasoning": style.FAKING, "refused": style.INK}


@style.styled()
def gap_forest(gaps: pd.DataFrame, pooled: pd.DataFrame) -> style.TracedFigure:
    """The compliance gap of every condition, with the mean over conditions and how far they differ.

    Parameters
    ----------
    gaps
        Estimates of the gap, of several models or of several variations.
    pooled
        What `afanalysis.pooled_gap` gives by setting, of the rollouts or of these gaps.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the gaps drawn and, with the labels `mean`, `population` and
        `predicted`, the mean over these conditions (where rollouts are known), the mean over conditions
        like these, and the range of one more (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates = af.published.estimates()
    >>> gaps = estimates[(estimates["quantity"] == "compliance_gap") & (estimates["label"] == "default")]
    >>> gaps = gaps.assign(model=["a", "b"], setting="helpful-only")
    >>> af.figures.gap_forest(gaps, af.pooled_gap(gaps)).heading
    'Do models differ by more than chance?'
    """
    over = "model" if gaps["model"].nunique() > 1 else "variation"
    most = pooled["conditions"].max()
    figure, panels = style.setting_panels(pooled, 1.45 + 0.19 * (most + 3), sharey=False)
    blocks, sentences = [], []
    for name, rows, (axes,) in panels:
        setting = rows["setting"].iloc[0]
        part = gaps[gaps["setting"] == setting].sort_values("estimate", ascending=False)
        part = part.assign(label=part[over])
        spread = rows.iloc[0]
        lines = [(label, words, *spread[columns]) for label, (words, columns) in _SUMMARY.items()]
        summary = pd.DataFrame(lines, columns=["label", "name", *_ENDS]).dropna()
        both = {"setting": setting, "tau": spread["tau"], "i2": spread["i2"]}
        summary = summary.assign(**both, source=part["source"].iloc[0])
        blocks += [part, summary.drop(columns="name")]
        names = [*part["label"], *summary["name"]]
        places = [row + 0.3 * (row >= len(part)) for row in range(len(names))]
        style.name_rows([axes], [style.Row(*row) for row in zip(places, names, strict=True)])
        style.points(axes, places[: len(part)], part, color=style.GAP)
        style.points(axes, places[len(part) : -1], summary.iloc[:-1], marker="D", ms=4)
        style.points(axes, places[-1:], summary.iloc[-1:], marker="", lw=2.2, color=style.FAINT)
        style.row_axes(axes, style.gap_label(style.gap_tiers(gaps)))
        share, tau = f"{100 * spread['i2']:.0f} %", percent(spread["tau"])
        axes.set_title(f"{name}: I² = {share}, τ = {tau} points", fontsize=7)
        first = summary.iloc[0]
        mean = with_interval(first[list(_ENDS)], "points")
        sentences.append(
            f"{name}: {first['name']} {mean} ({spread['conditions']} {over}s); {share} of "
            "their variance is more than sampling error."
        )
    rows = pd.concat(blocks, ignore_index=True)
    few = " ".join(dict.fromkeys(filter(None, pooled["warning"])))
    note = " ".join(filter(None, [style.sample_size_note(gaps["n"]), few and f"Caution: {few}."]))
    heading = f"Do {over}s differ by more than chance?"
    return style.finish(figure, heading, rows, " ".join(sentences), note)


def gap_bounds(gaps: pd.DataFrame) -> style.TracedFigure:
    """The compliance gap of every condition, within all that its missing answers could make of it.

    Parameters
    ----------
    gaps
        What `afanalysis.compliance_gap` gives.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the gaps with `lowest` and `highest` (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> gaps = af.compliance_gap(af.example_rollouts(), by=["model", "setting", "variation"])
    >>> af.figures.gap_bounds(gaps).heading
    'How far could missing answers move the gap?'
    """
    gaps = style.completed(gaps, *("model", "setting", "variation", "source"))
    missing = [
        f"{percent(gaps[f'missing_{tier}'].max())} % of answers are missing in the {TIERS[tier]}"
        for tier in style.gap_tiers(gaps)
    ]
    hanging = int((gaps["lowest"] * gaps["highest"] < 0).sum())
    alt = (
        f"In {hanging} of {len(gaps)} conditions the sign of the gap hangs on missing answers. "
        f"At most {' and '.join(missing)}."
    )
    return gap_dots(
        gaps.assign(name=gaps["variation"]),
        "How far could missing answers move the gap?",
        note="Grey: from all missing (invalid, undecided or blocked) against the gap to all for it.",
        band=("lowest", "highest"),
        alt=alt,
        per="tier",
    )


def gaps_by_run(table: pd.DataFrame) -> style.TracedFigure:
    """The compliance gap of every run of a sweep.

    Parameters
    ----------
    table
        The gaps of all runs (`afanalysis.pipeline.sweeps.finish`), with `source` and each run's `label`.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the gaps of each run's default prompt, or first variation.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"run": ["a", "b"], "label": ["samples 1", "samples 5"], "gap": [0.1, 0.2]})
    >>> runs = runs.assign(low=0.0, high=0.3, n=40, variation="default", setting="helpful-only")
    >>> gaps_by_run(runs.assign(source="live")).alt
    'Over 2 runs the gap lies between 10.0 and 20.0 points.'
    """
    chosen = table.groupby("run")["variation"].transform(main_variation)
    rows = table[table["variation"] == chosen]
    least, most = percent(rows["gap"].min()), percent(rows["gap"].max())
    alt = f"Over {rows['run'].nunique()} runs the gap lies between {least} and {most} points."
    return gap_dots(rows.assign(name=rows["label"]), "The gap in every run of the sweep", alt=alt)


@style.styled()
def beside_paper(table: pd.DataFrame) -> style.TracedFigure:
    """For every shared condition: both estimates, their difference with its interval, and a verdict.

    Parameters
    ----------
    table
        What `afanalysis.compare` gives, with `model` where it is of several models.

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
    of = rows["model"] + ", " if "model" in rows and rows["model"].nunique() > 1 else ""
    named = rows.assign(heading=headings + tiers, name=of + rows["variation"])
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
