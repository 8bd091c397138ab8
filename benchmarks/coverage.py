"""Coverage of the intervals and error of the tests, by simulation.

    python benchmarks/coverage.py [--repeats 5000] [--processes 2] [--only rate|gap|...]

Writes every cell to docs/coverage.csv and the tables in docs/statistics.md; with `--only` the rows of
the other kinds stay. The populations are in populations.py. Beside the methods here: `paper` is estimate
± 1.96 SE as Greenblatt et al. (2024) compute SE; `Inspect` is the estimate over answers ± t · clustered
SE, as Inspect's `ci(method="t", cluster=...)`; `scipy` is `scipy.stats.bootstrap` (percentile) over
prompts, on fewer repeats and with 999 resamples for its cost.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from afanalysis.stats import gap_intervals, rate_intervals
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.gap_intervals import combined_intervals, independent_terms
from afanalysis.stats.hypothesis_tests import at_least_p_values, equivalence_p_values, sign_flip
from afanalysis.stats.judge_correction import (
    Labels,
    Verified,
    agreement,
    cohen_kappa,
    corrected_by_own_labels,
    corrected_by_shared_labels,
    gwet_ac1,
)
from afanalysis.stats.logistic_regression import logistic
from afanalysis.stats.meta_analysis import mean_over_conditions, random_effects
from afanalysis.stats.planning import confidence_sequence
from populations import FEW_CARRY, GAPS, RATES, SIZES, Population, answers, beta, beta_binomial, mixture

DOCS = Path(__file__).resolve().parents[1] / "docs"
PROMPTS = (20, 50, 100)
COLUMNS = (
    "of",
    "generator",
    "population",
    "sizes",
    "prompts",
    "method",
    "repeats",
    "coverage",
    "error",
    "width",
    "missed_low",
    "missed_high",
    "why",
)
SCIPY_REPEATS = 200
FLIP_REPEATS = 500

Row = dict[str, str | int | float]
Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One setting of the study: a kind of row, a population, sizes and a number of prompts."""

    of: str
    generator: str
    population: str
    sizes: str
    prompts: int
    why: str
    run: Callable[[Cell, int], Iterable[Row]]
    settings: tuple = ()

    def rng(self) -> np.random.Generator:
        name = repr((self.of, self.population, self.sizes, self.prompts))
        return np.random.default_rng(zlib.crc32(name.encode()))

    def interval(self, method: str, truth: float, low: np.ndarray, high: np.ndarray) -> Row:
        """The row of a method's intervals."""
        low, high = np.asarray(low), np.asarray(high)
        # an interval that ends at the truth holds it; rounding must not decide
        below, above = high < truth - 1e-9, low > truth + 1e-9
        return self._row(
            method,
            low.size,
            coverage=float(1 - (below | above).mean()),
            width=float((high - low).mean()),
            missed_low=float(below.mean()),
            missed_high=float(above.mean()),
        )

    def error(self, method: str, wrong: np.ndarray) -> Row:
        """The row of a test whose hypothesis is true."""
        return self._row(method, np.size(wrong), error=float(np.mean(wrong)))

    def _row(self, method: str, repeats: int, **values: float) -> Row:
        names = ("of", "generator", "population", "sizes", "prompts", "why")
        row: Row = {name: getattr(self, name) for name in names}
        return row | {"method": method, "repeats": repeats} | values


def scipy_interval(values: np.ndarray, present: np.ndarray) -> Ends:
    """The percentile bootstrap over the prompts of each study."""
    values, present = values[:SCIPY_REPEATS], present[:SCIPY_REPEATS]
    # studies with the same number of prompts at once
    counts = present.sum(-1)
    low, high = np.empty(len(values)), np.empty(len(values))
    for count in np.unique(counts):
        rows = counts == count
        sample = values[rows][present[rows]].reshape(-1, count)
        interval = stats.bootstrap(
            (sample,),
            np.mean,
            n_resamples=999,
            axis=-1,
            method="percentile",
            batch=32,
            rng=np.random.default_rng(0),
        ).confidence_interval
        low[rows], high[rows] = interval.low, interval.high
    return low, high


# Rates


def rate_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    (population,) = cell.settings
    rng = cell.rng()
    propensity, _ = population.draw(rng, (repeats, cell.prompts))
    n = answers(cell.sizes, rng, propensity)
    s = rng.binomial(n, propensity)
    truth = population.free
    alike, by_answers = (rate_intervals.clustered(n, s, w) for w in ("prompts", "answers"))
    yield cell.interval("bounded", truth, *rate_intervals.interval(alike))
    yield cell.interval("cluster-t", truth, *rate_intervals.interval(alike, method="cluster-t"))
    yield cell.interval("wilson, answers", truth, *rate_intervals.interval(by_answers))
    yield cell.interval("Inspect", truth, *rate_intervals.interval(by_answers, method="cluster-t"))
    half = 1.96 * np.sqrt(by_answers.rate * (1 - by_answers.rate) / by_answers.n)
    yield cell.interval("paper", truth, by_answers.rate - half, by_answers.rate + half)
    yield cell.interval("scipy", truth, *scipy_interval(alike.shares.values, n > 0))


