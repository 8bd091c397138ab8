"""Speed of the statistics, as ratios in one run.

python benchmarks/statistics_speed.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats

from afanalysis.stats.resampling import bootstrap, difference
from measure import Result, in_a_process, seconds

ROLLOUTS = 10_000_000


def paired_gap(prompts: int) -> Result:
    """10 000 resamples of the paired gap, five answers per prompt and tier, against scipy."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.3, 2, prompts)
    free, paid, n = rng.binomial(5, p), rng.binomial(5, p / 3), np.full(prompts, 5)
    counts = np.column_stack([free, n, paid, n])
    unequal = np.vstack([counts, [0, 6, 0, 6]])
    differences = free / 5 - paid / 5
    ours = seconds(lambda: bootstrap(counts, difference(0, 1, 2, 3), resamples=10_000), 9)
    drawn = seconds(lambda: bootstrap(unequal, difference(0, 1, 2, 3), resamples=10_000))
    theirs = seconds(
        lambda: stats.bootstrap(
            (differences,), np.mean, n_resamples=10_000, method="percentile", batch=100
        ),
        1,
    )
    return Result(
        f"paired gap, 10 000 resamples, {prompts:,} prompts (as many answers to each)",
        f"{1000 * ours:.1f} ms, outright ({1000 * drawn:.0f} ms by drawing, as for unequal numbers)",
        f"scipy.stats.bootstrap, percentile: {theirs:.2f} s",
        f"{theirs / ours:,.0f}× faster ({theirs / drawn:,.0f}× by drawing)",
        "≥ 30×" if prompts < 10_000 else "≥ 1 000×",
    )


def many_conditions() -> Result:
    """1 000 conditions of 300 prompts."""
    measured = in_a_process(
        """
import json, time
import numpy as np
from afanalysis.stats.resampling import bootstrap, difference
rng = np.random.default_rng(0)
n = np.full(300, 5)
data = []
for _ in range(1000):
    p = rng.beta(0.3, 2, 300)
    data.append(np.column_stack([rng.binomial(5, p), n, rng.binomial(5, p / 3), n]))
started = time.perf_counter()
for counts in data:
    bootstrap(counts, difference(0, 1, 2, 3), resamples=10_000)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""
    )
    return Result(
        "1 000 conditions × 10 000 resamples, 300 prompts each",
        f"{measured['seconds']:.1f} s, peak {measured['peak_mb']:.0f} MB",
        "",
        "",
        "< 10 s, < 500 MB",
    )


def make_rollouts(path: Path) -> None:
    """10 models × 2 settings × 5 variations × 2 tiers × 500 prompts × 100 samples, with texts."""
    duckdb.sql(
        f"""
        COPY (
            SELECT 'model-' || (i % 10) AS model,
                   ['helpful-only', 'animal-welfare'][1 + (i // 10) % 2] AS setting,
                   'variation-' || ((i // 20) % 5) AS variation,
                   ['free', 'paid'][1 + (i // 100) % 2] AS tier,
                   'prompt-' || ((i // 200) % 500) AS prompt_id,
                   random() < 0.12 AS complied,
                   (random() < 0.1)::DOUBLE AS af_reasoning,
                   true AS valid, 'simulated' AS source,
                   md5(i::TEXT) || md5((i + 1)::TEXT) AS output
            FROM range({ROLLOUTS}) t(i)
        ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def from_rows() -> list[Result]:
    """Ten million rollouts to every rate and gap."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollouts.parquet"
        make_rollouts(path)
        keys = "model, setting, variation, tier, prompt_id"
        ours = in_a_process(
            f"""
import json, time
import afanalysis as af, duckdb, pandas
af.estimates
started = time.perf_counter()
table = af.estimates({str(path)!r})
took = time.perf_counter() - started
from afanalysis.table.counting import counts
started = time.perf_counter()
counts({str(path)!r}, ["complied", "af_reasoning"], ["model", "setting", "variation", "tier"])
print(json.dumps({{"seconds": took, "counts": time.perf_counter() - started, "rows": len(table)}}))
"""
        )
        bare = in_a_process(
            f"""
import json, time
import duckdb, pandas
started = time.perf_counter()
duckdb.sql('''SELECT {keys}, count(*), sum(complied::INT), sum(af_reasoning)
              FROM '{path}' GROUP BY ALL''').df()
print(json.dumps({{"seconds": time.perf_counter() - started}}))
"""
        )
        frame = in_a_process(
            f"""
import json, time
import pandas
started = time.perf_counter()
columns = "{keys}".split(", ")
table = pandas.read_parquet({str(path)!r}, columns=[*columns, "complied", "af_reasoning"])
table.groupby(columns, observed=True)[["complied", "af_reasoning"]].agg(["count", "sum"])
print(json.dumps({{"seconds": time.perf_counter() - started}}))
"""
        )
        size = path.stat().st_size / 1e6
    what = f"10 M rollouts in 200 conditions ({size:,.0f} MB Parquet with texts) to every rate and gap"
    mine = f"{ours['seconds']:.2f} s, peak {ours['peak_mb']:,.0f} MB"
    return [
        Result(
            what,
            mine,
            f"the bare DuckDB group-by: {bare['seconds']:.2f} s",
            f"{ours['seconds'] / bare['seconds']:.2f}× its time",
            "≤ 3×, < 1 GB",
        ),
        Result(
            what,
            mine,
            f"pandas.read_parquet(columns=…).groupby: {frame['seconds']:.1f} s, "
            f"peak {frame['peak_mb']:,.0f} MB",
            f"{frame['seconds'] / ours['seconds']:.1f}× faster "
            f"({frame['seconds'] / ours['counts']:.1f}× to the counts alone)",
            "≥ 10×",
        ),
    ]


def results() -> list[Result]:
    """All rows, in the order of docs/benchmarks.md."""
    return [paired_gap(3_000), paired_gap(100_000), many_conditions(), *from_rows()]


if __name__ == "__main__":
    for row in results():
        print(row)
