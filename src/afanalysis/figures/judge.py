"""What the judge's error does: raw beside corrected, and how wrong it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
from afanalysis.analysis.conditions import main_variation
from afanalysis.figures import style
from afanalysis.text.wording import interval, percent

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
    gaps = table[table["tier"] == "both"].dropna(subset="corrected")
    moved = int(((gaps["shift_low"] > 0) | (gaps["shift_high"] < 0)).sum())
    said = f"In {moved} of {len(gaps)} conditions the judge's error shifts the gap by more than chance."
    return style.remember(figure, table, said)


_ABOUT = {"behaviour": "behaviour", "af": "AF reasoning"}

_SENSITIVITIES = ((1.0, "-"), (0.9, "--"), (0.8, ":"))

_MOST_WRONG = 0.3


def judge_sensitivity(table: pd.DataFrame, model: str | None = None) -> style.TracedFigure:
    """How wrong must the judge be for the gap to vanish?

    The gap that would be true if the judge called this share of refusals compliance, for three
    sensitivities: wrong so in the free tier only (upper row), and alike in both tiers (lower row).

    Parameters
    ----------
    table
        Estimates; the default prompt is drawn.
    model
        Which model; by default claude-3-opus, or the first by name.

    Returns
    -------
    TracedFigure
        Its `rows`: `setting`, `wrong_in` (`free`, `both`), `sensitivity`, `false_alarms`, `estimate`,
        `low`, `high`: the interval is that of the raw gap, scaled as the gap is.
    """
    import numpy as np
    import pandas as pd

    model = style.model_of(table, model)
    main = main_variation(table["variation"])
    drawn = table[(table["variation"] == main) & (table["model"] == model)]
    settings = style.settings_of(drawn)
    alarms = np.linspace(0, _MOST_WRONG, 121)
    parts, ends = [], []
    for setting in settings:
        part = drawn[drawn["setting"] == setting].set_index(["quantity", "tier"])
        free, paid = (part.loc[("complied", tier), "estimate"] for tier in ("free", "paid"))
        gap = part.loc[("compliance_gap", "both")]
        for wrong_in in ("free", "both"):
            for sensitivity, _ in _SENSITIVITIES:
                slope = sensitivity - alarms
                other = alarms if wrong_in == "both" else np.zeros_like(alarms)
                true_free = _possible((free - alarms) / slope)
                true_paid = _possible((paid - other) / (sensitivity - other))
                parts.append(
                    pd.DataFrame(
                        {
                            "setting": setting,
                            "wrong_in": wrong_in,
                            "sensitivity": sensitivity,
                            "false_alarms": alarms,
                            "estimate": true_free - true_paid,
                            "low": true_free - true_paid - (gap["estimate"] - gap["low"]) / slope,
                            "high": true_free - true_paid + (gap["high"] - gap["estimate"]) / slope,
                        }
                    )
                )
        ends.append((setting, _vanishes(parts[-2 * len(_SENSITIVITIES)], gap["estimate"])))
    rows = pd.concat(parts, ignore_index=True).assign(source=drawn["source"].iloc[0])
    rows[["low", "high"]] = rows[["low", "high"]].clip(-1, 1)
    with style.styled():
        figure = style.new_figure(style.DOUBLE_COLUMN, 4.2)
        panels = figure.subplots(2, len(settings), sharex=True, sharey=True, squeeze=False)
        for row, wrong_in in enumerate(("free", "both")):
            for column, setting in enumerate(settings):
                axes = panels[row, column]
                axes.axhline(0, color=style.FAINT, lw=0.6)
                for sensitivity, dash in _SENSITIVITIES:
                    part = rows[
                        (rows["setting"] == setting)
                        & (rows["wrong_in"] == wrong_in)
                        & (rows["sensitivity"] == sensitivity)
                    ]
                    x = 100 * part["false_alarms"]
                    axes.plot(
                        x,
                        100 * part["estimate"],
                        color=style.GAP,
                        ls=dash,
                        label=f"sensitivity {100 * sensitivity:.0f} %",
                    )
                    if sensitivity == 1:
                        axes.fill_between(
                            x, 100 * part["low"], 100 * part["high"], color=style.GAP, alpha=0.15, lw=0
                        )
                where = "in the free tier only" if wrong_in == "free" else "in both tiers alike"
                axes.set_title(f"{style.SETTINGS[setting]}: wrong {where}")
                axes.grid()
                axes.set_xlim(0, 100 * _MOST_WRONG)
            panels[row, 0].set_ylabel("gap that is left (points)")
        for axes in panels[-1]:
            axes.set_xlabel("refusals that the judge calls compliance (%)")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        style.title(figure, f"How wrong must the judge be? {model}")
        style.note_source(
            figure,
            drawn,
            "Band: of the raw gap, scaled with it, at sensitivity 100 %. Lines end where the judge "
            "would have been wrong more often than it said compliance.",
        )
    said = [
        f"{style.SETTINGS[setting]}: the gap vanishes if the judge calls {percent(at)} % of refusals "
        "compliance in the free tier and none in the paid one."
        if at is not None
        else f"{style.SETTINGS[setting]}: no error up to {percent(_MOST_WRONG, 0)} % makes it vanish."
        for setting, at in ends
    ]
    return style.remember(figure, rows, " ".join(said))


def _possible(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates outside 0-1 are missing: a judge cannot have been that wrong, given what it said."""
    import numpy as np

    return np.where((rates >= 0) & (rates <= 1), rates, np.nan)


