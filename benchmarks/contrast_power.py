"""How often a true difference between two models is found: on the same prompts, and on other ones.

Writes the table between its marks in `docs/statistics.md`. Run: python benchmarks/contrast_power.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.gap_intervals import contrasts
from afanalysis.text import markup

DOCS = Path(__file__).parents[1] / "docs"
PROMPTS, SAMPLES = 100, 5

# By title the shares of prompts, and in each the free tier's compliance in two models; paid is 0.
CASES = {
    "15 % of prompts at .9 in one, at .5 in the other": [(0.15, 0.9, 0.5)],
    "30 % at .7 and .5": [(0.3, 0.7, 0.5)],
    "10 % at .9 in both, 5 % at .9 and 0": [(0.1, 0.9, 0.9), (0.05, 0.9, 0.0)],
    "10 % at .9 in both, 10 % at .5 and .2": [(0.1, 0.9, 0.9), (0.1, 0.5, 0.2)],
}


def gaps(
    kinds: list[tuple[float, float, float]], rng: np.random.Generator, studies: int
) -> list[np.ndarray]:
    """By model, study and prompt the gaps of models that answer the same prompts."""
    kind = rng.choice(
        len(kinds) + 1, p=[*(k[0] for k in kinds), 1 - sum(k[0] for k in kinds)], size=(studies, PROMPTS)
    )
    propensities = (np.array([*(k[model] for k in kinds), 0.0])[kind] for model in (1, 2))
    return [rng.binomial(SAMPLES, propensity) / SAMPLES for propensity in propensities]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    studies = parser.parse_args().studies
    rows = []
    for seed, (title, kinds) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        ours, theirs = gaps(kinds, rng, studies)
        _, elsewhere = gaps(kinds, rng, studies)
        first, second, other = (BoundedMean.of(values, -1, 1) for values in (ours, theirs, elsewhere))
        nothing, none = np.zeros_like(ours), np.zeros(ours.shape, dtype=bool)
        present = [np.concatenate(pair, -1) for pair in ((~none, none), (none, ~none))]
        apart = (
            BoundedMean.of(np.concatenate(pair, -1), -1, 1, where)
            for pair, where in zip(((ours, nothing), (nothing, elsewhere)), present, strict=True)
        )
        (low, _), (_, high) = first.interval(), other.interval()
        found = {
            "same prompts (`p_value`)": contrasts(first, second)["p_value"] <= 0.05,
            "other prompts (`p_value`)": contrasts(*apart)["p_value"] <= 0.05,
            "printed intervals do not overlap": low > high,
        }
        rows.append(
            {"two models": title} | {name: f"{power.mean():.2f}" for name, power in found.items()}
        )
    table = markup.to_markdown(pd.DataFrame(rows))
    print(table)
    path = DOCS / "statistics.md"
    begin, end = "<!-- power: made by benchmarks/contrast_power.py -->", "<!-- end of power -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
