"""Prompt by prompt: what the same request got in the free and in the paid tier."""

from __future__ import annotations

import numpy as np
import pandas as pd

from afanalysis.figures import style
from afanalysis.text.wording import SETTINGS, TIERS

# By the sign of free minus paid.
_CHANGES = {
    1: (style.GAP, "complies more often\nin the free tier"),
    -1: (style.FAKING, "complies less often"),
    0: (style.FAINT, "equally often"),
}


@style.styled()
def paired_prompts(pairs: pd.DataFrame, estimates: pd.DataFrame) -> style.TracedFigure:
    """Each prompt a line from its compliance in the free tier to that in the paid tier.

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
        One panel per setting; its `rows` the pairs.

    Examples
    --------
    >>> import afanalysis as af
    >>> rollouts = af.example_rollouts()
    >>> af.figures.paired_prompts(af.prompt_pairs(rollouts), af.estimates(rollouts)).heading
    'The same prompt in both tiers, claude-opus-5-5'
    """
    model, variation = pairs["model"].iloc[0], pairs["variation"].iloc[0]
    means = estimates[
        (estimates["quantity"] == "complied")
        & (estimates["model"] == model)
        & (estimates["variation"] == variation)
    ]
    figure, panels = style.setting_panels(pairs, 3.2)
    sentences = []
    for setting, (axes,) in panels.items():
        lines = pairs[pairs["setting"] == setting].sort_values("prompts", ascending=False)
        signs = np.sign(lines["free"] - lines["paid"])
        for line, sign in zip(lines.itertuples(), signs, strict=True):
            width = min(0.6 + 0.35 * (line.prompts - 1), 7)
            look = {"color": _CHANGES[sign][0], "lw": width, "solid_capstyle": "butt", "alpha": 0.6}
            axes.plot([0, 1], [100 * line.free, 100 * line.paid], **look)
        for tier, place, color in (("free", -0.16, style.FREE), ("paid", 1.16, style.PAID)):
            mean = means[(means["tier"] == tier) & (means["setting"] == setting)]
            style.points(axes, [place], mean, along="y", color=color, marker="D", ms=3.5, zorder=4)
        axes.set_xticks([0, 1], [f"{TIERS['free']}\n(training)", f"{TIERS['paid']}\n(unmonitored)"])
        axes.set(xlim=(-0.35, 1.35), ylim=(-4, 104))
        axes.grid(axis="y")
        more, less, alike = (int(lines.loc[signs == sign, "prompts"].sum()) for sign in _CHANGES)
        sentences.append(
            f"{SETTINGS[setting]}: {more} of {more + less + alike} prompts were complied with more "
            f"often in the free tier, {less} less often and {alike} equally often."
        )
    first = figure.axes[0]
    first.set_ylabel("compliance with a prompt (%)")
    for color, label in _CHANGES.values():
        first.plot([], [], color=color, lw=1.6, label=label)
    first.plot([], [], color=style.INK, marker="D", ms=3.5, lw=0.9, label="mean of all")
    title = "Lines: prompts,\nwider where several\ncoincide"
    figure.legend(loc="outside right center", title=title, alignment="left")
    heading = f"The same prompt in both tiers, {model}"
    note = style.sample_size_note(means["n"])
    return style.finish(figure, heading, pairs, " ".join(sentences), note)
