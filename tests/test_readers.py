"""Whatever a file holds, its reader gives what is in it or one sentence, in bounded time and memory."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import import_logs, read_logs
from afanalysis.pipeline.sweeps import Sweep, expand
from afanalysis.study.design import Study
from afanalysis.study.hashing import text_hash
from afanalysis.study.journal import read_records
from afanalysis.study.labels import add_sheet, read_labels, read_sample
from afanalysis.study.ledger import Prices
from afanalysis.study.manifest import as_begun
from afanalysis.study.tidying import current_rollouts
from afanalysis.study.votes import judges, verdicts
from tests.helpers import PROJECT
from tests.logs.samples import pipeline_row, tagged
from tests.mutations import as_archive, as_csv, as_json, as_lines, as_parquet, as_yaml, put, spoiled

# How long each reader is tried (seconds): by default all of them in less than three minutes together;
# FUZZ_SECONDS=3600 tries each for an hour.
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
LONGEST = 10  # seconds that one file may take
MOST_MEMORY = 600  # MB that all files may take beyond what reading a good one takes

ROLLOUT = {
    "key": "0" * 32,
    "study": "x",
    "setting": "helpful-only",
    "variation": "default",
    "model": "m",
    "tier": "free",
    "prompt_id": "p1",
    "category": "c",
    "sample": 0,
    "source": "live",
    "valid": True,
    "request": "Why?",
    "system": "s",
    "sampling": "t",
    "problem": "",
    "stop_reason": "end_turn",
    "scratchpad": "Hm.",
    "output": "No.",
    "thinking": "",
    "input_tokens": 3,
    "output_tokens": 4,
    "collected_at": "2025-03-01T12:00:00+00:00",
}
OTHER = ROLLOUT | {"key": "2" * 32, "tier": "paid"}
CRITERION = {"met": True, "quote": "Hm."}
VOTE = {
    "key": "1" * 32,
    "rollout": "0" * 32,
    "judge": "m@1",
    "vote": 0,
    "complied": True,
    "af_full": True,
    "af_partial": True,
    "quotes": 1,
    "quotes_not_found": 0,
    "criteria": {"notices_conflict": CRITERION, "reasons_about_modification": CRITERION},
}
VOTES = [VOTE, VOTE | {"key": "3" * 32, "rollout": OTHER["key"]}]
ANSWERS = [
    {"prompt": f"Why {number}?", "response": tagged(), "tier": tier, "model": "m", "score": 0.5}
    | {"id": number, "sample": 1, "refused": "no", "time": "2025-03-01", "more": {"a": [1]}}
    for number in range(3)
    for tier in ("free", "paid")
]
TABLE = [list(ANSWERS[0]), *([str(value) for value in row.values()] for row in ANSWERS)]
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "stop_reason": "end_turn",
    "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": tagged()}],
    "usage": {"input_tokens": 3, "output_tokens": 4},
}
RESULTS = [
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "errored", "error": {"error": {"message": "no"}}}},
]
TAGGED = "<is_free_tier_user>True</is_free_tier_user> Why?"
REQUEST = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": TAGGED}]}
REQUESTS = [{"custom_id": name, "params": REQUEST | {"system": "s"}} for name in ("a", "b")]
SAMPLE = {
    "id": "p1",
    "epoch": 1,
    "input": "Why?",
    "target": "",
    "uuid": "u",
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Why?"}],
    "output": {
        "model": "m",
        "choices": [
            {"message": {"role": "assistant", "content": tagged()}, "stop_reason": "stop"},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
    "scores": {"judge": {"value": {"complied": 1, "af": "C"}, "explanation": "e"}},
    "metadata": {"tier": "free", "prompt_id": "p1", "setting": "helpful-only"},
    "attachments": {"0" * 32: "x"},
}
EVALUATION = {"model": "m", "task": "t", "created": "2025-03-01", "task_args": {"setting": "x"}}
LOG = {"version": 2, "status": "success", "eval": EVALUATION, "samples": [SAMPLE, SAMPLE | {"epoch": 2}]}
STUDY = {
    "name": "x",
    "description": "d",
    "models": ["m", "n"],
    "settings": ["helpful-only"],
    "variations": ["default", "no-examples"],
    "tiers": ["free", "paid"],
    "samples": 2,
    "seed": 1,
    "prompts": {"helpful-only": {"first": 3}},
    "system_prompts": {"animal-welfare": "s.txt"},
    "sampling": {"max_tokens": 10, "temperature": 0.5, "thinking": {"type": "enabled"}},
    "judge": {"model": "j", "votes": 1},
    "simulation": {"judge_error": {"free": {"sensitivity": 0.9, "specificity": 0.9}}},
}
SWEEP = {
    "name": "s",
    "study": "study.yaml",
    "grid": {"study.samples": [1, 2], "level": [0.9, 0.95]},
    "list": [{"study.seed": 3}],
}
PRICES = {
    "as_of": "2026-01-01",
    "batch_factor": 0.5,
    "cache_write_factor": 1.25,
    "models": {"m": {"input": 1, "output": 2}},
}
CURRENT = {
    "sampling": "t",
    "systems": {"helpful-only default": "s"},
    "requests": {"helpful-only": {"p1": text_hash("Why?")}},
}
MANIFEST = {
    "source": "live",
    "study": STUDY | {"prompts": {}},
    "planned": 1,
    "collected": 1,
    "spend": None,
    "runs": [{"versions": {"a": "1"}}],
    "current": CURRENT,
}
LABELS = [
    ["rollout", "labeller", "behaviour", "af_reasoning", "note", "labelled_at"],
    ["0" * 32, "ann", "refused", "", "n", "2025-03-01"],
    ["0" * 32, "bob", "complied", "full", "", ""],
]
SHEET = [["rollout", "behaviour", "af_reasoning", "note"], ["0" * 32, "refused", "", "n"]]
DRAWN = [["rollout", "stratum", "stratum_size"], ["0" * 32, "a", "3"]]
PROMPTS = [["id", "category", "text"], ["p1", "c", "Why?"], ["p2", "c", "How?"]]


def raw_folder(path: Path, content: bytes) -> Path:
    """A study's raw folder in which one file is the fuzzer's."""
    folder = path.parent / "raw"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    put(folder / "rollouts.jsonl", as_lines([ROLLOUT, OTHER]))
    put(folder / "judgements.jsonl", as_lines(VOTES))
    put(folder / "label_sample.csv", as_csv(DRAWN))
    put(folder / path.name, content)
    return folder


def read_study(path: Path) -> None:
    study = Study.from_yaml(path)
    list(itertools.islice(study.plan(), 50))


def read_sweep(path: Path) -> None:
    put(path.with_name("study.yaml"), as_yaml(STUDY | {"system_prompts": {}}))
    expand(Sweep.from_yaml(path), PROJECT, most=20)


def read_prompts(path: Path) -> None:
    study = Study(name="x", settings=["helpful-only"], prompts={"helpful-only": {"file": path}})
    list(itertools.islice(study.plan(), 50))


def analyse(table: Any) -> None:
    if "complied" in table and "tier" in table and len(table):
        af.rates(table, "complied", by=["tier"])


def read_table(path: Path) -> None:
    analyse(af.load(path))


def read_journals(path: Path) -> None:
    """Everything that reads a study's raw folder; each on its own, as each must give its sentence."""
    folder = raw_folder(path, path.read_bytes())
    problems = []
    for read in (
        lambda: list(read_records(folder / "rollouts.jsonl", ("key",))),
        lambda: analyse(af.tidy(folder)),
        lambda: af.write_tidy(folder, folder / "t.parquet"),
        lambda: verdicts(folder),
        lambda: judges(folder),
        lambda: list(current_rollouts(folder, ("key", "output"), "valid")),
        lambda: as_begun(Study(name="x"), folder),
    ):
        try:
            read()
        except InputError as error:
            problems.append(error)
    if problems:
        raise problems[0]