# Gaps


def draw_gap(cell: Cell, repeats: int) -> tuple[np.ndarray, ...]:
    """Answers and successes of both tiers."""
    population: Population = cell.settings[0]
    rng = cell.rng()
    free, paid = population.draw(rng, (repeats, cell.prompts))
    n_free, n_paid = (answers(cell.sizes, rng, free) for _ in range(2))
    return n_free, rng.binomial(n_free, free), n_paid, rng.binomial(n_paid, paid)


def gap_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    truth = cell.settings[0].gap
    data = draw_gap(cell, repeats)
    alike, by_answers = (gap_intervals.paired(*data, weighting) for weighting in ("prompts", "answers"))
    yield cell.interval("bounded", truth, *gap_intervals.gap_interval(alike))
    yield cell.interval("cluster-t", truth, *gap_intervals.gap_interval(alike, method="cluster-t"))
    named = {"adjusted-t, answers": "adjusted-t", "Inspect": "cluster-t", "paper": "paper"}
    for name, method in named.items():
        yield cell.interval(name, truth, *gap_intervals.gap_interval(by_answers, method=method))
    x = alike.differences
    yield cell.interval("scipy", truth, *scipy_interval(x.values, x.present))


# Tests where their hypothesis is true


def test_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    truth = cell.settings[0].gap
    differences = gap_intervals.paired(*draw_gap(cell, repeats)).differences
    if truth == 0:
        yield cell.error("p of the gap", differences.p_value() <= 0.05)
        few = zip(differences.values[:FLIP_REPEATS], differences.present, strict=False)
        flips = [sign_flip(row[has], resamples=2000) <= 0.05 for row, has in few]
        yield cell.error("sign flip", flips)
    else:
        margin = abs(truth)
        yield cell.error("equivalence at the margin", equivalence_p_values(differences, margin) <= 0.05)
        yield cell.error("at least, at its threshold", at_least_p_values(differences, truth) <= 0.05)


def regression_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    """Two models on the same prompts, both tiers; the tier's and the interaction's p-values."""
    (draw,) = cell.settings
    rng = cell.rng()
    prompts = np.arange(cell.prompts)
    tier, model = np.repeat([0, 1, 0, 1], cell.prompts), np.repeat([0, 0, 1, 1], cell.prompts)
    both = np.tile(prompts, 4)
    interaction = np.column_stack([np.ones(tier.size), tier, model, tier * model]).astype(float)
    p_values: dict[str, list[tuple[float, float]]] = {"tier": [], "interaction": []}
    for repeat in range(min(repeats, FLIP_REPEATS)):
        has_effect, no_effect = draw(rng, cell.prompts)
        n = answers(cell.sizes, rng, np.zeros((4, cell.prompts))).ravel()
        s = rng.binomial(n, np.concatenate(no_effect))
        first = tier.size // 2
        fit = logistic(
            n[:first],
            s[:first],
            interaction[:first, :2],
            both[:first],
            strata={1: both[:first]},
        )
        p_values["tier"].append((fit.p_value[1], fit.p_sign_flip[1]))
        if repeat < FLIP_REPEATS // 2:
            s = rng.binomial(n, np.concatenate(has_effect))
            fit = logistic(n, s, interaction, both)
            p_values["interaction"].append((fit.p_value[3], fit.p_sign_flip[3]))
    for term, pairs in p_values.items():
        for column, name in enumerate(("p", "sign flip")):
            yield cell.error(f"regression, {term}: {name}", np.array(pairs)[:, column] <= 0.05)


