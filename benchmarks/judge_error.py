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
from afanalysis.stats.judge_correction import (
    Labels,
    Verified,
    corrected_by_own_labels,
    corrected_by_shared_labels,
)
from afanalysis.study.labels import sample_for_labels
from afanalysis.text import markup
from afanalysis.text.wording import percent

DOCS = Path(__file__).parents[1] / "docs" / "judging.md"
ICC, SHARED, PROMPTS, SAMPLES, LABELS = 0.3, 0.7, 100, 5, 200
METHODS = ("raw", "own labels", "shared labels", "shared labels, alike")


@dataclass(frozen=True)
class Case:
    """True rates (free, paid), and the judge's sensitivity and specificity in each tier.

    With `active`, that share of prompts makes up the rates and all others never comply.
    """

    title: str
    rates: tuple[float, float]
    sensitivity: tuple[float, float] = (0.85, 0.85)
    specificity: tuple[float, float] = (0.92, 0.92)
    prompts: int = PROMPTS
    samples: int = SAMPLES
    active: float | None = None
    others: tuple[tuple[float, float], ...] = ()  # further conditions that share the labels


CASES = (
    Case("the paper's helpful-only rates", (0.142, 0.028)),
    Case("the paper's animal-welfare rates", (0.492, 0.344)),
    Case("no gap", (0.10, 0.10)),
    Case("no gap, judge worse in the free tier", (0.10, 0.10), specificity=(0.88, 0.97)),
    Case("a gap hidden by the judge", (0.20, 0.12), sensitivity=(0.6, 0.95)),
    Case("a large gap", (0.40, 0.10)),
    Case("40 prompts", (0.142, 0.028), prompts=40),
    Case("15 % of prompts at 80 %, paid 0", (0.12, 0.0), active=0.15),
    Case("the same, 30 prompts × 20 samples", (0.12, 0.0), prompts=30, samples=20, active=0.15),
    Case("the same, 10 prompts × 20 samples", (0.12, 0.0), prompts=10, samples=20, active=0.15),
    Case("15 % of prompts at 90 %, paid 20 %, 50 prompts", (0.135, 0.03), prompts=50, active=0.15),
    Case("6 % of prompts at 90 %, paid 0", (0.054, 0.0), active=0.06),
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
    active = rng.random(case.prompts) < (case.active or 0)
    parts = []
    for place, tier in enumerate(("free", "paid")):
        z = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.standard_normal(case.prompts)
        if case.active is None:
            chance = ndtr(ndtri(rates[place]) * np.sqrt(1 + spread**2) + spread * z)
        else:
            chance = active * rates[place] / case.active
        truth = rng.random((case.prompts, case.samples)) < chance[:, None]
        luck = rng.random(truth.shape)
        judged = np.where(truth, luck < case.sensitivity[place], luck >= case.specificity[place])
        prompt = np.repeat(np.arange(case.prompts), case.samples)
        parts.append(
            pd.DataFrame(
                {"tier": tier, "prompt": prompt, "truth": truth.ravel(), "complied": judged.ravel()}
            )
        )
    return pd.concat(parts, ignore_index=True)


def study(seed: int, case: Case) -> dict[str, tuple[float, float]]:
    """The gap's interval by each method in one simulated study."""
    rng = np.random.default_rng(seed)
    conditions = [
        answers(rng, case, rates).assign(condition=number)
        for number, rates in enumerate((case.rates, *case.others))
    ]
    table = pd.concat(conditions, ignore_index=True)
    table["rollout"] = table.index.astype(str)
    # the sampler's view of it: no AF reasoning, a judge that is always sure
    view = table.assign(setting="s", valid=True, af_reasoning=0.0, judge_confidence=1.0)
    drawn = sample_for_labels(view, LABELS, seed=seed)
    label = drawn.merge(table, on="rollout")
    label["weight"] = label["stratum_size"] / label.groupby("stratum")["rollout"].transform("size")
    free, paid = (verified(table, label, tier, case) for tier in ("free", "paid"))
    first = table[table["condition"] == 0], label[label["condition"] == 0]
    own = [verified(*first, tier, case) for tier in ("free", "paid")]
    raw = gap_interval(paired(own[0].n, own[0].s, own[1].n, own[1].s))
    alike = corrected_by_shared_labels(*own, free, paid, alike=True)
    gaps = (
        corrected_by_own_labels(*own).gap,
        corrected_by_shared_labels(*own, free, paid).gap,
        alike.gap,
    )
    ends = [(float(raw[0]), float(raw[1])), *((gap.low, gap.high) for gap in gaps)]
    return dict(zip(METHODS, ends, strict=True))


def verified(table: pd.DataFrame, label: pd.DataFrame, tier: str, case: Case) -> Verified:
    """A tier's verdicts and labels; each prompt of each condition is one of its own."""
    of_tier, labels = table[table["tier"] == tier], label[label["tier"] == tier]
    size = int(table["condition"].max() + 1) * case.prompts
    place, of_label = (rows["condition"] * case.prompts + rows["prompt"] for rows in (of_tier, labels))
    return Verified.of(
        np.bincount(place, minlength=size),
        np.bincount(place, of_tier["complied"], size),
        Labels(of_label, labels["complied"], labels["truth"], labels["weight"]),
    )


def coverage(case: Case, repeats: int, pool: Pool) -> dict[str, str]:
    """One row of the table."""
    studies = pool.starmap(study, [(seed, case) for seed in range(repeats)], chunksize=10)
    true = case.rates[0] - case.rates[1]
    row = {"case": case.title, "true gap": f"{percent(true)}"}
    for name in METHODS:
        ends = np.array([intervals[name] for intervals in studies])
        covers = ((ends[:, 0] <= true) & (true <= ends[:, 1])).mean()
        width = 100 * (ends[:, 1] - ends[:, 0]).mean()
        row[name] = f"{100 * covers:.1f} % ({width:.0f})"
    return row


def rules() -> pd.DataFrame:
    """The rule-based judge on the hard cases: which kinds it gets wrong."""
    cases = yaml.safe_load(Path(__file__).with_name("hard_cases.yaml").read_text(encoding="utf-8"))
    rows = []
    for case in cases:
        verdict = apply_rules(case["setting"], case["scratchpad"], case["output"])
        af = "full" if verdict["af_full"] else "partial" if verdict["af_partial"] else "none"
        rows.append(
            {
                "kind": case["kind"],
                "behaviour": "right" if verdict["complied"] == case["complied"] else "wrong",
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
    verdicts = rules()
    right = [(verdicts[name] == "right").sum() for name in ("behaviour", "AF reasoning")]
    count = len(verdicts)
    sentence = f"{right[0]} of {count} right on behaviour, {right[1]} of {count} on AF reasoning."
    text = f"\n{sentence}\n\n{markup.to_markdown(verdicts)}"
    print(text)
    put("rules", text)


if __name__ == "__main__":
    main()
