"""Kills at random times, of all that writes, with others side by side where that is allowed."""

import asyncio
import itertools
import os
import random
import shutil
import signal
import time
from collections import Counter

import anthropic
import pytest

import afanalysis as af
from afanalysis.collection.endpoint import Endpoint
from afanalysis.judging.model import judge
from afanalysis.logs.importing import import_logs
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.notebooks import STEPS
from afanalysis.study.design import Study
from afanalysis.study.journal import read_records
from afanalysis.study.labels import Label, add_labels, read_labels
from afanalysis.study.ledger import Budget, Ledger
from tests.helpers import (
    billed,
    calls,
    in_a_child,
    keys,
    kill,
    planned,
    put,
    standing_in,
    tiny_project,
    wait_for_lines,
    wait_until,
)
from tests.logs.samples import both_tiers, pipeline_log

# How often each of collect, judge, label, import and run is killed, if it is 20 times in all.
KILLS = int(os.environ.get("AFANALYSIS_KILLS", "20")) // 5

pytestmark = pytest.mark.slow

SMALL = Study(
    name="kills",
    samples=1,
    settings=["helpful-only"],
    prompts={"helpful-only": {"first": 50}},
    sampling={"max_tokens": 500},
)
LARGE = SMALL.model_copy(update={"samples": 10})
LIVE = {"source": "live", "concurrency": 4}


def collect_them(study, folder, address, options):
    put(study, folder, address, budget=Budget(usd=1000), **LIVE, **options)


def judge_them(study, folder, address):
    async def run():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            endpoint = Endpoint(client, "live")
            return await judge(study.judge, endpoint, folder, budget=Budget(usd=1000))

    return asyncio.run(run())


def label_them(folder):
    for number in itertools.count(len(read_labels(folder))):
        add_labels(folder, [Label(f"{number:032}", "ann", "refused")])
        time.sleep(0.002)


@pytest.mark.parametrize("options", [{}, {"batch": True, "batch_size": 50}], ids=["live", "batch"])
def test_killing_collect_judge_and_label_side_by_side_loses_nothing(options, tmp_path):
    study = LARGE if KILLS > 10 else SMALL
    delay = random.Random(0).uniform
    with standing_in(latency=0.01, batch_seconds=0.1) as (address, standin):
        labels = 0
        for _ in range(KILLS):
            processes = [
                in_a_child(collect_them, study, tmp_path, address, {"poll_seconds": 0.02} | options),
                in_a_child(judge_them, study, tmp_path, address),
                in_a_child(label_them, tmp_path),
            ]
            wait_for_lines(tmp_path / "labels.csv", labels + 2, processes[-1])
            time.sleep(delay(0.1, 0.6))
            for process in processes:
                kill(process)
            assert len(read_labels(tmp_path)) >= labels
            labels = len(read_labels(tmp_path))
        collect_them(study, tmp_path, address, {"poll_seconds": 0.02} | options)
        judge_them(study, tmp_path, address)
        budget = Ledger(tmp_path, Budget(usd=1000)).budget
        assert billed(standin) <= budget.spend.usd + budget.reserved.usd + 1e-9
    assert sorted(keys(tmp_path)) == sorted(planned(study))
    votes = Counter(record["key"] for record in read_records(tmp_path / "judgements.jsonl"))
    assert set(votes.values()) == {1}
    assert len(af.tidy(tmp_path)) == study.size
    assert labels
    assert [int(label.rollout) for label in read_labels(tmp_path)] == list(range(labels))


def import_them(logs, study):
    while True:
        import_logs([logs], study)


def test_killing_two_imports_side_by_side_leaves_nothing_behind(tmp_path):
    delay = random.Random(0).uniform
    logs, raw = tmp_path / "logs", tmp_path / "raw"
    pipeline_log(logs, both_tiers(20))
    for _ in range(KILLS):
        processes = [in_a_child(import_them, logs, raw / name) for name in ("one", "two")]
        time.sleep(delay(0.2, 1))
        for process in processes:
            assert process.is_alive()
            kill(process)
        if (raw / "one" / "rollouts.jsonl").exists():
            assert len(keys(raw / "one")) == 40
            add_labels(raw / "one", [Label(keys(raw / "one")[0], "ann", "refused")])
    for name in ("one", "two"):
        assert import_logs([logs], raw / name).kept == 40
        add_labels(raw / name, [Label(keys(raw / name)[0], "ann", "refused")])
        assert import_logs([logs], raw / name).kept == 40
    assert sorted(path.name for path in raw.iterdir()) == ["one", "two"]
    table = af.tidy(raw / "one")
    assert len(table) == 40
    assert table.label_complied.notna().sum() == 1


def run_them(project):
    steps = notebooks.steps(project, project / "study.yaml")
    notebooks.raise_first_failure(notebooks.run(project, steps))


def test_killing_a_run_of_the_notebooks_loses_nothing(tmp_path):
    delay = random.Random(0).uniform
    project = tiny_project(tmp_path / "project")
    killed = 0
    for _ in range(KILLS):
        begun = len(calls(project, "one"))
        process = in_a_child(run_them, project)
        wait_until(
            lambda known=begun, run=process: len(calls(project, "one")) > known or not run.is_alive(),
            process,
        )
        process.join(delay(0, 3))
        kill(process)
        if process.exitcode == 0:  # all done: begin anew
            shutil.rmtree(project / "data")
            killed = 0
        else:
            assert process.exitcode == -signal.SIGKILL
            killed += 1
    steps = notebooks.steps(project, project / "study.yaml")
    results = notebooks.run(project, steps)
    notebooks.raise_first_failure(results)
    assert not any(reasons for _, reasons in notebooks.plan(project, steps))
    # a kill costs the notebook under way, and none that was finished
    assert len(calls(project, "one")) <= len(STEPS) + killed