def _mixture_cells(rng: np.random.Generator, prompts: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rate = 0.5 * (rng.random(prompts) < 0.15)
    return [rate] * 4, [rate] * 4


def _beta_cells(rng: np.random.Generator, prompts: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rate = beta(0.12, 0.3, rng.standard_normal(prompts))
    return [rate] * 4, [rate] * 4


def _additive_cells(rng: np.random.Generator, prompts: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Tier and model add up on the log-odds scale."""
    z = rng.normal(-1.5, 1.2, prompts)
    main = [special.expit(z + shift) for shift in (0, 0.8, 0.6, 1.4)]
    return main, [special.expit(z)] * 4


# Contrasts of two gaps


@dataclass(frozen=True)
class TwoConditions:
    """Propensities (free, paid) of the same prompts under two conditions."""

    name: str
    family: str
    difference: float
    draw: Callable[[np.random.Generator, tuple[int, int]], tuple[np.ndarray, ...]]


def _alike(first: Population, second: Population | None = None) -> TwoConditions:
    """Two conditions; the second has the propensities of the first unless another is given."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
        a = first.draw(rng, shape)
        return (*a, *(a if second is None else second.draw(rng, shape)))

    name = f"{first.name} twice" if second is None else f"{first.name}; {second.name}"
    return TwoConditions(name, first.family, first.gap - (second or first).gap, draw)


def _scaled(
    name: str, share: float, a: tuple[float, float], b: tuple[float, float], family: str
) -> TwoConditions:
    """A share of prompts has these (free, paid) propensities under both conditions."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
        active = rng.random(shape) < share
        return tuple(rate * active for rate in (*a, *b))

    return TwoConditions(name, family, share * (a[0] - a[1] - b[0] + b[1]), draw)


def _beta_twice(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    z = rng.standard_normal(shape)
    return tuple(beta(rate, 0.3, z) for rate in (0.14, 0.03, 0.08, 0.03))


def _logit_twice(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    z = 2 * rng.standard_normal(shape)
    return tuple(special.expit(mean + z) for mean in (-2.0, -3.0, -3.0, -2.0))


def _reversed(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """As many prompts on which the first is high and the second low as the reverse."""
    kind = rng.choice(3, p=[0.84, 0.08, 0.08], size=shape)
    nothing = np.zeros(shape)
    return np.array([0, 0.9, 0.2])[kind], nothing, np.array([0, 0.2, 0.9])[kind], nothing


_LOGIT_GAP = next(p for p in GAPS if p.name == "logit-normal -2/-3, sd 2").gap
CONTRASTS = [
    _alike(mixture("15 % at .8/0", [(0.15, 0.8, 0)])),
    _scaled("30 % at .7/.1; .5/.1", 0.3, (0.7, 0.1), (0.5, 0.1), "tuned"),
    _scaled("15 % at .9/.2; .9/.5", 0.15, (0.9, 0.2), (0.9, 0.5), "tuned"),
    _scaled("6 % at .9/0; .5/0", 0.06, (0.9, 0.0), (0.5, 0.0), "tuned"),
    TwoConditions("beta .03+.11; .03+.05, ICC .3", "tuned", 0.06, _beta_twice),
    _alike(beta_binomial(0.005, 0.02, 0.3)),
    _alike(mixture("skewed: 5 % at .8/0", [(0.05, 0.8, 0)]), mixture("20 % at .2/0", [(0.2, 0.2, 0)])),
    TwoConditions("logit-normal -2/-3; -3/-2, sd 2", "held out", 2 * _LOGIT_GAP, _logit_twice),
    _scaled("8 % at 1/0; .5/0", 0.08, (1.0, 0.0), (0.5, 0.0), "held out"),
    TwoConditions("8 % at .9/0; .2/0, 8 % the reverse", "held out", 0.0, _reversed),
]


def contrast_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    conditions, shared = cell.settings
    rng = cell.rng()
    common = round(cell.prompts * shared)
    places = np.arange(2 * cell.prompts - common)
    rates = conditions.draw(rng, (repeats, places.size))
    present = [places < cell.prompts, places >= cell.prompts - common]
    samples = []
    for has, free, paid in zip(present, rates[::2], rates[1::2], strict=True):
        sizes = (answers(cell.sizes, rng, free) for _ in range(2))
        shares = [rng.binomial(n, rate) / n for n, rate in zip(sizes, (free, paid), strict=True)]
        samples.append(BoundedMean.of(shares[0] - shares[1], -1, 1, has))
    truth = conditions.difference
    first, second = samples
    intervals = combined_intervals(first.mean - second.mean, independent_terms(first, second))
    yield cell.interval("contrast", truth, *intervals(0.95))
    both = first.present & second.present
    e = [np.where(sample.present, sample.values - sample.mean[:, None], 0) for sample in samples]
    covariance = np.where(both, e[0] * e[1], 0).sum(-1) / cell.prompts**2
    se = np.sqrt(np.maximum(first.variance + second.variance - 2 * covariance, 0))
    half = stats.t.ppf(0.975, cell.prompts - 1) * se
    difference = first.mean - second.mean
    yield cell.interval("paired t", truth, difference - half, difference + half)
    # two printed intervals that do not overlap: what readers do without a contrast
    (low_a, high_a), (low_b, high_b) = (sample.interval() for sample in samples)
    if truth == 0:
        yield cell.error("two intervals apart", (low_a > high_b) | (low_b > high_a))


# Gaps corrected for the judge

JUDGES = {".85/.92": (0.85, 0.92), ".95/.995": (0.95, 0.995)}
CORRECTED = [
    mixture("15 % at .8/0", [(0.15, 0.8, 0)]),
    mixture("15 % at .9/.2", [(0.15, 0.9, 0.2)]),
    mixture("6 % at .9/0", [(0.06, 0.9, 0)]),
    mixture("10 % at .9/.9", [(0.1, 0.9, 0.9)]),
    beta_binomial(0.03, 0.11, 0.3),
    mixture("8 % at 1/0", [(0.08, 1, 0)], family="held out"),
]


def judged_study(
    rng: np.random.Generator,
    cell: Cell,
    rates: tuple[np.ndarray, np.ndarray],
    judge: tuple[float, float],
    labels: int,
) -> list[tuple[np.ndarray, np.ndarray, Labels]]:
    """One condition: by tier the answers, the positive verdicts and the labels.

    Labels are stratified by tier and verdict, by the square root of the strata's sizes.
    """
    tiers, strata = [], []
    for propensity in rates:
        n = answers(cell.sizes, rng, propensity)
        prompt = np.repeat(np.arange(cell.prompts), n)
        truth = rng.random(prompt.size) < propensity[prompt]
        luck = rng.random(prompt.size)
        verdict = np.where(truth, luck < judge[0], luck >= judge[1])
        tiers.append((n, prompt, truth, verdict))
        strata.append([np.flatnonzero(verdict == value) for value in (False, True)])
    root = np.sqrt([[stratum.size for stratum in pair] for pair in strata])
    share = np.rint(labels * root / root.sum()).astype(int)
    result = []
    for (n, prompt, truth, verdict), pair, sizes in zip(tiers, strata, share, strict=True):
        drawn = [
            rng.choice(stratum, min(max(size, 2), stratum.size), replace=False)
            for stratum, size in zip(pair, sizes, strict=True)
        ]
        weight = np.concatenate(
            [
                np.full(some.size, stratum.size / max(some.size, 1))
                for some, stratum in zip(drawn, pair, strict=True)
            ]
        )
        chosen = np.concatenate(drawn)
        positive = np.bincount(prompt, verdict, cell.prompts)
        result.append((n, positive, Labels(prompt[chosen], verdict[chosen], truth[chosen], weight)))
    return result


def corrected_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    population, judge = cell.settings
    rng = cell.rng()
    ends: dict[str, list[tuple[float, float]]] = {"own labels": [], "uncorrected": []}
    for _ in range(repeats):
        rates = tuple(tier[0] for tier in population.draw(rng, (1, cell.prompts)))
        tiers = [Verified.of(*tier) for tier in judged_study(rng, cell, rates, judge, 200)]
        gap = corrected_by_own_labels(*tiers).gap
        ends["own labels"].append((gap.low, gap.high))
        raw = BoundedMean.of(tiers[0].positive - tiers[1].positive, -1, 1).interval()
        ends["uncorrected"].append((float(raw[0]), float(raw[1])))
    for method, pairs in ends.items():
        yield cell.interval(method, population.gap, *np.array(pairs).T)


def shared_labels_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    """Four conditions with 50 labels each, which they share."""
    population, differs = cell.settings
    rng = cell.rng()
    judges = [(0.85, 0.92)] * 4
    if differs:
        judges = list(zip((0.75, 0.82, 0.88, 0.95), (0.97, 0.94, 0.91, 0.88), strict=True))
    ends: dict[str, list[tuple[float, float]]] = {"shared labels": [], "shared labels, alike": []}
    for _ in range(min(repeats, 2000)):
        tiers: list[list[tuple]] = [[], []]
        for judge in judges:
            rates = tuple(tier[0] for tier in population.draw(rng, (1, cell.prompts)))
            for tier, study in zip(tiers, judged_study(rng, cell, rates, judge, 50), strict=True):
                tier.append(study)
        together = [_together(tier, cell.prompts) for tier in tiers]
        for free, paid in zip(*tiers, strict=True):
            condition = [Verified.of(*tier) for tier in (free, paid)]
            for alike, method in enumerate(ends):
                gap = corrected_by_shared_labels(*condition, *together, alike=bool(alike)).gap
                ends[method].append((gap.low, gap.high))
    for method, pairs in ends.items():
        yield cell.interval(method, population.gap, *np.array(pairs).T)


def _together(conditions: list[tuple[np.ndarray, np.ndarray, Labels]], prompts: int) -> Verified:
    """The verdicts and labels of one tier of all conditions, each prompt of each condition its own."""
    n, s = (np.concatenate([condition[place] for condition in conditions]) for place in (0, 1))
    labels = [condition[2] for condition in conditions]
    return Verified.of(
        n,
        s,
        Labels(
            np.concatenate([part.prompt + prompts * number for number, part in enumerate(labels)]),
            np.concatenate([part.verdict for part in labels]),
            np.concatenate([part.truth for part in labels]),
            np.concatenate([part.weight for part in labels]),
        ),
    )


# Several conditions together

POOLED = {
    "beta .005+.02, all alike": ([beta_binomial(0.005, 0.02, 0.3)], ""),
    "3 % at .8/0, all alike": ([mixture("3 % at .8/0", [(0.03, 0.8, 0)])], ""),
    "beta .03+.11, all alike": ([beta_binomial(0.03, 0.11, 0.3)], ""),
    "half without, half 5 % at .8/0": (
        [mixture("none", [(0.0, 0, 0)]), mixture("5 % at .8/0", [(0.05, 0.8, 0)])],
        "",
    ),
    "three of four without, one 15 % at 1/0": (
        [*[mixture("none", [(0.0, 0, 0)])] * 3, mixture("15 % at 1/0", [(0.15, 1, 0)])],
        "few conditions carry the mean: a study of few may have none of them",
    ),
    "beta .03+.05, +.11, +.17": ([beta_binomial(0.03, gap, 0.3) for gap in (0.05, 0.11, 0.17)], ""),
}


def pooled_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    (conditions,) = cell.settings
    populations, _ = POOLED[cell.population.rpartition(", ")[0]]
    rng = cell.rng()
    ends: dict[str, list] = {
        "mean of these conditions": [],
        "random effects": [],
        "one more condition": [],
    }
    kinds = len(populations)
    truths = np.array([population.gap for population in populations])
    of_all = float(truths.mean())
    held: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ends}
    for _ in range(repeats):
        # these very conditions are a sample of all conditions
        kind = rng.integers(0, kinds, conditions)
        differences = np.empty((conditions, cell.prompts))
        for number, population in enumerate(populations):
            mine = kind == number
            shape = (int(mine.sum()), cell.prompts)
            tiers = population.draw(rng, shape)
            shares = []
            for propensity in tiers:
                n = answers(cell.sizes, rng, propensity)
                shares.append(rng.binomial(n, propensity) / n)
            differences[mine] = shares[0] - shares[1]
        se = differences.std(axis=1, ddof=1) / np.sqrt(cell.prompts)
        spread = random_effects(differences.mean(1), se)
        low, high = mean_over_conditions(differences).interval()
        held["mean of these conditions"].append((float(low), float(high), float(truths[kind].mean())))
        held["random effects"].append((spread["population_low"], spread["population_high"], of_all))
        new = float(truths[rng.integers(0, kinds)])
        held["one more condition"].append((spread["predicted_low"], spread["predicted_high"], new))
    for method, rows in held.items():
        low, high, truth = np.array(rows).T
        yield cell.interval(method, 0.0, low - truth, high - truth)


# Agreement

CLUSTERED = "verdicts on a prompt's answers resemble each other"


def agreement_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    table, strength = cell.settings
    cells = np.array(table)
    samples = int(cell.sizes)
    rng = cell.rng()
    truths = {
        "agreement": float(np.trace(cells)),
        "kappa": float(cohen_kappa(cells)),
        "AC1": float(gwet_ac1(cells)),
    }
    ends: dict[str, list[tuple[float, float]]] = {name: [] for name in truths}
    for seed in range(min(repeats, 1000)):
        shares = np.tile(cells.ravel(), (cell.prompts, 1))
        if strength:
            shares = rng.dirichlet(cells.ravel() * strength, cell.prompts)
        tables = rng.multinomial(samples, shares).reshape(-1, *cells.shape)
        result = agreement(tables, seed=seed)
        ends["agreement"].append(result["agreement"][1:])
        ends["kappa"].append(result["Cohen's kappa"][1:])
        ends["AC1"].append(result["Gwet's AC1"][1:])
    for method, pairs in ends.items():
        yield cell.interval(method, truths[method], *np.array(pairs).T)


# Monitoring


def monitoring_cell(cell: Cell, repeats: int) -> Iterator[Row]:
    """A look after each prompt; coverage is that of all looks at once."""
    population: Population = cell.settings[0]
    data = draw_gap(cell, min(repeats, 2000))
    differences = data[1] / data[0] - data[3] / data[2]
    ends, missed, peeked = [], [], []
    for x in differences:
        lower, upper = confidence_sequence(x)
        ends.append((lower[-1], upper[-1]))
        missed.append(((upper < population.gap).any(), (lower > population.gap).any()))
        looks = [BoundedMean.of(x[:size], -1, 1).p_value(population.gap) for size in cell.settings[1]]
        peeked.append(min(looks) <= 0.05)
    low, high = np.array(ends).T
    below, above = np.array(missed).T
    row = cell.interval("betting sequence, every look", population.gap, low, high)
    row |= {"coverage": float(1 - (below | above).mean())}
    yield row | {"missed_low": float(below.mean()), "missed_high": float(above.mean())}
    yield cell.error("p of the gap, ten looks", peeked)


def cells() -> list[Cell]:
    """The whole study."""
    grid = [
        Cell(of, p.family, p.name, sizes, prompts, p.why, run, (p,))
        for of, run, populations in (
            ("rate", rate_cell, RATES),
            ("gap", gap_cell, GAPS),
            ("test", test_cell, GAPS),
        )
        for p, sizes, prompts in itertools.product(populations, SIZES, PROMPTS)
    ]
    null = {
        "15 % at .5": _mixture_cells,
        "beta .12, ICC .3": _beta_cells,
        "additive logits": _additive_cells,
    }
    grid += [
        Cell(
            "test",
            "tuned",
            name,
            sizes,
            prompts,
            "two models on shared prompts",
            regression_cell,
            (draw,),
        )
        for (name, draw), sizes, prompts in itertools.product(null.items(), ("5", "1-50"), (10, 20, 50))
    ]
    grid += [
        Cell(
            "contrast",
            conditions.family,
            f"{conditions.name}, {shared:.0%} shared",
            sizes,
            prompts,
            FEW_CARRY if "%" in conditions.name else "",
            contrast_cell,
            (conditions, shared),
        )
        for conditions, shared, sizes, prompts in itertools.product(
            CONTRASTS, (1.0, 0.5, 0.0), ("5", "1-50"), PROMPTS
        )
    ]
    grid += [
        Cell(
            "corrected",
            p.family,
            f"{p.name}, judge {judge}, 200 labels",
            sizes,
            prompts,
            p.why,
            corrected_cell,
            (p, JUDGES[judge]),
        )
        for p, judge, (prompts, sizes) in itertools.product(
            CORRECTED, JUDGES, ((10, "20"), (30, "20"), (50, "1-50"), (100, "5"))
        )
    ]
    grid += [
        Cell(
            "corrected",
            p.family,
            f"{p.name}, 4 × 50 labels, judge {'differs' if differs else 'alike'}",
            sizes,
            prompts,
            "the judge errs otherwise in each condition" if differs else p.why,
            shared_labels_cell,
            (p, differs),
        )
        for p, differs, (prompts, sizes) in itertools.product(
            [CORRECTED[place] for place in (0, 2, 4)], (False, True), ((30, "20"), (100, "5"))
        )
    ]
    grid += [
        Cell(
            "pooled", "tuned", f"{name}, {count} conditions", sizes, prompts, why, pooled_cell, (count,)
        )
        for (name, (_, why)), count, sizes, prompts in itertools.product(
            POOLED.items(), (4, 8, 25), ("5", "1-50"), (50, 100)
        )
    ]
    tables = {
        "80 % no, 10 % yes, 10 % differ": [[0.80, 0.05], [0.05, 0.10]],
        "half no, half yes, 20 % differ": [[0.40, 0.10], [0.10, 0.40]],
        "95 % no, 2 % yes, 3 % differ": [[0.95, 0.02], [0.01, 0.02]],
    }
    grid += [
        Cell(
            "agreement",
            "tuned",
            f"{name}, {'clustered' if strength else 'independent'}",
            samples,
            prompts,
            CLUSTERED if strength else "",
            agreement_cell,
            (table, strength),
        )
        for (name, table), strength, (prompts, samples) in itertools.product(
            tables.items(), (0, 0.5), ((40, "5"), (100, "1"), (100, "5"))
        )
        if not (strength and samples == "1")
    ]
    watched = [
        p for p in GAPS if p.name.startswith(("asym", "15 %", "swap", "10 %", "beta 0.03", "8 %"))
    ]
    looks = tuple(range(30, 301, 30))
    grid += [
        Cell("monitoring", p.family, p.name, sizes, 300, p.why, monitoring_cell, (p, looks))
        for p, sizes in itertools.product(watched, ("5", "20"))
    ]
    return grid


def run(number: int, repeats: int) -> list[Row]:
    """The rows of one cell; by its number, for functions do not travel between processes."""
    cell = cells()[number]
    return list(cell.run(cell, repeats))


# The tables of docs/statistics.md

OURS = {
    "rate": ("bounded",),
    "gap": ("bounded",),
    "contrast": ("contrast",),
    "corrected": ("own labels", "shared labels", "shared labels, alike"),
    "pooled": ("mean of these conditions", "random effects", "one more condition"),
    "agreement": ("agreement", "kappa", "AC1"),
    "monitoring": ("betting sequence, every look",),
    "test": (),
}
BESIDE = {
    "rate": ("cluster-t", "wilson, answers", "Inspect", "paper", "scipy"),
    "gap": ("cluster-t", "adjusted-t, answers", "Inspect", "paper", "scipy"),
    "contrast": ("paired t",),
    "corrected": ("uncorrected",),
}
TITLES = {
    "rate": "Rates",
    "gap": "Compliance gaps",
    "contrast": "Contrasts of two gaps",
    "corrected": "Gaps corrected for the judge",
    "pooled": "Gaps of several conditions",
    "agreement": "Agreement",
    "monitoring": "Monitoring",
}
WORST = 10
INFORMATIVE = ("more where higher", "fewer where higher")


def key(row: Row) -> tuple:
    return tuple(row[name] for name in ("of", "population", "sizes", "prompts"))


def table(header: Iterable[str], lines: Iterable[Iterable[object]]) -> list[str]:
    header = list(header)
    rows = ["| " + " | ".join(str(value) for value in line) + " |" for line in lines]
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *rows]


def worst_cells(rows: list[Row], of: str) -> list[str]:
    """The cells in which the methods here cover least, with the other methods beside them."""
    mine = [row for row in rows if row["of"] == of]
    beside = {(key(row), row["method"]): row["coverage"] for row in mine}
    ours = sorted((row for row in mine if row["method"] in OURS[of]), key=lambda row: row["coverage"])
    several = len(OURS[of]) > 1
    others = BESIDE.get(of, ())
    header = ["population", "sizes", "prompts", *(["method"] if several else []), "coverage", "width"]
    header += ["too low", "too high", *others, "why"]
    lines = []
    for row in ours[:WORST]:
        line = [row["population"], row["sizes"], row["prompts"], *([row["method"]] if several else [])]
        line += [f"**{row['coverage']:.3f}**", f"{row['width']:.3f}"]
        line += [f"{row['missed_low']:.3f}", f"{row['missed_high']:.3f}"]
        line += [
            f"{beside[key(row), name]:.3f}" if (key(row), name) in beside else "" for name in others
        ]
        lines.append([*line, row["why"]])
    return table(header, lines)


def summary(rows: list[Row], of: str) -> list[str]:
    """By number of prompts and method the lowest and the mean coverage."""
    informative = any(row["sizes"] in INFORMATIVE for row in rows if row["of"] == of)
    lines = []
    mine = [row for row in rows if row["of"] == of and row["coverage"] != ""]
    for prompts, method in itertools.product(
        sorted({row["prompts"] for row in mine}), (*OURS[of], *BESIDE.get(of, ()))
    ):
        part = [row for row in mine if row["prompts"] == prompts and row["method"] == method]
        if part:
            coverage = [row["coverage"] for row in part]
            unrelated = [row["coverage"] for row in part if row["sizes"] not in INFORMATIVE]
            name = f"**{method}**" if method in OURS[of] else method
            few = sum(value < 0.93 for value in coverage)
            width = np.mean([row["width"] for row in part])
            line = [prompts, name, len(part), f"{min(coverage):.3f}", f"{np.mean(coverage):.3f}", few]
            line.append(f"{width:.3f}")
            lines.append([*line, f"{min(unrelated):.3f}"] if informative else line)
    header = ["prompts", "method", "cells", "lowest", "mean", "cells below .93", "mean width"]
    if informative:
        header.append("lowest, other sizes")
    return table(header, lines)


def relative_width(rows: list[Row], of: str, prompts: int) -> tuple[float, float, int]:
    """Mean width over that of the cluster-robust t where it covers, mean ratio, number of cells."""
    t = {key(row): row for row in rows if row["of"] == of and row["method"] == "cluster-t"}
    widths = [
        (row["width"], t[key(row)]["width"])
        for row in rows
        if row["of"] == of
        and row["method"] == "bounded"
        and row["prompts"] == prompts
        and t[key(row)]["coverage"] >= 0.93
    ]
    if not widths:
        return float("nan"), float("nan"), 0
    ours, theirs = np.array(widths).T
    return float(ours.mean() / theirs.mean()), float((ours / theirs).mean()), len(widths)


@dataclass(frozen=True)
class Aim:
    """What was aimed at: a bound on the coverage or error of some rows."""

    text: str
    of: str
    methods: tuple[str, ...]
    prompts: tuple[int, ...] | None
    bound: float
    column: str = "coverage"

    def line(self, rows: list[Row]) -> list[object]:
        chosen = [
            row
            for row in rows
            if row["of"] == self.of
            and row["method"] in self.methods
            and (self.prompts is None or row["prompts"] in self.prompts)
            and row[self.column] != ""
        ]
        if not chosen:
            return [self.text, "not run", "", "", ""]
        sign = 1 if self.column == "coverage" else -1
        chosen.sort(key=lambda row: sign * row[self.column])
        misses = [row for row in chosen if sign * row[self.column] < sign * self.bound]
        named = [
            f"{row['population']}; {row['sizes']}; {row['prompts']}: {row[self.column]:.3f}"
            for row in misses[:6]
        ]
        more = [f"and {len(misses) - 6} more"] if len(misses) > 6 else []
        met = "met" if not misses else f"not met in {len(misses)}"
        return [self.text, met, len(chosen), f"{chosen[0][self.column]:.3f}", "<br>".join(named + more)]


ALL = (20, 50, 100)
AIMS = [
    Aim("rates cover ≥ .93 from 20 prompts on", "rate", ("bounded",), ALL, 0.93),
    Aim("gaps cover ≥ .93 from 20 prompts on", "gap", ("bounded",), ALL, 0.93),
    Aim("p of the gap ≤ .05 in ≤ 6 % without a gap", "test", ("p of the gap",), ALL, 0.06, "error"),
    Aim(
        "equivalence declared in ≤ 6 % at the margin",
        "test",
        ("equivalence at the margin",),
        ALL,
        0.06,
        "error",
    ),
    Aim(
        "a gap above a threshold declared in ≤ 6 % at it",
        "test",
        ("at least, at its threshold",),
        ALL,
        0.06,
        "error",
    ),
    Aim(
        "regression: p ≤ .05 in ≤ 6 % without an effect",
        "test",
        ("regression, tier: p", "regression, interaction: p"),
        None,
        0.06,
        "error",
    ),
    Aim("contrasts cover ≥ .93 from 50 prompts on", "contrast", ("contrast",), (50, 100), 0.93),
    Aim("contrasts cover ≥ .92 at 20 prompts", "contrast", ("contrast",), (20,), 0.92),
    Aim(
        "corrected gaps cover ≥ .93 from 30 prompts and 200 labels on",
        "corrected",
        ("own labels",),
        (30, 50, 100),
        0.93,
    ),
    Aim(
        "the mean of these conditions covers ≥ .93", "pooled", ("mean of these conditions",), None, 0.93
    ),
    Aim("agreement, kappa and AC1 cover ≥ .93", "agreement", OURS["agreement"], None, 0.93),
    Aim("monitoring is right at every look in ≥ .95", "monitoring", OURS["monitoring"], None, 0.95),
]


def tests_table(rows: list[Row]) -> list[str]:
    """By test and number of prompts the mean and the largest error."""
    lines = []
    mine = [
        row for row in rows if row["of"] == "test" or (row["of"] == "monitoring" and row["error"] != "")
    ]
    for method, prompts in itertools.product(
        dict.fromkeys(row["method"] for row in mine), sorted({row["prompts"] for row in mine})
    ):
        part = [row for row in mine if row["method"] == method and row["prompts"] == prompts]
        if part:
            worst = max(part, key=lambda row: row["error"])
            where = f"{worst['population']}; {worst['sizes']}"
            mean = np.mean([row["error"] for row in part])
            repeats = min(row["repeats"] for row in part)
            lines.append(
                [
                    method,
                    prompts,
                    len(part),
                    repeats,
                    f"{mean:.3f}",
                    f"{worst['error']:.3f}",
                    where,
                    worst["why"],
                ]
            )
    header = ["test", "prompts", "cells", "repeats", "mean error", "largest error", "where", "why"]
    return table(header, lines)


def page(rows: list[Row]) -> str:
    """The text between the marks in docs/statistics.md."""
    repeats = max(row["repeats"] for row in rows)
    text = [
        f"At most {repeats:,} repeats per cell, so a coverage of .95 has a standard error of "
        f"{np.sqrt(0.95 * 0.05 / repeats):.4f}; the lowest of hundreds of cells lies about "
        f"{2.5 * np.sqrt(0.95 * 0.05 / repeats):.3f} too low by chance alone. `scipy` has "
        f"{SCIPY_REPEATS} repeats per cell. Where numbers of answers go with the propensity (`more "
        "where higher`, `fewer where higher`), the mean over answers is another quantity than the mean "
        "over prompts, which counts as the truth here.",
        "",
        "### Aims",
        "",
    ]
    header = ["aim", "", "cells", "worst", "cells that miss"]
    lines = [aim.line(rows) for aim in AIMS]
    for (of, title), (prompts, most) in itertools.product(
        (("rate", "rates"), ("gap", "gaps")), ((50, 1.3), (100, 1.15))
    ):
        ratio, of_cells, count = relative_width(rows, of, prompts)
        lines.append(
            [
                f"{title}: at {prompts} prompts mean width at most {most} times that of the "
                "cluster-robust t in the cells where that one covers ≥ .93",
                "met" if ratio <= most else "not met" if count else "not run",
                count,
                f"{ratio:.2f}",
                f"mean of the cells' ratios {of_cells:.2f}",
            ]
        )
    text += table(header, lines)
    for of, title in TITLES.items():
        if any(row["of"] == of for row in rows):
            text += ["", f"### {title}", "", *summary(rows, of), "", "The cells that cover least:", ""]
            text += worst_cells(rows, of)
    text += ["", "### Tests whose hypothesis is true", "", *tests_table(rows)]
    return "\n".join(text)


def read_rows() -> list[Row]:
    """The rows of docs/coverage.csv, if it has today's columns."""
    path = DOCS / "coverage.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(COLUMNS):
            return []
        numbers = ("coverage", "error", "width", "missed_low", "missed_high")
        return [
            row
            | {name: float(row[name]) if row[name] else "" for name in numbers}
            | {name: int(row[name]) for name in ("prompts", "repeats")}
            for row in reader
        ]


def write_rows(rows: list[Row]) -> None:
    with (DOCS / "coverage.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: f"{v:.4g}" if isinstance(v, float) else v for name, v in row.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=[*TITLES, "test"], help="run this kind; the others' rows stay")
    options = parser.parse_args()
    kinds = [cell.of for cell in cells()]
    todo = [number for number, of in enumerate(kinds) if options.only in (None, of)]
    rows = [row for row in read_rows() if options.only and row["of"] != options.only]
    with ProcessPoolExecutor(options.processes) as pool:
        done = pool.map(run, todo, itertools.repeat(options.repeats))
        for count, result in enumerate(done, start=1):
            rows += result
            if count % 100 == 0 or count == len(todo):
                write_rows(rows)
                print(f"{count} of {len(todo)} cells", flush=True)
    rows = read_rows()
    path = DOCS / "statistics.md"
    begin, end = "<!-- coverage: made by benchmarks/coverage.py -->", "<!-- end of coverage -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(
        before + begin + "\n\n" + page(rows) + "\n\n" + end + rest.split(end)[1], encoding="utf-8"
    )
    for aim in AIMS:
        print(*aim.line(rows)[:4], sep=" | ")


if __name__ == "__main__":
    main()
