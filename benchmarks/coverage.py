"""Coverage of the intervals for rates and gaps, by simulation.

    python benchmarks/coverage.py [--repeats 5000] [--processes 2]

Prompts have beta-distributed propensities with the given mean and intraclass correlation; the two tiers'
propensities are joined by a Gaussian copula. Writes every cell to docs/coverage.csv and the tables in
docs/statistics.md. `paper` is estimate ± 1.96 SE as Greenblatt et al. (2024) compute SE; `cluster-t` is
the estimate ± t · clustered SE, as Inspect's `ci(method="t", cluster=…)`; `scipy` is
`scipy.stats.bootstrap` (percentile) over prompts, on fewer repeats and 999 resamples for its cost.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy import special, stats

from afanalysis.stats import gap_intervals, rate_intervals

DOCS = Path(__file__).resolve().parents[1] / "docs"
RATES = (0.01, 0.03, 0.12, 0.5)
GAPS = (0.0, 0.02, 0.11)
PROMPTS = (20, 50, 100, 600)
SAMPLES = (1, 5, 10)
ICCS = (0.0, 0.1, 0.3)
CORRELATIONS = (0.0, 0.7)
_Z = np.linspace(-8, 8, 8001)
_U = special.ndtr(_Z)


def propensities(p: float, icc: float, z: np.ndarray) -> np.ndarray:
    """Beta quantiles with mean p and intraclass correlation icc at standard normal scores."""
    if icc == 0:
        return np.full(z.shape, p)
    a, b = p * (1 - icc) / icc, (1 - p) * (1 - icc) / icc
    return np.clip(np.interp(z, _Z, special.betaincinv(a, b, _U)), 0, 1)


def scipy_interval(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=999,
        axis=-1,
        method="percentile",
        batch=16,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return found.low, found.high


def covered(truth: float, low: np.ndarray, high: np.ndarray) -> dict[str, float]:
    # an interval that ends at the truth holds it; rounding must not decide
    holds = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return {"coverage": float(holds.mean()), "width": float((high - low).mean())}


def rate_cell(p: float, prompts: int, k: int, icc: float, repeats: int) -> list[dict]:
    cell = {"of": "rate", "p": p, "gap": "", "prompts": prompts, "k": k, "icc": icc, "correlation": ""}
    seed = zlib.crc32(repr(cell).encode())
    rng = np.random.default_rng(seed)
    s = rng.binomial(k, propensities(p, icc, rng.standard_normal((repeats, prompts))))
    counts = rate_intervals.clustered(np.full(s.shape, k), s)
    found = {}
    for method in ("wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive"):
        found[method] = covered(p, *rate_intervals.interval(counts, 0.95, method))
    half = 1.96 * np.sqrt(counts.rate * (1 - counts.rate) / counts.n)
    found["paper"] = covered(p, counts.rate - half, counts.rate + half)
    few = s[: 400 if prompts <= 100 else 200] / k
    found["scipy"] = covered(p, *scipy_interval(few, seed))
    warned = float(
        (
            (counts.prompts < rate_intervals.FEW_PROMPTS) | (counts.events < rate_intervals.FEW_EVENTS)
        ).mean()
    )
    return [cell | {"method": name, "warned": warned} | row for name, row in found.items()]


def gap_cell(
    p: float, gap: float, prompts: int, k: int, icc: float, correlation: float, repeats: int
) -> list[dict]:
    cell = {"of": "gap", "p": p, "gap": gap, "prompts": prompts, "k": k, "icc": icc}
    cell["correlation"] = correlation
    seed = zlib.crc32(repr(cell).encode())
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((repeats, prompts))

    def draw(mean: float) -> np.ndarray:
        own = rng.standard_normal((repeats, prompts))
        z = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
        return rng.binomial(k, propensities(mean, icc, z))

    free, paid = draw(p + gap), draw(p)
    n = np.full(free.shape, k)
    counts = gap_intervals.paired(n, free, n, paid)
    found = {}
    for method in ("adjusted-t", "mover", "cluster-t", "unpaired", "paper"):
        found[method] = covered(gap, *gap_intervals.gap_interval(counts, 0.95, method))
    few = (free - paid)[: 400 if prompts <= 100 else 200] / k
    found["scipy"] = covered(gap, *scipy_interval(few, seed))
    events = np.minimum(counts.free.events, counts.paid.events)
    warned = float(
        ((prompts < rate_intervals.FEW_PROMPTS) | (events < rate_intervals.FEW_EVENTS)).mean()
    )
    return [cell | {"method": name, "warned": warned} | row for name, row in found.items()]


def cells() -> list[tuple]:
    grid = [("rate", *c) for c in itertools.product(RATES, PROMPTS, SAMPLES, ICCS)]
    grid += [("gap", *c) for c in itertools.product(RATES, GAPS, PROMPTS, SAMPLES, ICCS, CORRELATIONS)]
    # with one sample a prompt the ICC does not show in a single rate, nor without tiers that share;
    # with no ICC there is nothing for the tiers to share
    return [
        c
        for c in grid
        if not (c[0] == "rate" and c[3] == 1 and c[4] > 0)
        and not (c[0] == "gap" and c[5] == 0 and c[6] > 0)
        and not (c[0] == "gap" and c[4] == 1 and c[5] > 0 and c[6] == 0)
    ]


def one(cell: tuple, repeats: int) -> list[dict]:
    kind, *settings = cell
    return (rate_cell if kind == "rate" else gap_cell)(*settings, repeats)


def least(prompts: int) -> float:
    """The coverage asked for: 0.93 from 100 prompts on, 0.90 below."""
    return 0.93 if prompts >= 100 else 0.90


def summary(rows: list[dict], of: str, default: str) -> list[str]:
    """The table of docs/statistics.md for rates or gaps."""
    lines = [
        "| prompts | method | cells | lowest | highest | cells below the aim | median width / default |",
        "|---|---|---|---|---|---|---|",
    ]
    widths = {}
    for row in rows:
        if row["method"] == default:
            widths[_key(row)] = row["width"]
    for prompts in PROMPTS:
        part = [row for row in rows if row["of"] == of and row["prompts"] == prompts]
        for method in dict.fromkeys(row["method"] for row in part):
            mine = [row for row in part if row["method"] == method]
            coverage = [row["coverage"] for row in mine]
            below = sum(c < least(prompts) for c in coverage)
            ratio = float(np.median([row["width"] / widths[_key(row)] for row in mine]))
            name = f"**{method}**" if method == default else method
            lines.append(
                f"| {prompts} | {name} | {len(mine)} | {min(coverage):.3f} | {max(coverage):.3f} | "
                f"{below} | {ratio:.2f} |"
            )
    return lines


def _key(row: dict) -> tuple:
    return tuple(row[name] for name in ("of", "p", "gap", "prompts", "k", "icc", "correlation"))


def outside(rows: list[dict], of: str, default: str) -> list[str]:
    """The cells in which the default leaves [0.93, 0.98] at 100 prompts and more, or 0.90 below."""
    lines = [
        "| p | gap | prompts | k | ICC | correlation | coverage | the library warns in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["of"] != of or row["method"] != default:
            continue
        top = 0.98 if row["prompts"] >= 100 else 1.01
        if not least(row["prompts"]) <= round(row["coverage"], 3) <= top:
            lines.append(
                f"| {row['p']} | {row['gap']} | {row['prompts']} | {row['k']} | {row['icc']} | "
                f"{row['correlation']} | {row['coverage']:.3f} | {100 * row['warned']:.0f} % |"
            )
    return lines if len(lines) > 2 else ["None."]


def wider(rows: list[dict], of: str, default: str) -> str:
    """How the default's width compares with the narrowest method that covers, cell by cell."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["of"] == of:
            groups.setdefault(_key(row), []).append(row)
    ratios = []
    for part in groups.values():
        covering = [r["width"] for r in part if r["coverage"] >= least(r["prompts"])]
        mine = next(r["width"] for r in part if r["method"] == default)
        if covering and part[0]["prompts"] >= 100:
            ratios.append(mine / min(covering))
    over = sum(r > 1.10 for r in ratios)
    return (
        f"With 100 prompts and more its mean width is {np.median(ratios):.2f} times (median over cells; "
        f"at most {max(ratios):.2f} times) that of the narrowest method that covers; in {over} of "
        f"{len(ratios)} cells it is more than 10 % wider."
    )


