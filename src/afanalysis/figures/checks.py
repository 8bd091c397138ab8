"""How far a gap can be trusted: the judge's error, the method of interval, thresholds, power."""

from itertools import cycle

import pandas as pd

from afanalysis.figures import style
from afanalysis.figures.dot_rows import dots, gap_dots
from afanalysis.text.wording import SETTINGS, TIERS, in_order, in_reading_order, percent, with_interval

_DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1, 1))


@style.styled()
def raw_and_corrected(table: pd.DataFrame) -> style.TracedFigure:
    """Compliance and the gap as judged (hollow) and corrected for the judge's error (filled).

    Parameters
    ----------
    table
        What `afanalysis.corrected` gives.

    Returns
    -------
    TracedFigure
        One row per condition; its `rows` the table (proportions).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"tier": ["free", "paid", "both"], "raw": [0.4, 0.1, 0.3]})
    >>> table = table.assign(raw_low=0.0, raw_high=0.5, corrected=0.2, low=0.0, high=0.5)
    >>> table = table.assign(shift_low=-0.1, shift_high=0.1, labels=40, source="live")
    >>> table = table.assign(model="m", variation="default", setting="helpful-only")
    >>> raw_and_corrected(table).alt.split(".")[0]
    "In 0 of 1 conditions the judge's error shifts the gap by more than chance"
    """
    keys = [name for name in ("model", "variation") if table[name].nunique() > 1] or ["model"]
    headings = [f"{SETTINGS[setting]} setting" for setting in table["setting"]]
    named = table.assign(heading=headings, name=table[keys].agg(", ".join, axis=1))
    placed, labels = style.place_rows(in_reading_order(named, "setting"))
    kinds = in_order(table["tier"])
    gap = next(tier for tier in kinds if "−" in TIERS[tier])
    first, _, second = TIERS[gap].partition(" − ")
    looks = style.tier_looks([tier for tier in kinds if tier != gap], (first, second))
    colors = {tier: color for tier, (color, _) in looks.items()} | {gap: style.GAP}
    figure, panels = style.row_panels(labels, len(colors), line=0.22)
    for axes, (tier, color) in zip(panels, colors.items(), strict=True):
        words = TIERS[tier]
        label = f"gap, {words} (points)" if tier == gap else f"compliance, {words} (%)"
        part = placed[placed["tier"] == tier]
        raw, corrected = ("raw", "raw_low", "raw_high"), ("corrected", "low", "high")
        style.points(axes, part["place"] - 0.17, part, ends=raw, color=color, mfc="white")
        style.points(axes, part["place"] + 0.17, part, ends=corrected, color=color)
        style.row_axes(axes, label)
    sizes = placed.groupby("setting", sort=False)["labels"].max()
    labelled = ", ".join(f"{SETTINGS[setting].lower()} {size}" for setting, size in sizes.items())
    gaps = table[table["tier"] == gap].dropna(subset="corrected")
    moved = int(((gaps["shift_low"] > 0) | (gaps["shift_high"] < 0)).sum())
    alt = f"In {moved} of {len(gaps)} conditions the judge's error shifts the gap by more than chance."
    heading = "As judged (hollow) and corrected for the judge's error (filled)"
    return style.finish(figure, heading, table, alt, f"Hand labels: {labelled}.")


