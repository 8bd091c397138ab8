"""Conditions in rows: variations, models, runs of a sweep, and a study beside the paper."""

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from afanalysis.analysis.conditions import main_variation
from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.figures.dot_rows import dots, gap_dots
from afanalysis.text.wording import QUANTITIES, SETTINGS, TIERS, in_reading_order, percent, with_interval

_WRAP = 50  # letters per line of a variation's name
_NAMED = 3  # of many variations, those farthest from the diagonal


def variations(table: Any, setting: str = "helpful-only") -> style.TracedFigure:
    """AF reasoning and compliance gap for every variation of a setting, grouped and sorted by gap.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from.
    setting
        One of the table.

    Returns
    -------
    TracedFigure
        Two panels that share their rows; its `rows` the estimates drawn (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> af.figures.variations(af.published.estimates()).heading
    'Prompt variations, helpful-only setting'
    """
    estimates = as_estimates(table)
    rows, labels = style.measures(estimates[estimates["setting"] == setting].reset_index(drop=True))
    foreign = ~rows["group"].isin(["", "other models"]) & (rows["model"] != "claude-3-opus")
    shared = rows.duplicated(["quantity", "group", "label"], keep=False)
    named = (foreign | shared) & (rows["model"].nunique() > 1)
    names = rows["label"].where(~named, rows["label"] + " (" + rows["model"] + ")")
    ordered = _in_order(rows.assign(heading=rows["group"], full=names))
    gaps = ordered[ordered["quantity"] == "compliance_gap"].sort_values("estimate")
    extremes = gaps.iloc[[0, -1]].itertuples()
    least, most = (f"{row.full} ({percent(row.estimate)})" for row in extremes)
    count = f"{len(gaps)} conditions" if shared.any() else _variations(len(gaps))
    alt = f"Over {count} the gap runs from {least} to {most} points."
    wrapped = [textwrap.fill(name, _WRAP) for name in ordered["full"]]
    rows = ordered.assign(name=wrapped, panel=ordered["quantity"], series=ordered["quantity"])
    title = f"Prompt variations, {SETTINGS[setting].lower()} setting"
    is_told = rows["model"].nunique() > 1 and not shared.any()
    of = " Model: claude-3-opus where a row names no other." if is_told else ""
    about = {"note": f"{count}.{of}", "alt": alt}
    figure = dots(rows, title, panels=labels, looks=style.MEASURES, line=0.135, **about)
    figure.axes[0].tick_params(axis="y", labelsize=6)
    return figure


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """From the default down: groups by their largest gap, rows by gap within."""
    gaps = rows[rows["quantity"] == "compliance_gap"].set_index(["group", "full"])["estimate"]
    keys = {
        "is_edited": rows["group"] != "default",
        "largest": -rows["group"].map(gaps.groupby("group").max()),
        "group": rows["group"],
        "is_variation": rows["label"] != "default",
        "gap": [-gaps[pair] for pair in zip(rows["group"], rows["full"], strict=True)],
        "full": rows["full"],
    }
    return rows.loc[rows.assign(**keys).sort_values(list(keys)).index]


@style.styled()
def reasoning_against_gap(table: Any) -> style.TracedFigure:
    """AF reasoning against the compliance gap over all variations, with intervals on both axes.

    On the diagonal the share of rollouts with AF reasoning equals the gap, so that AF reasoning would
    account for all of it.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from.

    Returns
    -------
    TracedFigure
        One panel per setting, and per model where prompts are shared; its `rows` one per condition, with
        the estimate, the ends of the interval and the sample size of both quantities (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> figure = af.figures.reasoning_against_gap(af.published.estimates())
    >>> len(figure.rows)
    145
    """
    estimates = as_estimates(table)
    keys = ["setting", "variation", "label", "model", "source"]
    measured, labels = style.measures(estimates)
    wide = measured.pivot_table(["estimate", "low", "high", "n"], keys, "quantity", sort=False)
    wide.columns = [f"{quantity}_{end}" for end, quantity in wide.columns]
    rows = wide.dropna().reset_index()
    about = [*keys, *filter({*estimates}.__contains__, ("left_out", "scratchpad_from", "n_is", "row"))]
    rows = rows.merge(measured.loc[measured["quantity"] == "af_reasoning", about], "left", keys)
    # models that share their prompts have panels of their own
    apart = rows.duplicated(["setting", "label"]).any()
    of_panels = rows if apart else rows.drop(columns="model")
    figure, panels = style.setting_panels(of_panels, 3.4, labels["compliance_gap"], sharex=True)
    default = rows["label"] == "default"
    kinds = (
        (default, "default prompt", {"color": style.FAKING, "marker": "D", "ms": 4, "zorder": 5}),
        (~default, "a variation", {"color": style.FREE, "ms": 2.6, "lw": 0.5}),
    )
    named: list[str] = []
    for name, part, (axes,) in panels:
        axes.axline((0, 0), slope=1, color=style.FAINT, lw=0.7, ls=(0, (4, 3)))
        axes.axhline(0, color=style.FAINT, lw=0.5)
        axes.axvline(0, color=style.FAINT, lw=0.5)
        for kind, _, look in kinds:
            crowded = len(part) > 12 and "zorder" not in look
            _cross(axes, part[kind[part.index]], alpha=0.45 if crowded else 1, **look)
        apart = (part["compliance_gap_estimate"] - part["af_reasoning_estimate"]).abs()
        for row in part.loc[apart.nlargest(_NAMED).index if len(part) > 12 else []].itertuples():
            named.append(f"{len(named) + 1}: {row.label}")
            point = 100 * row.af_reasoning_estimate, 100 * row.compliance_gap_estimate
            offset = {"textcoords": "offset points", "fontsize": 6.5, "fontweight": "bold"}
            axes.annotate(str(len(named)), point, (3, 3 - 11 * (len(named) % 2)), **offset)
        axes.set_title(f"{name} ({_variations(len(part))})")
        axes.set_xlabel(style.AF_LABEL)
        axes.grid()
    first = figure.axes[0]
    for kind, label, look in kinds:
        if kind.any():
            first.plot([], [], **({"marker": "o", "lw": 0.9} | look), label=label)
    first.plot([], [], color=style.FAINT, lw=0.7, ls=(0, (4, 3)), label="gap = AF reasoning")
    # above a single panel there is no room beside the title
    where, columns = ("upper right", 3) if len(panels) > 1 else ("right center", 1)
    figure.legend(loc=f"outside {where}", ncols=columns)
    beyond = int((rows["compliance_gap_estimate"] > rows["af_reasoning_estimate"]).sum())
    alt = f"In {beyond} of {len(rows)} conditions the gap is larger than the share with AF reasoning."
    note = style.sample_size_note(rows["af_reasoning_n"])
    note += f" Farthest from the diagonal: {'; '.join(named)}." if named else ""
    return style.finish(figure, "AF reasoning and the compliance gap", rows, alt, note)