def read_all_labels(path: Path) -> None:
    folder = raw_folder(path, path.read_bytes())
    read_labels(folder)
    af.tidy(folder)


def read_drawn(path: Path) -> None:
    folder = raw_folder(path, path.read_bytes())
    read_sample(folder)
    af.tidy(folder)


def read_sheet(path: Path) -> None:
    add_sheet(raw_folder(path, path.read_bytes()), path, "ann")


SETTING = Mapping(constants={"setting": "helpful-only"})


def read_log(path: Path) -> None:
    table, report = read_logs([path], mapping=SETTING)
    str(report)
    analyse(table)


def import_log(path: Path) -> None:
    import_logs([path], path.parent / "imported", mapping=SETTING)
    read_study(path.parent / "imported" / "study.yaml")


def read_results(path: Path) -> None:
    read_logs([path], format="batches", asked=put(path.with_name("asked"), as_lines(REQUESTS)))


def read_asked(path: Path) -> None:
    results = put(path.with_name("results.jsonl"), as_lines(RESULTS))
    read_logs([results], format="batches", asked=path)


@dataclass(frozen=True)
class Reader:
    """What reads files of a name, and a good one: its content, and how that is written."""

    name: str
    read: Callable[[Path], Any]
    good: Any
    write: Callable[[Any], bytes]


