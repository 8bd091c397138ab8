"""Sliders under the headline figure: it is drawn again from counts, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipywidgets
    import pandas as pd
from afanalysis.analysis.conditions import main_variation, sources
from afanalysis.figures import compliance_by_tier
from afanalysis.stats import rate_intervals as statistics
from afanalysis.stats.gap_intervals import gap_interval, paired
from afanalysis.table.source import distinct, opened

_RATE_METHODS = ("wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive")

_GAP_METHODS = ("adjusted-t", "mover", "cluster-t", "unpaired", "paper")

_OUTCOMES = ("complied", "af_reasoning")


class Counts:
    """Counts by setting, tier, prompt and the judge's confidence: all that the figure needs."""

    def __init__(self, data: Any, variation: str | None = None) -> None:
        with opened(data) as source:
            self.variation = variation or main_variation(distinct(source, "variation"))
            parts = [
                source.connection.execute(
                    f"SELECT '{name}' AS outcome, setting, tier, prompt_id, model, "
                    f"coalesce(judge_confidence, 1) AS confidence, count({name}) AS n, "
                    f"coalesce(sum({name}::DOUBLE), 0) AS s FROM rollouts "
                    "WHERE valid AND variation = ? AND model = (SELECT min(model) FROM rollouts) "
                    "GROUP BY ALL HAVING n > 0 ORDER BY ALL",
                    [self.variation],
                ).df()
                for name in _OUTCOMES
            ]
            self.source = sources(source)
        import pandas as pd

        self.table = pd.concat(parts, ignore_index=True)
        self.most_prompts = int(self.table.groupby("setting")["prompt_id"].nunique().min())

    def estimates(
        self, level: float, rate_method: str, gap_method: str, min_prompts: int, confidence: float
    ) -> pd.DataFrame:
        """What the figure draws: rates and gaps of the verdicts that are confident enough.

        Settings with fewer than `min_prompts` prompts are left out.
        """
        import pandas as pd

        kept = self.table[self.table["confidence"] >= confidence]
        keys = ["outcome", "setting", "model", "prompt_id", "tier"]
        kept = kept.groupby(keys, as_index=False)[["n", "s"]].sum()
        rows = []
        for (setting, model), part in kept.groupby(["setting", "model"]):
            if part["prompt_id"].nunique() < min_prompts or part["tier"].nunique() < 2:
                continue
            shared = {"setting": setting, "model": model, "variation": self.variation}
            shared |= {"source": self.source, "level": level}
            for (outcome, tier), one in part.groupby(["outcome", "tier"]):
                found = statistics.clustered(one["n"], one["s"])
                low, high = statistics.interval(found, level, rate_method)
                ends = {"estimate": float(found.rate), "low": float(low), "high": float(high)}
                rows.append(shared | ends | {"quantity": outcome, "tier": tier, "n": float(found.n)})
            wide = part[part["outcome"] == "complied"].pivot_table(
                index="prompt_id", columns="tier", values=["n", "s"], fill_value=0
            )
            counts = paired(*(wide[x, tier] for tier in ("free", "paid") for x in "ns"))
            low, high = gap_interval(counts, level, gap_method)
            ends = {"estimate": float(counts.gap), "low": float(low), "high": float(high)}
            n = float(min(counts.free.n, counts.paid.n))
            rows.append(shared | ends | {"quantity": "compliance_gap", "tier": "both", "n": n})
        return pd.DataFrame(rows)


def play(data: Any, *, variation: str | None = None) -> ipywidgets.Widget:
    """The headline figure with sliders: level, methods, fewest prompts, and the judge's confidence.

    Parameters
    ----------
    data
        Rollouts as a DataFrame or path.
    variation
        Which prompt variation.
    """
    import ipywidgets

    counts = Counts(data, variation)
    wide = {"description_width": "8rem"}
    level = ipywidgets.FloatSlider(
        0.95, min=0.5, max=0.99, step=0.01, description="level", style=wide, continuous_update=False
    )
    rate = ipywidgets.Dropdown(options=_RATE_METHODS, description="rates by", style=wide)
    gap = ipywidgets.Dropdown(options=_GAP_METHODS, description="gap by", style=wide)
    fewest = ipywidgets.IntSlider(
        1,
        min=1,
        max=counts.most_prompts,
        description="fewest prompts",
        style=wide,
        continuous_update=False,
    )
    sure = ipywidgets.FloatSlider(
        0.0,
        min=0.0,
        max=1.0,
        step=0.05,
        description="judge at least",
        style=wide,
        continuous_update=False,
    )
    picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
    said = ipywidgets.HTML()

    def draw(_: Any = None) -> None:
        table = counts.estimates(level.value, rate.value, gap.value, fewest.value, sure.value)
        if table.empty:
            picture.value, said.value = b"", "No setting has so many prompts."
            return
        figure = compliance_by_tier(table)
        picture.value, said.value = figure._repr_png_(), figure.alt

    for control in (level, rate, gap, fewest, sure):
        control.observe(draw, names="value")
    draw()
    return ipywidgets.VBox([level, rate, gap, fewest, sure, picture, said])