def _vanishes(curve: pd.DataFrame, gap: float) -> float | None:
    """The share of false alarms at which the gap changes its sign, if it does."""
    crossed = curve[curve["estimate"] * gap <= 0]
    return None if crossed.empty else float(crossed["false_alarms"].iloc[0])


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
        Labellers on the left where there are two, the judge by tier on the right.
    """
    import pandas as pd

    tiers = errors[errors["tier"] != "free - paid"].rename(columns={"value": "estimate"})
    tiers = tiers.dropna(subset="estimate")
    people = pairs.rename(columns={"value": "estimate"})
    blocks = (
        [
            (
                people,
                [
                    f"{row['first']} – {row['second']}, {_ABOUT[row['about']]}: {row['measure']}"
                    for _, row in people.iterrows()
                ],
                "labellers with each other",
            )
        ]
        if len(people)
        else []
    )
    names = [
        f"{style.SETTINGS[row['setting']]}, {row['tier']} tier: {row['measure']}"
        for _, row in tiers.iterrows()
    ]
    blocks.append((tiers, names, "judge against labels"))
    with style.styled():
        heights = [len(block) + 1.5 for block, _, _ in blocks]
        figure = style.new_figure(style.DOUBLE_COLUMN * 0.85, 0.8 + 0.19 * sum(heights))
        panels = figure.subplots(len(blocks), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (block, labels, heading) in zip(panels, blocks, strict=True):
            colours = [
                {"free": style.FREE, "paid": style.PAID}.get(tier, style.INK)
                for tier in (block["tier"] if "tier" in block else [""] * len(block))
            ]
            for at, colour in enumerate(colours):
                style.points(axes, None, [at], along="x", rows=block.iloc[[at]], color=colour)
            style.name_rows(axes, [(label, False) for label in labels])
            axes.set_xlim(min(-2.0, 100 * block["low"].min() - 2), 102)
            axes.set_xlabel(f"{heading} (%)")
        style.title(figure, "Agreement of labellers, and of the judge with them")
        n = int(errors.loc[errors["tier"] == "free - paid", "labels"].iloc[::2].sum())
        rows = pd.concat([block for block, _, _ in blocks], ignore_index=True).assign(source=source)
        style.note_source(figure, rows, f"n = {n} labelled rollouts.")
    worst = tiers.loc[tiers["estimate"].idxmin()]
    said = (
        f"The judge's lowest value is its {worst['measure']} in the {worst['tier']} tier of the "
        f"{style.SETTINGS[worst['setting']].lower()} setting: {percent(worst['estimate'])} % "
        f"{interval(worst['low'], worst['high'])}."
    )
    return style.remember(figure, rows, said)
