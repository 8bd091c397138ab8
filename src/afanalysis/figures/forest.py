"""Conditions beside each other, and how far they differ."""

from __future__ import annotations

import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, percent, with_interval

_SUMMARY = {"mean": "mean of these", "predicted": "one more would lie in"}


@style.styled()
def gap_forest(gaps: pd.DataFrame, heterogeneity: pd.DataFrame) -> style.TracedFigure:
    """The compliance gap of every condition, with the mean over conditions and how far they differ.

    Parameters
    ----------
    gaps
        Estimates of the gap, of several models or of several variations.
    heterogeneity
        What `afanalysis.gap_heterogeneity` gives of them by setting.

    Returns
    -------
    TracedFigure
        One panel per setting; its `rows` the gaps drawn and, with the labels `mean` and `predicted`, the
        random-effects mean and the range of one more condition (proportions).

    Examples
    --------
    >>> import afanalysis as af
    >>> estimates = af.published.estimates()
    >>> gaps = estimates[(estimates["quantity"] == "compliance_gap") & (estimates["label"] == "default")]
    >>> gaps = gaps.assign(model=["a", "b"], setting="helpful-only")
    >>> af.figures.gap_forest(gaps, af.gap_heterogeneity(gaps)).heading
    'Do models differ by more than chance?'
    """
    over = "model" if gaps["model"].nunique() > 1 else "variation"
    counts = dict(zip(heterogeneity["setting"], heterogeneity["k"], strict=True))
    figure, panels = style.setting_panels(
        heterogeneity, 1.45 + 0.19 * (max(counts.values()) + 2), sharey=False
    )
    blocks, sentences = [], []
    for setting, (axes,) in panels.items():
        part = gaps[gaps["setting"] == setting].sort_values("estimate", ascending=False)
        part = part.assign(label=part[over])
        spread = heterogeneity[heterogeneity["setting"] == setting].iloc[0]
        summary = pd.DataFrame(
            {
                "label": list(_SUMMARY),
                "estimate": spread["pooled"],
                "low": spread[["low", "predicted_low"]].to_numpy(float),
                "high": spread[["high", "predicted_high"]].to_numpy(float),
            }
        ).assign(setting=setting, tau=spread["tau"], i2=spread["i2"], source=part["source"].iloc[0])
        blocks += [part, summary]
        names = [*part["label"], *_SUMMARY.values()]
        places = [row + 0.3 * (row >= len(part)) for row in range(len(names))]
        style.name_rows([axes], [style.Row(*row) for row in zip(places, names, strict=True)])
        style.points(axes, places[:-2], part, color=style.GAP)
        style.points(axes, places[-2:-1], summary.iloc[:1], marker="D", ms=4)
        predicted = summary.iloc[1:]
        style.points(axes, places[-1:], predicted, marker="", lw=2.2, color=style.FAINT)
        style.row_axes(axes, style.GAP_LABEL)
        share, tau = f"{100 * spread['i2']:.0f} %", percent(spread["tau"])
        axes.set_title(f"{SETTINGS[setting]}: I² = {share}, τ = {tau} points", fontsize=7)
        pooled = with_interval(spread[["pooled", "low", "high"]], "points")
        sentences.append(
            f"{SETTINGS[setting]}: mean gap {pooled} over {spread['k']} {over}s; {share} of their "
            "variance is more than chance."
        )
    rows = pd.concat(blocks, ignore_index=True)
    note = f"Random-effects mean (Paule–Mandel, Hartung–Knapp). {style.sample_size_note(gaps['n'])}"
    heading = f"Do {over}s differ by more than chance?"
    return style.finish(figure, heading, rows, " ".join(sentences), note)
