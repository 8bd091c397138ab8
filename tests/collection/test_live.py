import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request

import anthropic
import pytest

from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.live import Throttle
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget
from tests.helpers import keys, planned, put, put_in_a_child, wait_for_lines


def test_a_second_run_asks_nothing_and_a_larger_study_only_what_is_new(small_study, standin, tmp_path):
    first = put(small_study, tmp_path, standin)
    assert (first.sent, first.skipped) == (small_study.size, 0)
    again = put(small_study, tmp_path, standin)
    assert (again.sent, again.skipped) == (0, small_study.size)
    larger = small_study.model_copy(update={"samples": 3})
    more = put(larger, tmp_path, standin)
    assert more.sent == larger.size - small_study.size
    found = keys(tmp_path)
    assert len(found) == len(set(found))
    assert set(found) == planned(larger)


def test_answers_do_not_depend_on_order_or_concurrency(small_study, standin, tmp_path):
    def answers(folder):
        return {r["key"]: r["output"] for r in read_records(folder / "rollouts.jsonl")}

    put(small_study, tmp_path / "a", standin)
    put(small_study.model_copy(update={"tiers": ["paid", "free"]}), tmp_path / "b", standin)
    assert answers(tmp_path / "a") == answers(tmp_path / "b")


@pytest.mark.slow
def test_a_storm_of_errors_is_survived(small_study, faulty, tmp_path):
    storm = {"rate_limited": 0.3, "server_error": 0.1, "overloaded": 0.05, "dropped": 0.05}
    with faulty(**storm, retry_after=0.05) as address:
        outcome = put(small_study, tmp_path, address)
    assert not outcome.failed
    assert set(keys(tmp_path)) == planned(small_study)


@pytest.mark.parametrize(
    ("address", "key", "sentence"),
    [
        ("http://127.0.0.1:9", "any", "cannot be reached"),
        (None, "rejected", "the key was not accepted"),
    ],
)
def test_a_hopeless_endpoint_gives_one_sentence(small_study, standin, tmp_path, address, key, sentence):

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=address or standin, api_key=key) as client:
            await collect(small_study, Endpoint(client, "simulated"), tmp_path)

    with pytest.raises(InputError, match=sentence):
        asyncio.run(ask())
    assert (tmp_path / "rollouts.jsonl").read_bytes() == b""


def test_a_setting_that_the_model_rejects_stops_the_run_at_the_first_call(small_study, faulty, tmp_path):
    warm = small_study.model_copy(
        update={"sampling": small_study.sampling.model_copy(update={"temperature": 0.5})}
    )
    with faulty(rejected_fields=["temperature"]) as address:
        with pytest.raises(InputError, match=r"the first call was rejected \(temperature"):
            put(warm, tmp_path, address)
        asked = json.load(urllib.request.urlopen(f"{address}/asked"))
    assert asked["messages"] == 1


def test_simulated_and_live_rollouts_are_never_mixed(small_study, standin, tmp_path):

    put(small_study, tmp_path, standin)

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            await collect(small_study, Endpoint(client, "live"), tmp_path, budget=Budget(usd=1))

    before = (tmp_path / "rollouts.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds simulated rollouts and cannot take live ones"):
        asyncio.run(ask())
    assert (tmp_path / "rollouts.jsonl").read_bytes() == before


