"""Sliders under the headline figure, which is redrawn from counts at once."""

from typing import Any

import ipywidgets
import pandas as pd

from afanalysis.analysis.conditions import Tiers, gap_name, main_variation, of_gap, sources
from afanalysis.analysis.quantities import measured_and_gaps
from afanalysis.figures import compliance_by_tier
from afanalysis.table.counting import NUMBERS, counts
from afanalysis.table.source import distinct, opened

_RATE_METHODS = ("bounded", "wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive")

_GAP_METHODS = ("bounded", "adjusted-t", "mover", "cluster-t", "unpaired", "paper")


class Counts:
    """Counts by setting, tier, prompt and the judge's confidence: all that the figure needs."""

    def __init__(self, data: Any, variation: str | None = None, tiers: Tiers | None = None) -> None:
        by = ["setting", "tier", "model", "variation", "judge_confidence"]
        with opened(data) as source:
            self.variation = variation or main_variation(distinct(source, "variation"))
            self.source = sources(source)
            counted = counts(source, ["complied", "af_reasoning"], by)
        _, self.tiers = of_gap(counted, tiers)
        shown = counted["variation"] == self.variation
        self.table = counted[shown & (counted["n"] > 0)].fillna({"judge_confidence": 1.0})
        self.most_prompts = int(self.table.groupby("setting")["prompt_id"].nunique().min())

    def estimates(
        self, level: float, rate_method: str, gap_method: str, min_prompts: int, confidence: float
    ) -> pd.DataFrame:
        """What the figure draws: rates and gaps of the verdicts that are confident enough.

        Models and settings with fewer than `min_prompts` prompts, or with one tier only, are left out.
        """
        condition = ["setting", "model"]
        kept = self.table[self.table["judge_confidence"] >= confidence]
        cells = kept.groupby(["outcome", *condition, "prompt_id", "tier"], as_index=False)
        kept = cells[list(NUMBERS)].sum()
        by_setting = kept.groupby(condition)
        enough = by_setting["prompt_id"].transform("nunique") >= min_prompts
        kept = kept[enough & (by_setting["tier"].transform("nunique") > 1)]
        if kept.empty:
            return kept
        rates, gaps = measured_and_gaps(kept, condition, level, rate_method, gap_method, self.tiers)
        name = {"quantity": "compliance_gap", "tier": gap_name(self.tiers)}
        gaps = gaps.rename(columns={"gap": "estimate"}).assign(**name)
        table = pd.concat([rates, gaps])
        table = table[[*condition, "quantity", "tier", "estimate", "low", "high", "n"]]
        return table.assign(variation=self.variation, source=self.source, level=level)


def play(data: Any, *, variation: str | None = None, tiers: Tiers | None = None) -> ipywidgets.Widget:
    """The headline figure with sliders: level, methods, fewest prompts, and the judge's confidence.

    Parameters
    ----------
    data
        Rollouts as a DataFrame or path.
    variation
        The prompt variation to show of every model; by default `default`, or the first by name.
    tiers
        The tiers of the gap, as in `compliance_gap`.

    Returns
    -------
    ipywidgets.Widget
        For the last line of a notebook cell.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.play(af.example_rollouts())  # doctest: +SKIP
    """
    counted = Counts(data, variation, tiers)
    style = {"description_width": "8rem"}
    slider = {"style": style, "continuous_update": False}
    level = ipywidgets.FloatSlider(0.95, min=0.5, max=0.99, step=0.01, description="level", **slider)
    rate_method = ipywidgets.Dropdown(options=_RATE_METHODS, description="rates by", style=style)
    gap_method = ipywidgets.Dropdown(options=_GAP_METHODS, description="gap by", style=style)
    min_prompts = ipywidgets.IntSlider(
        1, min=1, max=counted.most_prompts, description="fewest prompts", **slider
    )
    confidence = ipywidgets.FloatSlider(
        0.0, min=0.0, max=1.0, step=0.05, description="judge at least", **slider
    )
    controls = [level, rate_method, gap_method, min_prompts, confidence]
    image = ipywidgets.Image(format="png", layout={"max_width": "100%"})
    sentence = ipywidgets.HTML()

    def draw(_: Any = None) -> None:
        table = counted.estimates(*(control.value for control in controls))
        if table.empty:
            image.value, sentence.value = b"", "No setting has that many prompts."
        else:
            figure = compliance_by_tier(table)
            image.value, sentence.value = figure._repr_png_(), figure.alt

    for control in controls:
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([*controls, image, sentence])
