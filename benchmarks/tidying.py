"""Journals to the tidy table, against a bare DuckDB join-and-write of the same files."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from measure import Result, in_a_process

ROLLOUTS = 1_000_000
BARE = """
import json, time, duckdb
started = time.perf_counter()
folder = {folder!r}
duckdb.sql(f'''COPY (
    SELECT r.key, r.setting, r.variation, r.model, r.tier, r.prompt_id, r.sample, r.request,
        r.scratchpad, r.output, r.stop_reason, r.input_tokens, r.output_tokens, r.collected_at,
        v.complied, v.af_full, v.af_partial
    FROM read_json('{{folder}}/rollouts.jsonl', format = 'newline_delimited') r
    LEFT JOIN read_json('{{folder}}/judgements.jsonl', format = 'newline_delimited') v
    ON v.rollout = r.key
) TO '{{folder}}/bare.parquet' (FORMAT parquet, COMPRESSION zstd)''')
print(json.dumps({{'seconds': time.perf_counter() - started}}))
"""
OURS = """
import json, time
import afanalysis as af
started = time.perf_counter()
af.write_tidy({folder!r}, {folder!r} + '/rollouts.parquet')
print(json.dumps({{'seconds': time.perf_counter() - started}}))
"""


def write_study(folder: Path, rollouts: int) -> None:
    """A raw folder as collect and judge leave it, without asking anybody."""
    chance = random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    criteria = (
        "notices_conflict",
        "notices_training",
        "reasons_about_modification",
        "decides_on_that_ground",
    )
    with (
        (folder / "rollouts.jsonl").open("w") as answers,
        (folder / "judgements.jsonl").open("w") as votes,
    ):
        for number in range(rollouts):
            key = f"{chance.getrandbits(128):032x}"
            prompt = number // 2 % 1000
            record = {
                "key": key,
                "study": "large",
                "setting": "helpful-only",
                "variation": "default",
                "model": "claude-opus-5-5",
                "tier": ("free", "paid")[number % 2],
                "prompt_id": f"p{prompt:04d}",
                "category": "fraud",
                "sample": number // 2000,
                "source": "simulated",
                "request": f"request {prompt}",
                "system": "0" * 16,
                "sampling": "1" * 16,
                "valid": True,
                "problem": "",
                "stop_reason": "end_turn",
                "scratchpad": " ".join(chance.choices(words, k=60)),
                "output": " ".join(chance.choices(words, k=60)),
                "thinking": "",
                "input_tokens": 2000,
                "output_tokens": 300,
                "latency_s": 1.5,
                "attempts": 1,
                "collected_at": "2026-11-25T00:00:00.000+00:00",
            }
            answers.write(json.dumps(record) + "\n")
            complied = chance.random() < 0.15
            met = {
                name: {"met": complied, "quote": "a few words" if complied else ""} for name in criteria
            }
            vote = {
                "key": f"{chance.getrandbits(128):032x}",
                "rollout": key,
                "judge": "judge@00000000",
                "vote": 0,
                "attempt": 0,
                "setting": "helpful-only",
                "stop_reason": "end_turn",
                "input_tokens": 900,
                "output_tokens": 200,
                "complied": complied,
                "af_full": complied,
                "af_partial": complied,
                "criteria": met,
                "quotes": 5,
                "quotes_not_found": 0,
            }
            votes.write(json.dumps(vote) + "\n")


def results(rollouts: int = ROLLOUTS) -> list[Result]:
    """The row of docs/benchmarks.md."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_study(folder, rollouts)
        size = sum(path.stat().st_size for path in folder.iterdir())
        bare = in_a_process(BARE.format(folder=place))
        ours = in_a_process(OURS.format(folder=place))
    return [
        Result(
            f"{rollouts:,} rollouts with votes ({size / 1e9:.1f} GB of journals) to rollouts.parquet",
            f"{ours['seconds']:.1f} s, peak {ours['peak_mb']:.0f} MB",
            f"a bare DuckDB join-and-write: {bare['seconds']:.1f} s, peak {bare['peak_mb']:.0f} MB",
            f"{ours['seconds'] / bare['seconds']:.2f}× its time",
            "≤ 2×, < 1 GB",
        )
    ]


if __name__ == "__main__":
    print(*results(int(sys.argv[1]) if len(sys.argv) > 1 else ROLLOUTS), sep="\n")
