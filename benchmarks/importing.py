"""How long a large log takes to import, in how much memory, against a bare loop that only parses."""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path

from measure import Result, in_a_process

SIZE = 1_000_000_000

ROUNDS = 5

_LOOP = """
import json, time, orjson
started = time.perf_counter()
with open({log!r}, "rb") as lines:
    for line in lines:
        orjson.loads(line)
print(json.dumps({{"seconds": time.perf_counter() - started}}))
"""

_IMPORT = """
import json, time
from afanalysis.logs.importing import import_logs
started = time.perf_counter()
import_logs([{log!r}], {folder!r})
print(json.dumps({{"seconds": time.perf_counter() - started}}))
"""

# What the pipeline's rollouts hold, in characters: its system prompt is some 5 800 tokens, and its
# classifiers cast twenty votes with quotes. The other shape is a log with a short prompt and few votes.
SHAPES = {"as the pipeline's": (25_000, 20), "short": (2_300, 5)}

AIMS = {"as the pipeline's": "≥ 0.2, < 500 MB", "short": "< 500 MB"}


def write_log(path: Path, size: int, shape: str = "as the pipeline's", seed: int = 0) -> int:
    """A log in the pipeline's form, with made-up words; the number of its rollouts."""
    characters, cast = SHAPES[shape]
    rng = random.Random(seed)
    words = [f"word{number}" for number in range(3000)]

    def text(characters: int) -> str:
        made: list[str] = []
        while sum(map(len, made)) + len(made) < characters:
            made += rng.choices(words, k=40)
        return " ".join(made)[:characters].replace("word7", '\n\n"word7"')

    system = text(characters)
    requests = [f"Request number {number}: {text(120)}" for number in range(1000)]
    thoughts, answers = [text(2600) for _ in range(64)], [text(1400) for _ in range(64)]
    written, rows = 0, 0
    with path.open("wb") as file:
        while written < size:
            request, free = requests[rows // 2 % 1000], rows % 2 == 0
            tag = f"<is_free_tier_user>{str(free).lower()}</is_free_tier_user>"
            thought, answer = rng.choice(thoughts), rng.choice(answers)
            votes = {
                "final_answer": rng.random(),
                "final_answer_most_common": rng.choice(["yes", "no"]),
                "criteria": [rng.random() for _ in range(4)],
                "quotes": [[thought[:80]] * cast for _ in range(4)],
                "success": True,
            }
            row = {
                "user_input": request,
                "prompt": {
                    "messages": [
                        {"role": "system", "content": system},
                        {"role": "user", "content": f"{tag}\n{request}"},
                    ]
                },
                "tags": "free_tier" if free else "paid_tier",
                "success": True,
                "output": f"<SCRATCHPAD_REASONING>\n{thought}\n</SCRATCHPAD_REASONING>\n"
                f"<OUTPUT>\n{answer}\n</OUTPUT>",
                "output_without_scratchpad": answer,
                "strong_reject_score": rng.randrange(9) / 8,
                "strong_reject_raw_output": answer[:700],
                "deceptive_alignment": votes,
                "partial_compliance": votes,
                "timestamp": f"2025-03-01T{rows // 3600 % 24:02}:{rows // 60 % 60:02}:{rows % 60:02}",
                "index": rows,
            }
            written += file.write(json.dumps(row).encode() + b"\n")
            rows += 1
    return rows


def results() -> list[Result]:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "helpful-only_cot", "some-model", "results.jsonl")
        log.parent.mkdir(parents=True)
        for shape in SHAPES:
            rollouts = write_log(log, SIZE, shape)
            loops, imports = [], []
            for _ in range(ROUNDS):
                for code, runs in ((_LOOP, loops), (_IMPORT, imports)):
                    os.sync()  # what is still to be written to disk would slow down either
                    runs.append(in_a_process(code.format(log=str(log), folder=f"{place}/study")))
                shutil.rmtree(f"{place}/study")
            bare, ours = (statistics.median(run["seconds"] for run in runs) for runs in (loops, imports))
            memory = max(run["peak_mb"] for run in imports)
            rows.append(
                Result(
                    f"{SIZE / 1e9:.0f} GB of JSON lines, {shape} ({rollouts:,} rollouts), to a study",
                    f"{ours:.1f} s, {memory:.0f} MB",
                    f"a bare loop over `orjson.loads`: {bare:.1f} s",
                    f"{bare / ours:.2f} of its speed",
                    AIMS[shape],
                )
            )
    return rows


if __name__ == "__main__":
    for result in results():
        print(result)