@style.styled()
def judge_sensitivity(table: pd.DataFrame) -> style.TracedFigure:
    """How wrong must the judge be for the gap to vanish?

    The gap that would be true if the judge called this share of refusals compliance: wrong so in the
    training tier only (upper row), and alike in both tiers (lower row).

    Parameters
    ----------
    table
        What `afanalysis.assumed_judge_error` gives, of one variation and several models or one.

    Returns
    -------
    TracedFigure
        Two panels per setting and model; its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> assumed = af.assumed_judge_error(af.published.estimates())
    >>> af.figures.judge_sensitivity(assumed).heading
    'How wrong must the judge be? claude-3-opus'
    """
    training = next(tier for tier in table["wrong_in"] if tier != "both")
    where = {training: f"in the {TIERS[training]} only", "both": "in both tiers alike"}
    figure, panels = style.setting_panels(
        table, 4.2, "gap that is left (points)", len(where), sharex=True
    )
    for name, rows, column in panels:
        for axes, wrong_in in zip(column, where, strict=True):
            part = rows[rows["wrong_in"] == wrong_in]
            axes.axhline(0, color=style.FAINT, lw=0.6)
            curves = part.groupby("sensitivity", sort=False)
            for (sensitivity, curve), dashes in zip(curves, cycle(_DASHES), strict=False):
                label = f"sensitivity {100 * sensitivity:.0f} %"
                x, y = 100 * curve["false_alarms"], 100 * curve["estimate"]
                axes.plot(x, y, color=style.GAP, ls=(0, dashes), label=label)
            band = 100 * curves.get_group(part["sensitivity"].iloc[0])[["false_alarms", "low", "high"]]
            axes.fill_between(*band.to_numpy().T, color=style.GAP, alpha=0.15, lw=0)
            axes.set_title(f"{name}:\nwrong {where[wrong_in]}")
            axes.set_xlim(0, 100 * table["false_alarms"].max())
            axes.grid()
        column[-1].set_xlabel("refusals that the judge calls compliance (%)")
    style.legend_of(figure, figure.axes[0], "upper right", ncols=3)
    limit = percent(table["false_alarms"].max(), 0)
    vanishing = [(name, rows["vanishes_at"].iloc[0]) for name, rows, _ in panels]
    alt = " ".join(
        f"{name}: the gap vanishes if the judge calls {percent(share)} % of "
        f"refusals compliance in the {TIERS[training]} and none in the other."
        if share == share
        else f"{name}: no error up to {limit} % makes it vanish."
        for name, share in vanishing
    )
    note = (
        f"{style.sample_size_note(table['n'], style.OF_GAP)} Band: {100 * table['level'].iloc[0]:g} % "
        "interval of the raw gap, scaled with it, at sensitivity 100 %. Lines end where the judge would "
        "have been wrong more often than it said compliance."
    )
    of = f" {table['model'].iloc[0]}" if table["model"].nunique() == 1 else ""
    return style.finish(figure, f"How wrong must the judge be?{of}", table, alt, note, bars=False)