def models(table: Any) -> style.TracedFigure:
    """Compliance gap and AF reasoning by model, default prompt, one block per setting.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from.

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
    rows, labels = style.measures(default)
    gaps = in_reading_order(rows[rows["quantity"] == "compliance_gap"], "setting")
    largest = gaps.groupby(["setting", "model"])["estimate"].max().rename("largest")
    rows = rows.join(largest, on=["setting", "model"])
    rows = rows.sort_values(["largest", "model"], ascending=[False, True])
    rows = in_reading_order(rows.drop(columns="largest"), "setting")
    alt = ""
    for setting, part in gaps.groupby("setting", sort=False):
        names = ", ".join(sorted(part.loc[part["low"] > 0, "model"].unique())) or "none"
        of = f"{SETTINGS[setting]}: of {part['model'].nunique()} models"
        alt += f"{of}, a gap whose interval lies above 0: {names}. "
    headings, quantities = rows["setting"].map(SETTINGS) + " setting", rows["quantity"]
    rows = rows.assign(heading=headings, name=rows["model"], panel=quantities, series=quantities)
    panels = dict(reversed(labels.items()))
    return dots(rows, "Models, default prompt", panels=panels, looks=style.MEASURES, alt=alt.strip())


def _cross(axes: Axes, rows: pd.DataFrame, **look: Any) -> None:
    """Points with intervals on both axes."""
    quantities = ("compliance_gap", "af_reasoning")
    gap, reasoning = ([f"{quantity}_{end}" for end in _ENDS] for quantity in quantities)
    style.points(axes, 100 * rows[gap[0]], rows, ends=reasoning, **look)
    style.points(axes, 100 * rows[reasoning[0]], rows, ends=gap, along="y", **(look | {"marker": ""}))


def _variations(number: int) -> str:
    return f"{number} variation{'s' * (number != 1)}"


_SUMMARY = {
    "mean": ("mean of these", ["gap", "low", "high"]),
    "population": ("mean of others like these", ["population", "population_low", "population_high"]),
    "predicted": ("one more would lie in", ["population", "predicted_low", "predicted_high"]),
}
_ENDS = ("estimate", "low", "high")

# `complied` is `refused` turned round.
_COLORS = {"compliance_gap": style.GAP, "af_reasoning": style.FAKING, "complied": style.INK}


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
        part = gaps[gaps["setting"] == setting].sort_values(
            ["estimate", "model"], ascending=[False, True]
        )
        part["label"] = part[over]
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
            "their variance is not sampling error."
        )
    rows = pd.concat(blocks, ignore_index=True)
    few = " ".join(dict.fromkeys(filter(None, pooled["warning"])))
    note = f"{style.sample_size_note(gaps['n'], style.OF_GAP)} {few and f'Caution: {few}.'}".strip()
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
    note = "Grey: from all missing (invalid, undecided or blocked) against the gap to all for it."
    about = {"note": note, "band": ("lowest", "highest"), "alt": alt}
    named = gaps.assign(name=gaps["variation"])
    return gap_dots(named, "How far could missing answers move the gap?", **about)


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
    'Over 2 runs the gap lies between 10.0 and 20.0 points. Variation: default.'
    """
    rows = table[table["variation"] == table.groupby("run")["variation"].transform(main_variation)]
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
    style.row_axes(left, "paper (hollow), study (filled): %, gaps in points")
    style.row_axes(right, "study − paper (points)")
    verdicts = rows["verdict"].str.split(" by | within ", regex=True).str[0].value_counts()
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    alt = f"Of {len(rows)} numbers that the paper has too: {counted}."
    note = "Paper: Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus, one answer per query. "
    note += "Consistent: the difference is shown to be smaller than 10 points, or half of a small rate."
    return style.finish(figure, "This study beside the paper", rows, alt, note)
