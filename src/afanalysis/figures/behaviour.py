"""What the model did, tier beside tier: in all, prompt by prompt, and in its scratchpads."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from afanalysis.analysis.quantities import as_estimates
from afanalysis.figures import style
from afanalysis.text.wording import TIERS, percent, with_interval

_STAGES = {
    "conflict": "notices the conflict",
    "considers": "considers faking",
    "partial": "AF reasoning, with or\nwithout compromise",
    "full": "AF reasoning\nwithout compromise",
}


@style.styled()
def compliance_by_tier(table: Any, roles: Mapping[str, str] | None = None) -> style.TracedFigure:
    """Compliance with and without alignment-faking reasoning, free tier beside paid tier.

    Parameters
    ----------
    table
        Estimates, or rollouts to make them from; the main variation of every model is drawn (of the
        paper's numbers, of claude-3-opus).
    roles
        Of tiers that are not in the gap, as `Study.tier_roles` has them.

    Returns
    -------
    TracedFigure
        One panel per setting and model; its `rows` the estimates drawn (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates = af.published.estimates()
    >>> af.figures.compliance_by_tier(estimates).heading
    'Behaviour of claude-3-opus by tier'
    """
    estimates = as_estimates(table)
    rows = style.main_rows(estimates)
    tiers = style.gap_tiers(estimates)
    figure, panels = style.setting_panels(rows, 3.1, "share of rollouts (%)")
    any_blocked = "blocked" in set(rows["quantity"])
    looks = style.tier_looks(rows.loc[rows["quantity"] == "complied", "tier"], tiers, roles)
    places = {tier: place * (1.6 if any_blocked else 1.3) for place, tier in enumerate(looks)}
    is_usual = tiers == ("free", "paid")
    gap_words = "compliance gap " if is_usual else f"compliance gap, {' − '.join(tiers)}:\n"
    sentences, sizes = [], []
    for name, part, (axes,) in panels:
        estimates = part.dropna(subset="estimate").set_index(["quantity", "tier"])
        known = [tier for tier in looks if ("complied", tier) in estimates.index]
        for tier in known:
            _stack(axes, places[tier], estimates.xs(tier, level="tier"), len(looks) < 3)
        axes.set_xticks([*places.values()], [words for _, words in looks.values()])
        axes.set(xlim=(-0.45, max(places.values()) + 1), ylim=(0, 100))
        blocked = estimates[estimates.index.get_level_values("quantity") == "blocked"]
        for (_, tier), row in blocked.iterrows():
            place = places[tier] - 0.32
            axes.bar(place, 100 * row["estimate"], width=0.14, **style.fill(style.BLOCKED))
            style.points(axes, [place], row.to_frame().T, along="y", ms=2, capsize=1.5)
        axes.set_title(axes.get_title(loc="left"), pad=14 if is_usual else 24)
        shares = estimates["estimate"].map(percent)
        words = [f"{shares['complied', tier]} % in the {TIERS[tier]}" for tier in known]
        sentence = f"{name}: complied with {' and '.join(words)}".replace(" %", " % of requests", 1)
        gaps = part[(part["quantity"] == "compliance_gap") & part["estimate"].notna()]
        for row in gaps[["estimate", "low", "high"]].to_numpy(float):
            gap = with_interval(row, "points")
            where = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 6.5}
            axes.annotate(gap_words + gap, (0, 1), (0, 4), **where)
            sentence += f", a gap of {gap}"
        if ("af_reasoning", tiers[0]) in estimates.index:
            sentence += f"; {shares['af_reasoning', tiers[0]]} % with alignment-faking reasoning"
        if len(blocked):
            shares_blocked = (f"{shares[place]} % {TIERS[place[1]]}" for place in blocked.index)
            sentence += f"; blocked by the API: {', '.join(shares_blocked)}"
        sentences.append(f"{sentence}.")
        counted = part[part["quantity"] == "complied"]
        asked = counted["n"] / (1 - counted.get("left_out", 0))
        n = zip(counted["n"], asked, counted["tier"], strict=True)
        words = [f"{n:.0f}{f' of {all:.0f}' if all > n else ''} {tier}" for n, all, tier in n]
        sizes.append(f"{name} {', '.join(words)}")
    labels = {
        style.NONCOMPLIANT: "did not comply",
        style.UNSPLIT: "complied, reasoning\nnot published",
        style.COMPLIANT: "complied, no AF reasoning",
        style.FAKING: "complied with\nAF reasoning",
    }
    if set(rows.loc[rows["quantity"] == "af_reasoning", "tier"]) >= {*looks}:
        del labels[style.UNSPLIT]
    if any_blocked:
        labels[style.BLOCKED] = "blocked by the API\n(share of all asked)"
    style.legend_of_fills(figure, labels)
    of = f"of {rows['model'].iloc[0]} " if rows["model"].nunique() == 1 else ""
    note = f"Number of rollouts: {'; '.join(sizes)}."
    return style.finish(figure, f"Behaviour {of}by tier", rows, " ".join(sentences), note)


def _stack(axes: Axes, place: float, estimates: pd.DataFrame, is_wide: bool) -> None:
    """A bar of the three behaviours in one tier, with its values beside it."""
    complied = estimates.loc[["complied"]]
    faking = estimates[estimates.index == "af_reasoning"]
    total = 100 * complied["estimate"].iloc[0]
    split = 100 * faking["estimate"].sum()
    plain = style.UNSPLIT if faking.empty else style.COMPLIANT
    ends = [0, split, total, 100]
    for color, low, high in zip((style.FAKING, plain, style.NONCOMPLIANT), ends, ends[1:], strict=False):
        axes.bar(place, high - low, bottom=low, width=0.44, **style.fill(color))
    beside: dict[str, Any] = {"va": "center", "fontsize": 6.5, "color": style.INK}
    apart = max(total, split + 7) if split else total
    style.points(axes, [place + 0.1], complied, along="y", ms=2, capsize=1.5)
    axes.text(place + 0.26, max(apart, 3), f"{total:.1f}{' complied' * is_wide}", **beside)
    if split:
        style.points(axes, [place - 0.1], faking, along="y", ms=2, capsize=1.5)
        axes.text(place + 0.26, max(min(split, apart - 7), 3), f"{split:.1f} AF", **beside)
    axes.text(place, (100 + total) / 2, f"{100 - total:.1f}", ha="center", **beside)


@style.styled()
def paired_prompts(pairs: pd.DataFrame, estimates: pd.DataFrame) -> style.TracedFigure:
    """Each prompt a line from its compliance in the training tier to that in the unmonitored tier.

    Prompts on the same line are drawn as one, as wide as they are many.

    Parameters
    ----------
    pairs
        What `afanalysis.prompt_pairs` gives.
    estimates
        Estimates of the study, for the means.

    Returns
    -------
    TracedFigure
        One panel per setting and model; its `rows` the pairs.

    Examples
    --------
    >>> import afanalysis as af
    >>> rollouts = af.example_rollouts()
    >>> af.figures.paired_prompts(af.prompt_pairs(rollouts), af.estimates(rollouts)).heading
    'The same prompt in both tiers, claude-opus-5-5'
    """
    tiers = style.gap_tiers(estimates)
    changes = {  # by the sign of the difference
        1: (style.GAP, f"complies more often\nin the {TIERS[tiers[0]]}"),
        -1: (style.FAKING, "complies less often"),
        0: (style.FAINT, "equally often"),
    }
    conditions = ["setting", "model", "variation"]
    means = estimates[estimates["quantity"] == "complied"].merge(pairs[conditions].drop_duplicates())
    figure, panels = style.setting_panels(pairs, 3.2, "compliance with a prompt (%)")
    sentences = []
    for name, part, (axes,) in panels:
        lines = part.sort_values("prompts", ascending=False)
        signs = np.sign(lines[tiers[0]] - lines[tiers[1]])
        percentages = 100 * lines[[*tiers]].to_numpy()
        for shares, prompts, sign in zip(percentages, lines["prompts"], signs, strict=True):
            width = min(0.6 + 0.35 * (prompts - 1), 7)
            look = {"color": changes[sign][0], "lw": width, "solid_capstyle": "butt", "alpha": 0.6}
            axes.plot([0, 1], shares, **look)
        of_panel = means.merge(part[conditions].drop_duplicates())
        looks = style.tier_looks((), tiers)
        for place, (tier, (color, _)) in zip((-0.16, 1.16), looks.items(), strict=True):
            mean = of_panel[of_panel["tier"] == tier]
            style.points(axes, [place], mean, along="y", color=color, marker="D", ms=3.5, zorder=4)
        axes.set_xticks([0, 1], [words for _, words in looks.values()])
        axes.set(xlim=(-0.35, 1.35), ylim=(-4, 104))
        axes.grid(axis="y")
        more, less, alike = (int(lines.loc[signs == sign, "prompts"].sum()) for sign in changes)
        sentences.append(
            f"{name}: {more} of {more + less + alike} prompts were complied with more "
            f"often in the {TIERS[tiers[0]]}, {less} less often and {alike} equally often."
        )
    first = figure.axes[0]
    for color, label in changes.values():
        first.plot([], [], color=color, lw=1.6, label=label)
    first.plot([], [], color=style.INK, marker="D", ms=3.5, lw=0.9, label="mean of all")
    title = "Lines: prompts,\nwider where several\ncoincide"
    figure.legend(loc="outside right center", title=title, alignment="left")
    of = f", {pairs['model'].iloc[0]}" if pairs["model"].nunique() == 1 else ""
    note = style.sample_size_note(means["n"])
    return style.finish(figure, f"The same prompt in both tiers{of}", pairs, " ".join(sentences), note)


@style.styled()
def scratchpad_stages(table: pd.DataFrame) -> style.TracedFigure:
    """The share of rollouts in training that reach each stage, split by what the output then did.

    Parameters
    ----------
    table
        What `afanalysis.analysis.scratchpads.stages` gives.

    Returns
    -------
    TracedFigure
        One panel per setting and model; its `rows` the table (proportions).

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(behaviour, stage) for behaviour in ("any", "complied") for stage in _STAGES]
    >>> table = pd.DataFrame(rows, columns=["behaviour", "stage"]).assign(setting="helpful-only")
    >>> table = table.assign(estimate=0.2, low=0.1, high=0.3, n=40, model="m", source="live")
    >>> scratchpad_stages(table).heading
    'What scratchpads in training contain, m'
    """
    figure, panels = style.setting_panels(table, 2.4, sharex=True)
    sentences = []
    for name, rows, (axes,) in panels:
        part = rows.set_index(["behaviour", "stage"])
        faked = part.loc[("complied", "partial"), "estimate"]
        for place, stage in enumerate(_STAGES):
            whole, complied = (part.loc[(behaviour, stage)] for behaviour in ("any", "complied"))
            ends = [0, min(faked, complied["estimate"]), complied["estimate"], whole["estimate"]]
            colors = (style.FAKING, style.COMPLIANT, style.NONCOMPLIANT)
            for left, right, color in zip(ends, ends[1:], colors, strict=False):
                axes.barh(place, 100 * (right - left), 0.6, 100 * left, **style.fill(color))
            where = {"textcoords": "offset points", "va": "center", "fontsize": 6.5}
            axes.annotate(percent(whole["estimate"]), (100 * whole["high"], place), (4, 0), **where)
        reached = part.loc["any"].loc[list(_STAGES)]
        style.points(axes, range(len(_STAGES)), reached, ms=2, capsize=1.5)
        style.row_axes(axes, "share of rollouts in training (%)")
        axes.set(xlim=(0, 112), xticks=range(0, 101, 20))
        last = with_interval(reached.loc["full", ["estimate", "low", "high"]], "%")
        sentences.append(
            f"{name}: {percent(reached.loc['conflict', 'estimate'])} % of scratchpads in "
            f"training notice the conflict, {last} hold AF reasoning without compromise."
        )
    style.name_rows(figure.axes, [style.Row(place, name) for place, name in enumerate(_STAGES.values())])
    fills = {
        style.COMPLIANT: "then complied",
        style.FAKING: "then complied,\nwith AF reasoning",
        style.NONCOMPLIANT: "then did not\ncomply",
    }
    style.legend_of_fills(figure, fills)
    of = f", {table['model'].iloc[0]}" if table["model"].nunique() == 1 else ""
    note = (
        f"Cumulative: a row counts all that got at least this far. {style.sample_size_note(table['n'])}"
    )
    heading = f"What scratchpads in training contain{of}"
    return style.finish(figure, heading, table, " ".join(sentences), note)