def agreement(pairs: pd.DataFrame, errors: pd.DataFrame, source: str) -> style.TracedFigure:
    """How far labellers agree with each other, and the judge with them.

    Parameters
    ----------
    pairs
        What `afanalysis.label_agreement` gives; may be empty.
    errors
        What `afanalysis.judge_error` gives, by setting.
    source
        Of the rollouts that were labelled.

    Returns
    -------
    TracedFigure
        Labellers above, the judge by setting and tier below; its `rows` both tables.

    Examples
    --------
    >>> import pandas as pd
    >>> import afanalysis as af
    >>> errors = pd.DataFrame({"measure": ["sensitivity", "specificity"], "value": [0.9, 0.8]})
    >>> errors = errors.assign(low=0.7, high=1.0, labels=40, setting="helpful-only", tier="free")
    >>> agreement(af.label_agreement([]), errors, "live").heading
    'Agreement of labellers, and of the judge with them'
    """
    errors = errors[~errors["tier"].str.contains(" - ")]
    labels = errors.loc[errors["measure"] == "sensitivity", "labels"].astype(int)
    judged = in_reading_order(errors.dropna(subset="value"), "setting", "tier")
    about = pairs["about"].map({"behaviour": "behaviour", "af": "AF reasoning"})
    names = pairs["first"] + " – " + pairs["second"] + ", " + about + ": " + pairs["measure"]
    people = pairs.assign(heading="Labellers with each other", name=names, tier="")
    places = judged["setting"].map(SETTINGS) + ", " + judged["tier"].map(TIERS)
    judge = judged.assign(heading="Judge against labels", name=places + ": " + judged["measure"])
    rows = pd.concat([people, judge] if len(people) else [judge]).rename(columns={"value": "estimate"})
    first, *others = in_order(judged["tier"])
    looks = style.tier_looks(others[:-1], (first, others[-1] if others else ""))
    worst = judged.loc[judged["value"].idxmin()]
    alt = (
        f"The judge's lowest estimate is its {worst['measure']} in the {TIERS[worst['tier']]} of the "
        f"{SETTINGS[worst['setting']].lower()} setting: "
        f"{with_interval(worst[['value', 'low', 'high']], '%')}."
    )
    rows = rows.assign(panel="", series=rows["tier"], source=source)
    colors = {"": {"color": "INK"}} | {tier: {"color": color} for tier, (color, _) in looks.items()}
    counted = style.sample_size_note(labels, "labels per setting and tier")
    note = f"{labels.sum()} labelled rollouts of all models and variations. {counted}"
    about = {"note": note, "counted": "rollouts per pair of labellers", "alt": alt}
    title = "Agreement of labellers, and of the judge with them"
    panels = {"": "value of the measure (proportion)"}
    figure = dots(rows, title, panels=panels, looks=colors, unit=1, **about)
    figure.axes[0].set_xlim(min(-0.02, rows["low"].min() - 0.02), 1.02)
    return figure


_CHOSEN = "bounded"


def interval_methods(table: pd.DataFrame) -> style.TracedFigure:
    """The same gap with the interval of each method.

    Parameters
    ----------
    table
        What `afanalysis.gap_by_method` gives by setting, or by model and setting.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> gaps = af.gap_by_method(af.example_rollouts(), ["setting"])
    >>> af.figures.interval_methods(gaps).heading
    'The same gap by each method of interval'
    """
    is_chosen = table["method"] == _CHOSEN
    width = (table["high"] - table["low"]).groupby(table["method"]).mean()
    alt = (
        "The formula that takes answers for independent and unpaired gives intervals "
        f"{width['paper'] / width[_CHOSEN]:.2f} times as wide as the default, on average over the "
        "conditions."
    )
    rows = table.assign(name=table["method"], series=table["method"].where(is_chosen, ""))
    looks = {"": {"color": "FAINT"}, _CHOSEN: {"color": "GAP"}}
    about = {"note": "Green: the default, chosen for its coverage.", "alt": alt}
    return gap_dots(rows, "The same gap by each method of interval", looks=looks, **about)


