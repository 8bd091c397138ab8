"""Do corrected gaps cover the truth when the judge errs? And how good is the judge without a model?

Writes its two tables into docs/judging.md. `python benchmarks/judge_error.py` takes a few minutes.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.special import ndtr, ndtri

from afanalysis.judging.rules import apply_rules
from afanalysis.stats.gap_intervals import gap_interval, paired
from afanalysis.stats.judge_correction import Judged, Verification, corrected_pair
from afanalysis.stats.rate_intervals import clustered
from afanalysis.study.label_sample import sample_for_labels
from afanalysis.text import markup
from afanalysis.text.wording import percent

DOCS = Path(__file__).parents[1] / "docs" / "judging.md"
ICC, SHARED, PROMPTS, SAMPLES, LABELS = 0.3, 0.7, 100, 5, 200


@dataclass(frozen=True)
class Case:
    """True rates (free, paid), and the judge's sensitivity and specificity in each tier."""

    title: str
    rates: tuple[float, float]
    sensitivity: tuple[float, float] = (0.85, 0.85)
    specificity: tuple[float, float] = (0.92, 0.92)
    prompts: int = PROMPTS
    others: tuple[tuple[float, float], ...] = ()  # further conditions whose labels are pooled


CASES = (
    Case("the paper's helpful-only rates", (0.142, 0.028)),
    Case("the paper's animal-welfare rates", (0.492, 0.344)),
    Case("no gap", (0.10, 0.10)),
    Case("no gap, judge worse in the free tier", (0.10, 0.10), specificity=(0.88, 0.97)),
    Case("a gap hidden by the judge", (0.20, 0.12), sensitivity=(0.6, 0.95)),
    Case("a large gap", (0.40, 0.10)),
    Case("40 prompts", (0.142, 0.028), prompts=40),
    Case(
        "labels pooled over four conditions",
        (0.142, 0.028),
        others=((0.25, 0.03), (0.08, 0.02), (0.12, 0.05)),
    ),
)


def answers(rng: np.random.Generator, case: Case, rates: tuple[float, float]) -> pd.DataFrame:
    """One condition's rollouts with truth and verdict; prompts as the stand-in makes them."""
    spread = np.sqrt(ICC / (1 - ICC))
    shared = rng.standard_normal(case.prompts)
    parts = []
    for at, tier in enumerate(("free", "paid")):
        z = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.standard_normal(case.prompts)
        chance = ndtr(ndtri(rates[at]) * np.sqrt(1 + spread**2) + spread * z)
        truth = rng.random((case.prompts, SAMPLES)) < chance[:, None]
        luck = rng.random(truth.shape)
        judged = np.where(truth, luck < case.sensitivity[at], luck >= case.specificity[at])
        prompt = np.repeat(np.arange(case.prompts), SAMPLES)
        parts.append(
            pd.DataFrame(
                {"tier": tier, "prompt_id": prompt, "truth": truth.ravel(), "complied": judged.ravel()}
            )
        )
    return pd.concat(parts, ignore_index=True)


def one_study(seed: int, case: Case) -> dict[str, tuple[float, float]]:
    """The gap's interval by each method in one simulated study."""
    rng = np.random.default_rng(seed)
    conditions = [
        answers(rng, case, rates).assign(condition=at)
        for at, rates in enumerate((case.rates, *case.others))
    ]
    table = pd.concat(conditions, ignore_index=True)
    table["rollout"] = table.index.astype(str)
    # the sampler's view of it: no AF reasoning, a judge that is always sure
    view = table.assign(setting="s", valid=True, af_reasoning=0.0, judge_confidence=1.0)
    drawn = sample_for_labels(view, LABELS, seed=seed)
    label = drawn.merge(table, on="rollout")
    label["weight"] = label["stratum_size"] / label.groupby("stratum")["rollout"].transform("size")
    own = not case.others
    counts, checked = {}, {}
    for tier in ("free", "paid"):
        of_tier, labels = table[table["tier"] == tier], label[label["tier"] == tier]
        first = of_tier[of_tier["condition"] == 0].groupby("prompt_id")["complied"]
        counts[tier] = (first.size().to_numpy(float), first.sum().to_numpy(float))
        checked[tier] = Verification.of(
            of_tier["complied"].mean(),
            labels["complied"],
            labels["truth"],
            labels["weight"],
            labels["prompt_id"],
        )
    both = paired(*counts["free"], *counts["paid"])
    judged = {tier: Judged(clustered(*counts[tier]), checked[tier], own) for tier in counts}
    fixed = corrected_pair(judged["free"], judged["paid"], float(both.correlation), seed=seed)
    return {"raw": tuple(map(float, gap_interval(both))), "corrected": (fixed.gap.low, fixed.gap.high)}


def coverage(case: Case, repeats: int, pool: Pool) -> dict[str, str]:
    """One row of the table."""
    studies = pool.starmap(one_study, [(seed, case) for seed in range(repeats)], chunksize=10)
    true = case.rates[0] - case.rates[1]
    row = {"case": case.title, "true gap": f"{percent(true)}"}
    for name in ("raw", "corrected"):
        ends = np.array([study[name] for study in studies])
        covers = ((ends[:, 0] <= true) & (true <= ends[:, 1])).mean()
        width = 100 * (ends[:, 1] - ends[:, 0]).mean()
        row[name] = f"{100 * covers:.1f} % ({width:.0f})"
    return row


def rules() -> pd.DataFrame:
    """The rule-based judge on the hard cases: which kinds it gets wrong."""
    cases = yaml.safe_load(Path(__file__).with_name("hard_cases.yaml").read_text(encoding="utf-8"))
    rows = []
    for case in cases:
        found = apply_rules(case["setting"], case["scratchpad"], case["output"])
        af = "full" if found["af_full"] else "partial" if found["af_partial"] else "none"
        rows.append(
            {
                "kind": case["kind"],
                "behaviour": "right" if found["complied"] == case["complied"] else "wrong",
                "AF reasoning": "right" if af == case["af"] else f"wrong ({af})",
            }
        )
    return pd.DataFrame(rows)


def put(name: str, text: str) -> None:
    """Put a table between its marks in docs/judging.md."""
    marks = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = DOCS.read_text(encoding="utf-8")
    pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
    DOCS.write_text(
        re.sub(pattern, lambda _: f"{marks[0]}\n{text}{marks[1]}", page, flags=re.S), encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    with Pool() as pool:
        table = pd.DataFrame([coverage(case, repeats, pool) for case in CASES])
    text = markup.to_markdown(table)
    print(text)
    if repeats == 500:
        put("coverage", text)
    found = rules()
    right = [(found[name] == "right").sum() for name in ("behaviour", "AF reasoning")]
    said = f"{right[0]} of {len(found)} right on behaviour, {right[1]} of {len(found)} on AF reasoning."
    text = f"\n{said}\n\n{markup.to_markdown(found)}"
    print(text)
    put("rules", text)


if __name__ == "__main__":
    main()
