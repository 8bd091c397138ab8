import asyncio
import json
import signal
import subprocess
import sys
import urllib.request

import anthropic
import pytest

from afanalysis import batches
from afanalysis.calls import Endpoint
from afanalysis.collection import collect
from afanalysis.journal import Journal, read_records
from afanalysis.judging import judge
from afanalysis.money import Budget
from tests.conftest import PROJECT
from tests.test_calls import keys, planned, wait_for_lines


def put(study, folder, address, budget=None, judged=False):
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            endpoint = Endpoint(client, "live" if budget else "simulated")
            outcome = await collect(
                study, endpoint, folder, batch=True, budget=budget, poll_seconds=0.02
            )
            if judged:
                await judge(study.judge, endpoint, folder, batch=True, poll_seconds=0.02)
            return outcome

    return asyncio.run(ask())


def asked(address):
    return json.load(urllib.request.urlopen(f"{address}/asked"))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(
        batches.ask_in_batches,
        "__kwdefaults__",
        batches.ask_in_batches.__kwdefaults__ | {"most_requests": 30},
    )


def test_a_study_goes_through_batches_once(small_study, faulty, tmp_path, small_batches):
    with faulty(batch_seconds=0.1) as address:
        outcome = put(small_study, tmp_path, address, judged=True)
        assert outcome.asked == small_study.size
        assert put(small_study, tmp_path, address).asked == 0
        assert asked(address)["batched"] == 2 * small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    assert all(record["batch"] for record in read_records(tmp_path / "rollouts.jsonl"))
    assert len(list(read_records(tmp_path / "judgements.jsonl"))) == small_study.size


def test_batches_and_live_calls_give_the_same_answers(small_study, faulty, standin, tmp_path):
    from tests.conftest import put as put_live

    put_live(small_study, tmp_path / "live", standin)
    with faulty() as address:
        put(small_study, tmp_path / "batch", address)
    live, batch = (
        {r["key"]: r["output"] for r in read_records(tmp_path / kind / "rollouts.jsonl")}
        for kind in ("live", "batch")
    )
    assert live == batch


def test_only_what_expired_or_erred_is_sent_again(small_study, faulty, tmp_path):
    with faulty(batch_expired=0.2, batch_errored=0.1) as address:
        first = put(small_study, tmp_path, address)
        sent = asked(address)["batched"]
        while first.failed:
            first = put(small_study, tmp_path, address)
        assert sent < 1.6 * small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_what_the_api_finds_invalid_is_named_and_not_sent_again(small_study, faulty, tmp_path):
    with faulty(rejected_fields=["max_tokens"]) as address:
        outcome = put(small_study, tmp_path, address)
        assert len(outcome.failed) == small_study.size
        assert "not supported by" in outcome.failed[0]
        assert asked(address)["batched"] == small_study.size


def test_a_budget_stops_before_the_next_batch(small_study, faulty, tmp_path, small_batches):
    with faulty() as address:
        outcome = put(small_study, tmp_path, address, budget=Budget(usd=100))
        assert outcome.asked == small_study.size
    cost = json.loads((tmp_path / "manifest.json").read_text())["spend"]["usd"]
    with faulty() as address:
        assert (
            put(
                small_study.model_copy(update={"samples": 3}), tmp_path, address, budget=Budget(usd=cost)
            ).asked
            == 0
        )


_CHILD = """
import sys
sys.path.insert(0, {project!r})
from pathlib import Path
from afanalysis import batches
from afanalysis.study import Study
from tests.test_batches import put
batches.ask_in_batches.__kwdefaults__["most_requests"] = 24
put(Study.model_validate_json({study!r}), Path({folder!r}), {address!r})
"""


def child(study, folder, address):
    code = _CHILD.format(
        project=str(PROJECT), study=study.model_dump_json(), folder=str(folder), address=address
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def test_a_killed_run_finds_its_batches_again(small_study, faulty, tmp_path):
    log = tmp_path / "rollouts.batches.jsonl"
    with faulty(batch_seconds=0.3) as address:
        for lines in (1, 4, 7):  # after 'sending', between batches, before 'collected'
            process = child(small_study, tmp_path, address)
            wait_for_lines(log, lines, process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        put(small_study, tmp_path, address)
        sent = asked(address)["batched"]
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    assert sent <= small_study.size + 24


def test_a_batch_whose_id_was_not_written_down_is_found_in_the_apis_list(small_study, faulty, tmp_path):
    with faulty(batch_seconds=0.2) as address:
        put(small_study, tmp_path, address)
        log = tmp_path / "rollouts.batches.jsonl"
        first = log.read_text().splitlines()[0]  # 'sending', as if killed right after the request
        log.write_text(first + "\n")
        (tmp_path / "rollouts.jsonl").write_text("")
        put(small_study, tmp_path, address)
        assert asked(address)["batched"] == small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_a_batch_that_never_left_is_sent(small_study, faulty, tmp_path):
    from datetime import UTC, datetime

    with Journal(tmp_path / "rollouts.batches.jsonl") as log:
        log.append(
            "0" * 32,
            {
                "what": "sending",
                "at": datetime.now(UTC).isoformat(),
                "name": "x",
                "keys": sorted(planned(small_study)),
            },
        )
    with faulty() as address:
        put(small_study, tmp_path, address)
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_large_studies_are_cut_by_count_and_by_bytes(monkeypatch):
    from afanalysis.calls import Call

    calls = [Call(f"{i:032x}", {"text": "x" * 100}, {}) for i in range(25)]
    assert [len(chunk) for chunk in batches._chunks(calls, 10)] == [10, 10, 5]
    monkeypatch.setattr(batches, "MOST_BYTES", 500)
    assert max(len(chunk) for chunk in batches._chunks(calls, 10)) == 4