def write(rows: list[dict], repeats: int) -> None:
    names = [
        "of",
        "p",
        "gap",
        "prompts",
        "k",
        "icc",
        "correlation",
        "method",
        "coverage",
        "width",
        "warned",
    ]
    with (DOCS / "coverage.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow(row | {name: f"{row[name]:.4g}" for name in ("coverage", "width", "warned")})
    text = []
    for of, default in (("rate", "wilson"), ("gap", "adjusted-t")):
        text += [f"### {of.capitalize()}s, nominal 95 %, {repeats:,} repeats a cell", ""]
        text += [*summary(rows, of, default), "", wider(rows, of, default), ""]
        text += [f"Cells in which the default (`{default}`) misses its aim:", ""]
        text += [*outside(rows, of, default), ""]
    page = DOCS / "statistics.md"
    begin, end = "<!-- coverage: made by benchmarks/coverage.py -->", "<!-- end of coverage -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + "\n\n" + "\n".join(text) + "\n" + end + rest.split(end)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    todo = cells()
    rows: list[dict] = []
    with ProcessPoolExecutor(options.processes) as pool:
        done = pool.map(one, todo, itertools.repeat(options.repeats), chunksize=4)
        for at, found in enumerate(done, start=1):
            rows += found
            if at % 100 == 0:
                print(f"{at} of {len(todo)} cells", flush=True)
    write(rows, options.repeats)
    for of, default in (("rate", "wilson"), ("gap", "adjusted-t")):
        print(of, *outside(rows, of, default), sep="\n")
        print(wider(rows, of, default))


if __name__ == "__main__":
    main()
