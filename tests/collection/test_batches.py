import json
from datetime import UTC, datetime

import pytest

from afanalysis.collection import batches
from afanalysis.collection.calls import Call
from afanalysis.study.design import Sampling
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.ledger import Budget
from tests.helpers import asked, keys, kill, planned, put, put_in_a_child, wait_for_lines


def test_a_study_goes_through_batches_once(small_study, faulty, tmp_path):
    with faulty(batch_seconds=0.1) as address:
        summary = put(small_study, tmp_path, address, batch=True, batch_size=30, judged=True)
        assert summary.sent == small_study.size
        assert put(small_study, tmp_path, address, batch=True, batch_size=30).sent == 0
        assert asked(address)["batched"] == 3 * small_study.size  # a verdict takes two calls
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    assert all(record["batch"] for record in read_records(tmp_path / "rollouts.jsonl"))
    assert len(list(read_records(tmp_path / "judgements.jsonl"))) == 2 * small_study.size


def test_batches_and_live_calls_give_the_same_answers(small_study, faulty, standin, tmp_path):
    put(small_study, tmp_path / "live", standin)
    with faulty() as address:
        put(small_study, tmp_path / "batch", address, batch=True)
    live, batch = (
        {record["key"]: record["output"] for record in read_records(tmp_path / kind / "rollouts.jsonl")}
        for kind in ("live", "batch")
    )
    assert live == batch


def test_only_what_expired_or_erred_is_sent_again(small_study, faulty, tmp_path):
    with faulty(expired=0.2, errored=0.1) as address:
        summary = put(small_study, tmp_path, address, batch=True, batch_size=30)
        sent = asked(address)["batched"]
        while summary.failed:
            summary = put(small_study, tmp_path, address, batch=True, batch_size=30)
        assert sent < 1.6 * small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_what_the_api_finds_invalid_is_named_and_not_sent_again(small_study, faulty, tmp_path):
    warm = small_study.model_copy(update={"sampling": Sampling(temperature=1.0)})
    with faulty() as address:
        summary = put(warm, tmp_path, address, batch=True, batch_size=30)
        assert len(summary.failed) == small_study.size
        assert "`temperature` is deprecated for this model" in summary.failed[0]
        assert asked(address)["batched"] == small_study.size


def test_a_budget_stops_before_the_next_batch(small_study, faulty, tmp_path):
    live = {"source": "live", "batch": True, "batch_size": 30}
    with faulty() as address:
        summary = put(small_study, tmp_path, address, budget=Budget(usd=100), **live)
        assert summary.sent == small_study.size
        usd = json.loads((tmp_path / "manifest.json").read_text())["spend"]["usd"]
        larger = small_study.model_copy(update={"samples": 3})
        summary = put(larger, tmp_path, address, budget=Budget(usd=usd), **live)
        assert summary.sent == 0
        assert "does not cover the next call" in summary.stopped
        assert asked(address)["batched"] == small_study.size


@pytest.mark.slow
def test_a_killed_run_finds_its_batches_again(small_study, faulty, tmp_path):
    log = tmp_path / "rollouts.batches.jsonl"
    with faulty(batch_seconds=0.3) as address:
        for lines in (1, 4, 7):  # after 'sending', between batches, before 'collected'
            process = put_in_a_child(small_study, tmp_path, address, batch=True, batch_size=12)
            wait_for_lines(log, lines, process)
            kill(process)
        put(small_study, tmp_path, address, batch=True, batch_size=30)
        sent = asked(address)["batched"]
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    assert sent <= small_study.size + 12


def test_a_batch_whose_id_was_not_written_down_is_found_in_the_apis_list(small_study, faulty, tmp_path):
    with faulty(batch_seconds=0.2) as address:
        put(small_study, tmp_path, address, batch=True)
        log = tmp_path / "rollouts.batches.jsonl"
        first = log.read_text().splitlines()[0]  # 'sending', as if killed right after the request
        log.write_text(first + "\n")
        (tmp_path / "rollouts.jsonl").write_text("")
        put(small_study, tmp_path, address, batch=True)
        assert asked(address)["batched"] == small_study.size
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_a_batch_that_never_left_is_sent(small_study, faulty, tmp_path):
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
        put(small_study, tmp_path, address, batch=True, batch_size=30)
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_large_studies_are_cut_by_count_and_by_bytes(monkeypatch):
    calls = [Call(f"{i:032x}", {"text": "x" * 100}, {}) for i in range(25)]
    assert [len(chunk) for chunk in batches.chunks(calls, 10)] == [10, 10, 5]
    monkeypatch.setattr(batches, "MAX_BYTES", 500)
    assert max(len(chunk) for chunk in batches.chunks(calls, 10)) == 4
