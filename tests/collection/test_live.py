import asyncio
import os
import signal

import pytest

from afanalysis.collection.live import Throttle
from afanalysis.errors import InputError
from tests.helpers import asked, keys, kill, planned, put, put_in_a_child, wait_for_lines


@pytest.mark.slow
def test_a_storm_of_errors_is_survived(small_study, faulty, tmp_path):
    storm = {"rate_limited": 0.3, "server_error": 0.1, "overloaded": 0.05, "dropped": 0.05}
    with faulty(**storm) as address:
        summary = put(small_study, tmp_path, address)
    assert not summary.failed
    assert set(keys(tmp_path)) == planned(small_study)


@pytest.mark.parametrize(
    ("address", "key", "sentence"),
    [
        ("http://127.0.0.1:9", "any", "cannot be reached"),
        (None, "rejected", "the key was not accepted"),
    ],
)
def test_a_hopeless_endpoint_gives_one_sentence(small_study, standin, tmp_path, address, key, sentence):
    with pytest.raises(InputError, match=sentence):
        put(small_study, tmp_path, address or standin, api_key=key)
    assert (tmp_path / "rollouts.jsonl").read_bytes() == b""


def test_a_setting_that_the_model_rejects_stops_the_run_at_the_first_call(small_study, faulty, tmp_path):
    warm = small_study.model_copy(
        update={"sampling": small_study.sampling.model_copy(update={"temperature": 0.5})}
    )
    with faulty() as address:
        with pytest.raises(
            InputError, match=r"the first call was rejected \(`temperature` is deprecated"
        ):
            put(warm, tmp_path, address)
        assert asked(address)["messages"] == 1


def test_a_killed_run_resumes_to_exactly_the_planned_set(small_study, faulty, tmp_path):
    with faulty(latency=0.02) as address:
        for lines in (5, 20, 35):
            process = put_in_a_child(small_study, tmp_path, address, concurrency=4)
            wait_for_lines(tmp_path / "rollouts.jsonl", lines, process)
            kill(process)
        put(small_study, tmp_path, address)
        answered = asked(address)["answered"]
    assert sorted(keys(tmp_path)) == sorted(planned(small_study))
    # paid twice: at most what was in flight at each of the three kills
    assert answered <= small_study.size + 3 * 4


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_saves_what_is_in_flight(small_study, faulty, tmp_path):
    with faulty(latency=0.2) as address:
        process = put_in_a_child(small_study, tmp_path, address, concurrency=4)
        wait_for_lines(tmp_path / "rollouts.jsonl", 1, process)
        os.kill(process.pid, signal.SIGINT)
        process.join(20)
        assert process.exitcode == 0
        answered = asked(address)["answered"]
    assert 0 < len(keys(tmp_path)) == answered < small_study.size


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


def test_the_rate_limit_headers_cap_the_calls_in_flight():
    async def play():
        throttle = Throttle(16)
        for call in range(16):
            throttle.slots.acquire_on_behalf_of_nowait(call)
        throttle.answered(pushed_back=False, remaining=5)
        assert throttle.limit == throttle.slots.total_tokens == 5
        throttle.answered(pushed_back=False, remaining=500)
        assert throttle.limit > 5

    asyncio.run(play())
