"""A hundred kills at random times during one collection."""

import random
import time

import pytest

from afanalysis.study.design import Study
from tests.helpers import asked, keys, kill, planned, put, put_in_a_child

KILLS = 100
CONCURRENCY = 32
BATCH_SIZE = 100


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["live", "batch"])
def test_a_hundred_kills_lose_nothing_and_repeat_nothing(mode, faulty, tmp_path):
    study = Study(
        name="kills",
        samples=5,
        settings=["helpful-only"],
        prompts={"helpful-only": {"first": 100}},
        variations=["default", "no-examples"],
    )
    assert study.size == 2000
    random_delay = random.Random(0).uniform
    options = {} if mode == "live" else {"batch": True, "batch_size": BATCH_SIZE}
    with faulty(latency=0.15, batch_seconds=12) as address:
        finished = 0
        for _ in range(KILLS):
            process = put_in_a_child(study, tmp_path, address, **options)
            time.sleep(random_delay(0.05, 0.45))
            kill(process)
            finished += process.exitcode == 0
        put(study, tmp_path, address, **options)
        counts = asked(address)
    assert sorted(keys(tmp_path)) == sorted(planned(study))
    assert finished < KILLS / 2  # most runs were killed indeed
    if mode == "live":
        assert counts["answered"] <= study.size + KILLS * CONCURRENCY
    else:
        assert counts["batched"] <= study.size + KILLS * BATCH_SIZE / 10
