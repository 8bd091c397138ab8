"""What the choice of a method, of a design, and of a threshold on graded scores does."""

import pandas as pd

from afanalysis.figures import style
from afanalysis.figures.dot_rows import gap_dots
from afanalysis.text.wording import TIERS, percent, with_interval

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
    return gap_dots(
        table.assign(name=table["method"], series=table["method"].where(is_chosen, "")),
        "The same gap by each method of interval",
        looks={"": {"color": "FAINT"}, _CHOSEN: {"color": "GAP"}},
        note="Green: the default, chosen for its coverage.",
        alt=alt,
        per="tier",
    )


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
    sns.lineplot(
        drawn,
        x="prompts",
        y="power",
        hue="gap",
        style="samples per prompt",
        palette=colors,
        lw=1,
        dashes={1: (1, 1.5), 5: ""},
        errorbar=None,
        ax=axes,
    )
    assumed = table.iloc[0]
    axes.axhline(100 * assumed["planned"], color=style.FAINT, lw=0.6, ls=(0, (4, 3)))
    axes.set_xscale("log")
    ticks = [10, 30, 100, 300, 1000]
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.set(
        xlabel="prompts, each asked in both tiers", ylabel="chance to find the gap (%)", ylim=(0, 101)
    )
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
    figure, panels = style.setting_panels(table, 2.9)
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
    style.label_rows(figure, "share of rollouts (%), gap (points)")
    style.legend_of(figure, figure.axes[0], "right center")
    note = style.sample_size_note(table["n"], "tier")
    heading = "What the threshold on graded answers does"
    return style.finish(figure, heading, table, " ".join(sentences), note)
