"""Not a cent too much, and not an answer lost: what must hold, one test each.

The numbers in the docstrings are those of the faults that were found in November 2026: M of money, T of
time, size and machine.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.collection import batches, live, responses
from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.live import MAX_FAILURES
from afanalysis.collection.responses import Answer, Failure, hint, read_answer, read_refusal
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.judging.model import judge
from afanalysis.logs.importing import import_logs
from afanalysis.study import journal
from afanalysis.study.folders import LEDGER
from afanalysis.study.journal import Journal, read_records
from afanalysis.study.labels import Label, add_labels
from afanalysis.study.ledger import TOKENS, Budget, Charge, Ledger, read_usage
from tests.helpers import (
    CHILDREN,
    billed,
    keys,
    planned,
    put,
    put_in_a_child,
    standing_in,
    wait_for_lines,
    wait_until,
)
from tests.logs.samples import both_tiers, pipeline_log
from tests.standin.faults import table_of_faults

ODD_COUNTS = [-1, 0.5, True, None, "7", [], {}, float("nan"), float("inf"), 1e30, 10**400]


def pay(study, folder, address, usd, **options):
    return put(study, folder, address, budget=Budget(usd=usd), source="live", **options)


def pay_judge(study, folder, address, usd, **options):
    async def run():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            options_of_calls, budget = CallOptions(**options), Budget(usd=usd)
            return await judge(
                study.judge, Endpoint(client, "live"), folder, options_of_calls, budget=budget
            )

    return asyncio.run(run())


def covered(folder):
    budget = Ledger(folder, Budget(usd=1e9)).budget
    return budget.spend.usd + budget.reserved.usd


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(responses, "LONGEST_WAIT", 0.01)


@pytest.mark.parametrize("usd", [0.1, 0.001])
def test_batches_are_reserved_at_their_worst_case_before_they_are_sent(usd, small_study, tmp_path):
    """M1."""
    with standing_in() as (address, standin):
        for _ in range(2):
            summary = pay(
                small_study, tmp_path, address, usd, batch=True, batch_size=6, poll_seconds=0.01
            )
            assert "does not cover the next call" in summary.stopped
            assert not summary.complete
        assert billed(standin) == pytest.approx(covered(tmp_path))
        assert billed(standin) <= usd
        assert len(keys(tmp_path)) == standin.asked["batched"] < small_study.size


def test_the_smallest_budget_that_goes_on_is_named_and_is_enough(small_study, tmp_path):
    """M12."""
    with standing_in() as (address, _):
        summary = pay(small_study, tmp_path, address, 0.01)
        assert summary.sent == 0
        enough = float(summary.stopped.rpartition("$")[2])
        assert pay(small_study, tmp_path, address, enough - 0.01).sent == 0
        assert pay(small_study, tmp_path, address, enough).sent > 0


@pytest.mark.parametrize("count", ODD_COUNTS, ids=str)
def test_counts_that_cannot_be_true_are_not_believed(count):
    """M2."""
    usage = dict.fromkeys(TOKENS, 5)
    assert read_usage(usage) == usage
    assert read_usage(usage | {"output_tokens": count}) is None
    assert read_usage(usage | {"input_tokens": count}) is None


@pytest.mark.parametrize("fault", ["usage_negative", "usage_missing", "usage_zero", "usage_infinite"])
def test_an_answer_without_a_true_count_is_kept_and_counts_as_its_worst_case(
    fault, small_study, tmp_path
):
    """M2."""
    with standing_in(**{fault: 1}) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100)
        assert (summary.sent, summary.at_worst_case) == (small_study.size, small_study.size)
        spend = covered(tmp_path)
        assert billed(standin) < spend
        assert pay(small_study, tmp_path, address, spend).complete
        assert (
            "does not cover"
            in pay(small_study.model_copy(update={"samples": 3}), tmp_path, address, spend).stopped
        )


def test_one_unusable_answer_costs_no_other_answer(small_study, tmp_path, quick):
    """M3."""
    with standing_in(content_null=0.05, body_null=0.05, body_list=0.05) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100)
        assert standin.asked["answered"] > small_study.size
        assert summary.sent + len(summary.failed) == small_study.size
        standin.shares.clear()
        assert pay(small_study, tmp_path, address, 100).sent == len(summary.failed)
        assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_an_answer_is_in_the_journal_before_its_cost_is_settled(small_study, tmp_path, monkeypatch):
    """M3."""

    def fail(*_, **__):
        raise InputError("the disk is full")

    with standing_in() as (address, _):
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "settle", fail)
            with pytest.raises(InputError, match="the disk is full"):
                pay(small_study, tmp_path, address, 100)
        assert keys(tmp_path)
        assert pay(small_study, tmp_path, address, 100).complete
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


@pytest.mark.parametrize("header", ["header_odd", "header_negative", "header_huge", "header_nan"])
def test_odd_headers_stop_nothing(header, small_study, tmp_path):
    """M4."""
    with standing_in(**{header: 1}) as (address, standin):
        assert pay(small_study, tmp_path, address, 100).complete
        assert standin.asked["answered"] == small_study.size


@pytest.mark.slow
def test_collecting_and_judging_side_by_side_share_one_budget(small_study, tmp_path):
    """M5."""
    larger = small_study.model_copy(update={"samples": 20})
    usd = 2.0

    async def both(address):
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            endpoint = Endpoint(client, "live")
            options = CallOptions(concurrency=16)
            collecting = collect(larger, endpoint, tmp_path, options, budget=Budget(usd=usd))
            judging = judge(larger.judge, endpoint, tmp_path, options, budget=Budget(usd=usd))
            return await asyncio.gather(collecting, judging)

    with standing_in() as (address, standin):
        pay(small_study, tmp_path, address, usd)
        summaries = asyncio.run(both(address))
        assert "does not cover" in summaries[0].stopped
        assert all(summary.sent for summary in summaries)
        assert billed(standin) == pytest.approx(covered(tmp_path))
        assert usd - 0.15 < billed(standin) <= usd


@pytest.mark.slow
def test_an_import_beside_a_judge_is_refused_and_loses_no_paid_verdict(
    small_study, tmp_path, monkeypatch
):
    """M7."""
    logs, folder = tmp_path / "logs", tmp_path / "study"
    pipeline_log(logs, both_tiers(20))
    import_logs([logs], folder)
    imported = len(keys(folder, "judgements.jsonl"))
    pipeline_log(logs, both_tiers(21))
    with standing_in(latency=0.2) as (address, standin):
        arguments = (small_study, folder, address, 100)
        process = CHILDREN.Process(target=pay_judge, args=arguments, kwargs={"concurrency": 4})
        process.start()
        wait_for_lines(folder / "judgements.jsonl", imported + 1, process)
        os.kill(process.pid, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "PATIENCE", 0.1)
            with pytest.raises(InputError, match=r"another process is writing to it \(process \d+"):
                import_logs([logs], folder)
        os.kill(process.pid, signal.SIGCONT)
        process.join()
        import_logs([logs], folder)
        votes = read_records(folder / "judgements.jsonl")
        paid = [vote for vote in votes if vote["judge"].startswith(small_study.judge.model)]
        assert len(paid) == standin.asked["answered"] > 10
        standin.latency = 0
        assert pay_judge(*arguments).skipped == len(paid)


def test_a_thousand_calls_at_once_do_not_exceed_the_budget(small_study, tmp_path):
    """M6, M13."""
    with standing_in(latency=0.05) as (address, standin):
        summary = pay(small_study, tmp_path, address, 0.3, concurrency=1000)
        assert "does not cover the next call" in summary.stopped
        assert 0 < billed(standin) <= 0.3


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ("concurrency", 0),
        ("concurrency", -3),
        ("concurrency", 10_000),
        ("batch_size", 0),
        ("poll_seconds", 0.0),
        ("poll_seconds", float("nan")),
        ("stop_after", -1),
    ],
)
def test_numbers_that_would_hang_or_flood_are_refused(option, number):
    """M13."""
    with pytest.raises(InputError, match=f"calls: {option} is {number}; input should be (great|less)"):
        CallOptions.checked({option: number}, "calls")


def test_a_rejected_call_fails_at_once_and_slows_no_other(small_study, tmp_path):
    """M11."""
    with standing_in(rejected=0.1, too_large=0.1, unprocessable=0.1) as (address, standin):
        started = time.monotonic()
        summary = pay(small_study, tmp_path, address, 100)
        assert 0 < len(summary.failed) == small_study.size - summary.sent
        assert standin.asked["messages"] == small_study.size
        assert time.monotonic() - started < 10
        assert billed(standin) == pytest.approx(covered(tmp_path))


def test_a_first_prompt_that_is_too_long_does_not_stop_the_study(small_study, tmp_path):
    """M11."""
    with standing_in(rejected=1) as (address, standin):
        first = small_study.model_copy(update={"samples": 1})
        assert not pay(first, tmp_path, address, 100).sent
        standin.shares["rejected"] = 0.3
        assert pay(small_study, tmp_path, address, 100).sent


def test_a_batch_is_known_by_what_it_holds_and_not_by_a_clock(small_study, tmp_path):
    """M8."""
    with standing_in(create_dropped=1, list_of_another_clock=1) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, batch=True, batch_size=20, poll_seconds=0.01)
        assert summary.complete
        assert standin.asked["batched"] == small_study.size


@pytest.mark.parametrize("fault", ["results_cut", "results_empty", "results_half", "results_garbled"])
def test_results_that_are_not_whole_are_fetched_again_before_anything_is_paid_again(
    fault, small_study, tmp_path
):
    """M9."""
    with standing_in(**{fault: 1}) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, batch=True, batch_size=30, poll_seconds=0.01)
        assert summary.complete
        assert standin.asked["batched"] == small_study.size
        assert standin.asked[f"fault {fault}"]


@pytest.mark.parametrize("fault", ["results_gone", "status_gone", "results_expired"])
def test_results_that_are_gone_are_one_sentence_and_paid_again_with_consent(
    fault, small_study, tmp_path
):
    """M10."""
    options = {"batch": True, "batch_size": 100, "poll_seconds": 0.01}
    with standing_in(**{fault: 1}) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, **options)
        (sentence,) = summary.failed
        assert "48 of 48 results are gone" in sentence
        assert standin.asked["batched"] == small_study.size
        standin.shares[fault] = 0
        assert pay(small_study, tmp_path, address, 100, resend=True, **options).complete
        assert billed(standin) <= covered(tmp_path)


@pytest.mark.parametrize("fault", ["status_fails", "status_page", "status_dropped", "status_limited"])
def test_polling_outlives_an_outage(fault, small_study, tmp_path):
    """M10."""
    with standing_in(**{fault: 1}, batch_seconds=0.05) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, batch=True, poll_seconds=0.01)
        assert summary.complete
        assert standin.asked[f"fault {fault}"] == 3


def test_an_outage_of_a_day_ends_the_run(small_study, tmp_path, monkeypatch):
    """M10."""
    always = table_of_faults()["status_fails"].model_copy(update={"times": None})
    monkeypatch.setitem(table_of_faults(), "status_fails", always)
    monkeypatch.setattr(batches, "OUTAGE_SECONDS", 0.1)
    options = {"batch": True, "poll_seconds": 0.01}
    with standing_in(status_fails=1) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, **options)
        assert "the API has been out for a day" in summary.stopped
        standin.shares.clear()
        assert pay(small_study, tmp_path, address, 100, **options).complete
        assert standin.asked["batched"] == small_study.size


def test_a_call_that_may_have_been_billed_is_tried_three_times_at_most(small_study, tmp_path, quick):
    """M3."""
    with standing_in(body_null=1) as (address, standin):
        summary = pay(small_study, tmp_path, address, 100, concurrency=1)
        assert standin.asked["answered"] == MAX_FAILURES
        assert len(summary.failed) == MAX_FAILURES // 3
        assert billed(standin) <= covered(tmp_path)


def test_people_can_label_while_a_batch_is_under_way(small_study, tmp_path):
    with standing_in(batch_seconds=600) as (address, standin):
        process = put_in_a_child(small_study, tmp_path, address, batch=True)
        wait_for_lines(tmp_path / "rollouts.batches.jsonl", 2, process)
        add_labels(tmp_path, [Label("0" * 32, "ann", "refused")])
        assert af.judge_by_rules(tmp_path) == 0  # there is nothing to judge yet
        with Journal(tmp_path / "rollouts.jsonl") as rollouts:
            assert not rollouts.keys
        for batch in standin.batches.values():
            batch.ends = 0
        process.join(20)
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def test_one_deadline_holds_for_all_of_a_call(small_study, tmp_path, monkeypatch, quick):
    """T1."""
    monkeypatch.setattr(responses, "CALL_SECONDS", 0.5)
    with standing_in(body_slow=0.1, body_stalled=0.1) as (address, standin):
        assert pay(small_study, tmp_path, address, 100, concurrency=8).complete
        assert billed(standin) <= covered(tmp_path)


def test_no_wait_is_longer_than_a_minute_whatever_a_header_demands():
    """T1."""
    assert read_refusal(429, {"retry-after": "1e9"}, b"").wait == 60


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.parametrize("options", [{}, {"batch": True, "poll_seconds": 60}])
def test_the_first_ctrl_c_ends_what_only_waits(options, small_study, tmp_path):
    """T1."""
    with standing_in(wait_for_decades=1, batch_seconds=60) as (address, standin):
        process = put_in_a_child(small_study, tmp_path, address, **options)
        wait_until(lambda: standin.asked["messages"] + standin.asked["batches"] > 0, process)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        process.join(30)  # the waits last a minute and more
        assert process.exitcode == 0


def test_a_run_can_have_a_deadline(small_study, tmp_path):
    """T1."""
    with standing_in(latency=0.2) as (address, standin):
        summary = put(small_study, tmp_path, address, concurrency=4, stop_after=1.5)
        assert "after 1.5 s" in summary.stopped
        assert 0 < len(keys(tmp_path)) == standin.asked["answered"] < small_study.size


def test_waits_are_shown(small_study, tmp_path, capsys):
    """T1."""
    with standing_in(wait_for_decades=1) as (address, _):
        put(small_study, tmp_path, address, stop_after=2)
    assert "waiting 60 s" in capsys.readouterr().err


def test_half_a_character_in_an_answer_spoils_no_later_run(small_study, tmp_path):
    """T3."""
    with standing_in(lone_surrogate=0.2) as (address, _):
        put(small_study, tmp_path, address)
    assert af.tidy(tmp_path, unjudged=True).output.str.contains("\ufffd").any()


def _with_little_disk(bytes_free, work, *arguments, **options):
    sys.dont_write_bytecode = True  # half a module would break later runs
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_free, bytes_free))
    try:
        work(*arguments, **options)
    except InputError as error:
        os._exit(7 if "cannot be written" in str(error) and "\n" not in str(error) else 1)


@pytest.mark.parametrize("bytes_free", [5_000, pytest.param(25_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["live", "batch", pytest.param("judge", marks=pytest.mark.slow)])
def test_a_full_disk_is_one_sentence_and_nothing_before_it_is_lost(
    what, bytes_free, small_study, tmp_path
):
    """T5."""
    options = {"batch": what == "batch"}
    with standing_in() as (address, standin):
        work, arguments = pay, (small_study, tmp_path, address, 100)
        if what == "judge":
            assert pay(*arguments).complete
            work = pay_judge
        process = CHILDREN.Process(
            target=_with_little_disk, args=(bytes_free, work, *arguments), kwargs=options
        )
        process.start()
        process.join()
        assert process.exitcode == 7
        assert work(*arguments, **options).complete
        assert billed(standin) <= covered(tmp_path) + 1e-9
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    assert not list(tmp_path.glob("*.part"))


def test_answers_of_versions_without_a_ledger_count(small_study, tmp_path):
    with standing_in() as (address, standin):
        pay(small_study, tmp_path, address, 100, judged=False)
        (tmp_path / LEDGER).unlink()
        assert covered(tmp_path) == pytest.approx(billed(standin))
        assert pay(small_study, tmp_path, address, 100).complete


def test_batches_that_a_version_without_a_ledger_sent_count(small_study, tmp_path):
    with standing_in(batch_seconds=1) as (address, standin):
        options = {"batch": True, "poll_seconds": 0.1}
        assert pay(small_study, tmp_path, address, 100, stop_after=0.3, **options).sent == 0
        (tmp_path / LEDGER).unlink()
        assert pay(small_study, tmp_path, address, 100, **options).complete
        assert covered(tmp_path) == pytest.approx(billed(standin))


def test_a_reservation_whose_answer_reached_the_journal_is_settled_by_the_next_run(tmp_path):
    charge = Charge("claude-opus-5-5", {"input_tokens": 10**6, "output_tokens": 10**6})
    first, key = Ledger(tmp_path, Budget(usd=100)), "0" * 32
    assert first.reserve([(key, charge), ("1" * 32, charge)]) == 2
    record = {"key": key, "model": charge.model, "input_tokens": 10**6, "output_tokens": 0}
    (tmp_path / "rollouts.jsonl").write_text(json.dumps(record) + "\n")
    budget = Ledger(tmp_path, Budget(usd=100)).budget  # the first one's process was killed
    assert (budget.spend.usd, budget.reserved.usd) == pytest.approx((4, 24))


def test_every_process_sees_what_the_others_have_reserved(tmp_path):
    """M5, M6."""
    charge = Charge("claude-opus-5-5", {"input_tokens": 10**6})
    ledgers = [Ledger(tmp_path, Budget(usd=10)) for _ in range(3)]
    assert [ledger.reserve([(f"{n:032}", charge)]) for n, ledger in enumerate(ledgers)] == [1, 1, 0]
    ledgers[0].settle({f"{0:032}": {"input_tokens": 1}})
    ledgers[0].flush()
    assert ledgers[2].reserve([(f"{2:032}", charge)]) == 1


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", "{}", '{"call": 1}', '{"before": 5}', '{"before": [1]}']
)
def test_a_line_of_the_ledger_that_is_none_is_one_sentence(line, tmp_path):
    (tmp_path / LEDGER).write_text(line + "\n")
    with pytest.raises(InputError, match="is not an entry of a ledger"):
        Ledger(tmp_path, Budget(usd=1))


def test_a_torn_line_of_the_ledger_is_dropped(tmp_path):
    Ledger(tmp_path, Budget(usd=1))
    whole = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole + b'{"call":"00')
    Ledger(tmp_path, Budget(usd=1))
    assert (tmp_path / LEDGER).read_bytes() == whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = ["content", "usage", "stop_reason", "type", "text", "thinking", "error", "message"]
NAMES += ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
# JSON that looks like a message nearly everywhere
MESSAGES = st.recursive(
    JSON | st.sampled_from(["text", "thinking", "end_turn", 5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=20,
)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "x"]), st.text() | st.floats().map(str))


@given(
    st.none() | st.integers(),
    HEADERS,
    MESSAGES | JSON | st.binary() | JSON.map(lambda x: json.dumps(x).encode()),
)
def test_any_response_is_an_answer_or_a_failure(status, headers, content):
    """M3, M4."""
    answer = read_answer(content) if status is None else read_refusal(status, headers, content)
    assert isinstance(answer, Answer | Failure)
    if answer.usage:
        assert all(isinstance(count, int) and count >= 0 for count in answer.usage.values())
    if isinstance(answer, Answer):
        json.dumps(vars(answer), allow_nan=False)
        (answer.text + answer.thinking + (answer.stop_reason or "")).encode()
    else:
        assert answer.wait is None or 0 <= answer.wait <= 60
        assert answer.reason == answer.reason.strip().replace("\n", "")
        assert answer.reason
    hint(headers, "retry-after", 1e6)


@pytest.mark.slow
def test_answers_of_hundreds_of_megabytes_need_little_memory(small_study, tmp_path, monkeypatch, quick):
    """T2."""
    fault = table_of_faults()["body_huge"].model_copy(update={"pad": 300_000_000, "times": 1})
    monkeypatch.setitem(table_of_faults(), "body_huge", fault)
    with standing_in(body_huge=0.1) as (address, standin):
        process = CHILDREN.Process(target=_put_with_little_memory, args=(small_study, tmp_path, address))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert standin.asked["fault body_huge"] >= 3
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))


def _put_with_little_memory(study, folder, address):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert put(study, folder, address).complete
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