def test_a_killed_run_resumes_to_exactly_the_planned_set(small_study, faulty, tmp_path):
    with faulty(latency=0.02) as address:
        for lines in (5, 40, 70):
            process = put_in_a_child(small_study, tmp_path, address)
            wait_for_lines(tmp_path / "rollouts.jsonl", lines, process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        put(small_study, tmp_path, address)
        asked = json.load(urllib.request.urlopen(f"{address}/asked"))
    found = keys(tmp_path)
    assert sorted(found) == sorted(planned(small_study))
    # paid twice: at most what was under way at each of the three kills
    assert asked["answered"] <= small_study.size + 3 * 32


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_saves_what_is_under_way(small_study, faulty, tmp_path):
    with faulty(latency=0.2) as address:
        process = put_in_a_child(small_study, tmp_path, address)
        wait_for_lines(tmp_path / "rollouts.jsonl", 1, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        asked = json.load(urllib.request.urlopen(f"{address}/asked"))
    found = keys(tmp_path)
    assert len(found) == asked["answered"] < small_study.size


def test_the_throttle_halves_under_pressure_and_recovers():
    async def play():
        throttle = Throttle(16)
        throttle.answered(pushed_back=True)
        assert throttle.limit == 8
        throttle.answered(pushed_back=True)  # within the same second: counted once
        assert throttle.limit == 8
        for _ in range(200):
            throttle.answered(pushed_back=False)
        assert throttle.limit == 16

    asyncio.run(play())


def test_no_key_reaches_any_file(small_study, standin, tmp_path):

    secret = "sk-ant-very-secret-0123456789"

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key=secret) as client:
            await collect(small_study, Endpoint(client, "simulated"), tmp_path)

    asyncio.run(ask())
    for path in tmp_path.rglob("*"):
        assert secret.encode() not in path.read_bytes(), path


def test_no_key_stands_in_anything_that_a_failing_run_writes(project, tmp_path):
    import shutil

    for name in ("notebooks", "studies"):
        shutil.copytree(project / name, tmp_path / name)
    secret = "sk-ant-very-secret-0123456789"
    for address in ("http://127.0.0.1:9", "http://127.0.0.1:1"):
        command = ["collect", "--study", "studies/demo.yaml", "--live", "--budget", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "afanalysis.cli", *command, "--base-url", address],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"ANTHROPIC_API_KEY": secret},
        )
        assert done.returncode == 2
        assert "cannot be reached" in done.stderr
        assert secret not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes(), path


def test_a_folder_of_another_study_is_refused_and_left_as_it_was(small_study, standin, tmp_path):
    put(small_study, tmp_path, standin)
    before = (tmp_path / "rollouts.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds the study 'small', not 'other'"):
        put(small_study.model_copy(update={"name": "other"}), tmp_path, standin)
    assert (tmp_path / "rollouts.jsonl").read_bytes() == before


def test_two_versions_of_a_prompt_are_never_mixed(small_study, standin, tmp_path):
    import afanalysis as af

    own = tmp_path / "mine.csv"
    study = small_study.model_copy(update={"settings": ["helpful-only"]})
    rows = ["prompt_id,text", *(f"p{i},Ask {i}" for i in range(6))]
    own.write_text("\n".join(rows))
    study = type(study).model_validate(
        study.model_dump() | {"prompts": {"helpful-only": {"file": own}}, "samples": 1}
    )
    folder = tmp_path / "raw"
    put(study, folder, standin, judged=True)
    rows[1] = "p0,Ask something else"
    own.write_text("\n".join(rows))
    more = put(study, folder, standin, judged=True)
    assert more.sent == 2  # the changed prompt in both tiers
    table = af.tidy(folder)
    assert len(table) == study.size
    assert set(table.loc[table.prompt_id == "p0", "request"]) == {"Ask something else"}


def test_native_thinking_is_kept_apart_from_the_scratchpad(small_study, standin, tmp_path):
    thoughtful = small_study.sampling.model_copy(update={"thinking": {"type": "adaptive"}})
    put(small_study.model_copy(update={"sampling": thoughtful}), tmp_path, standin)
    for record in read_records(tmp_path / "rollouts.jsonl"):
        assert record["thinking"].startswith("[simulated thinking")
        assert "thinking, kept apart" not in record["scratchpad"]


def test_the_rate_limit_headers_cap_the_calls_under_way():
    async def play():
        throttle = Throttle(16)
        throttle.active = 16
        throttle.answered(pushed_back=False, remaining=5)
        assert throttle.limit == 5
        throttle.answered(pushed_back=False, remaining=500)
        assert throttle.limit > 5

    asyncio.run(play())