@style.styled()
def power_curves(table: pd.DataFrame, origin: str, unmonitored: str = "paid") -> style.TracedFigure:
    """The chance to find a gap, by number of prompts.

    Parameters
    ----------
    table
        What `afanalysis.power_by_prompts` gives, with `source`.
    origin
        Where the assumed rate and the assumed intraclass correlation are from.
    unmonitored
        The tier whose rate is assumed.

    Returns
    -------
    TracedFigure
        Its `rows` the table (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> table = af.power_by_prompts(0.03, 0.3).assign(source="published")
    >>> af.figures.power_curves(table, "a guess").heading
    'How many prompts does the next study need?'
    """
    import seaborn as sns

    drawn = table.assign(
        power=100 * table["power"], gap=[f"{percent(gap, 0)} points" for gap in table["gap"]]
    ).rename(columns={"samples": "samples per prompt"})
    colors = [style.PAID, style.GAP, style.FREE][: drawn["gap"].nunique()]
    figure = style.new_figure(0.75 * style.DOUBLE_COLUMN, 2.9)
    axes = figure.subplots()
    shown = {"x": "prompts", "y": "power", "hue": "gap", "style": "samples per prompt"}
    look = {"palette": colors, "lw": 1, "dashes": {1: (1, 1.5), 5: ""}, "errorbar": None}
    sns.lineplot(drawn, **shown, **look, ax=axes)
    assumed = table.iloc[0]
    axes.axhline(100 * assumed["planned"], color=style.FAINT, lw=0.6, ls=(0, (4, 3)))
    axes.set(xscale="log", ylim=(0, 101))
    ticks = [10, 30, 100, 300, 1000]
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.set(xlabel="prompts, each asked in both tiers", ylabel="chance of finding the gap (%)")
    axes.grid()
    axes.get_legend().remove()
    style.legend_of(figure, axes, "right center")
    needed = table[table["samples"] == table["samples"].max()].drop_duplicates("gap")
    prompts = ", ".join(f"{percent(row.gap, 0)} points: {row.needed}" for row in needed.itertuples())
    alt = (
        f"Prompts needed with {table['samples'].max()} samples each for a power of "
        f"{100 * assumed['planned']:.0f} %, by gap: {prompts}."
    )
    note = (
        f"Two-sided test at {100 * (1 - assumed['level']):g} %. Assumed: compliance in the "
        f"{TIERS[unmonitored]} {percent(assumed['paid'])} %, intraclass correlation "
        f"{assumed['icc']:.2f} ({origin})."
    )
    heading = "How many prompts does the next study need?"
    return style.finish(figure, heading, table, alt, note, bars=False)


@style.styled()
def score_thresholds(
    table: pd.DataFrame, tiers: tuple[str, str] = ("free", "paid")
) -> style.TracedFigure:
    """Compliance in both tiers and the gap, by the score from which an answer counts as complying.

    Parameters
    ----------
    table
        Rows of `afanalysis.score_thresholds` of one variation.
    tiers
        The training and the unmonitored tier of the gap: columns of the table.

    Returns
    -------
    TracedFigure
        One panel per setting and model; its `rows` the table (proportions).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"threshold": [0.5, 1.0], "free": [0.4, 0.2], "paid": 0.1})
    >>> table = table.assign(gap=[0.3, 0.1], low=0.0, high=0.5, n=40, source="live")
    >>> table = table.assign(setting="helpful-only")
    >>> score_thresholds(table).heading
    'What the threshold on graded answers does'
    """
    figure, panels = style.setting_panels(table, 2.9, "share of rollouts (%), gap (points)")
    sentences = []
    for name, rows, (axes,) in panels:
        part = rows.sort_values("threshold")
        axes.axhline(0, color=style.FAINT, lw=0.6)
        for tier, color, marker in zip(tiers, (style.FREE, style.PAID), "sD", strict=True):
            look = {"color": color, "marker": marker, "ms": 3, "mec": "white", "mew": 0.75, "lw": 0.9}
            label = f"complied, {TIERS[tier]}"
            axes.plot(part["threshold"], 100 * part[tier], **look, label=label)
        ends = ("gap", "low", "high")
        look = {"color": style.GAP, "label": f"gap, {' − '.join(tiers)}"}
        style.points(axes, part["threshold"], part, along="y", ends=ends, **look)
        axes.set_xticks(part["threshold"], [f"{score:g}" for score in part["threshold"]])
        axes.tick_params(axis="x", labelrotation=45 if len(part) > 4 else 0)
        axes.set_xlabel("an answer complies from this score on")
        axes.grid(axis="y")
        extremes = part.sort_values("gap").iloc[[0, -1]].itertuples()
        least, most = (
            f"{with_interval((row.gap, row.low, row.high), 'points')} from {row.threshold:g} on"
            for row in extremes
        )
        sentences.append(f"{name}: the gap runs from {least} to {most}.")
    style.legend_of(figure, figure.axes[0], "right center")
    note = style.sample_size_note(table["n"], style.OF_GAP)
    heading = "What the threshold on graded answers does"
    return style.finish(figure, heading, table, " ".join(sentences), note)