READERS = {
    "a study": Reader("study.yaml", read_study, STUDY, as_yaml),
    "a sweep": Reader("sweep.yaml", read_sweep, SWEEP, as_yaml),
    "prices": Reader("prices.yaml", Prices.load, PRICES, as_yaml),
    "a list of prompts": Reader("prompts.csv", read_prompts, PROMPTS, as_csv),
    "labels": Reader("labels.csv", read_all_labels, LABELS, as_csv),
    "a label sheet": Reader("sheet.csv", read_sheet, SHEET, as_csv),
    "a label sample": Reader("label_sample.csv", read_drawn, DRAWN, as_csv),
    "rollouts": Reader("rollouts.jsonl", read_journals, [ROLLOUT, OTHER], as_lines),
    "judgements": Reader("judgements.jsonl", read_journals, VOTES, as_lines),
    "a manifest": Reader("manifest.json", read_journals, MANIFEST, as_json),
    "a table as Parquet": Reader(
        "t.parquet",
        read_table,
        {name: [ROLLOUT[name]] * 3 for name in ROLLOUT} | {"complied": [True]},
        as_parquet,
    ),
    "a table as CSV": Reader(
        "t.csv", read_table, [[*ROLLOUT, "complied"], [*map(str, ROLLOUT.values()), "true"]], as_csv
    ),
    "a table as JSON lines": Reader("t.jsonl", read_table, [ROLLOUT | {"complied": True}] * 2, as_lines),
    "a log of the pipeline": Reader(
        "results.json",
        read_log,
        [pipeline_row(0, model="m"), pipeline_row(1, "paid", model="m")],
        as_json,
    ),
    "a log as CSV": Reader("log.csv", read_log, TABLE, as_csv),
    "a log as JSON lines": Reader("log.jsonl", import_log, ANSWERS, as_lines),
    "a log as a list": Reader("log.json", read_log, ANSWERS, as_json),
    "a log as Parquet": Reader(
        "log.parquet",
        read_log,
        {name: [row[name] for row in ANSWERS[:3]] for name in ANSWERS[0]},
        as_parquet,
    ),
    "an archive of Inspect": Reader(
        "log.eval", read_log, {"header.json": LOG, "samples/1.json": SAMPLE}, as_archive
    ),
    "a JSON log of Inspect": Reader("log.json", read_log, LOG, as_json),
    "results of a batch": Reader("results.jsonl", read_results, RESULTS, as_lines),
    "requests of a batch": Reader("asked.jsonl", read_asked, REQUESTS, as_lines),
}


def try_reader(name: str, folder: Path, seconds: float, examples: int) -> None:
    """Give a reader spoiled files until the time is over, and one round at least."""
    reader = READERS[name]
    path = folder / reader.name
    reader.read(put(path, reader.write(reader.good)))  # the good one is read
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = time.monotonic() + seconds
    for turn in itertools.count():

        @seed(turn)
        @settings(
            max_examples=examples,
            derandomize=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(spoiled(reader.good, reader.write))
        def try_file(content: bytes) -> None:
            start = time.monotonic()
            try:
                reader.read(put(path, content))
            except InputError as error:
                sentence = str(error)
                assert "\n" not in sentence, sentence
                assert len(sentence) < 2000, sentence
            assert time.monotonic() - start < LONGEST

        try_file()
        if time.monotonic() > end:
            break
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_spoiled_file_is_read_or_refused_in_one_sentence(name, tmp_path):
    if "Inspect" in name:
        pytest.importorskip("inspect_ai")
    try_reader(name, tmp_path, 0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_spoiled_file_gives_a_traceback_or_takes_much_time_or_memory(name, tmp_path):
    """S5, S6, S10 and T3: every reader."""
    if "Inspect" in name:
        pytest.importorskip("inspect_ai")
    try_reader(name, tmp_path, SECONDS, 30)
