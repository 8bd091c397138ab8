"""A hundred SIGKILLs at random instants over one collection."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from afanalysis.study.design import Study
from tests.helpers import asked, keys, planned, put

KILLS = 100
IN_FLIGHT = 32
A_BATCH = 100


def _quietly(study, folder, address, options):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    put(study, folder, address, **options)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["live", "batch"])
def test_a_hundred_kills_lose_nothing_and_repeat_nothing(way, faulty, tmp_path):
    study = Study(
        name="kills",
        samples=5,
        settings=["helpful-only"],
        prompts={"helpful-only": {"first": 100}},
        variations=["default", "no-examples"],
    )
    assert study.size == 2000
    fork = multiprocessing.get_context("fork")  # the children start with everything imported
    chance = random.Random(0)
    options = {} if way == "live" else {"batch": True, "batch_size": A_BATCH}
    with faulty(latency=0.15, batch_seconds=12) as address:
        finished = 0
        for _ in range(KILLS):
            process = fork.Process(target=_quietly, args=(study, tmp_path, address, options))
            process.start()
            time.sleep(chance.uniform(0.05, 0.45))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            finished += process.exitcode == 0
        put(study, tmp_path, address, **options)
        counted = asked(address)
    found = keys(tmp_path)
    assert len(found) == len(set(found)) == study.size
    assert set(found) == planned(study)
    if way == "live":
        assert counted["answered"] <= study.size + KILLS * IN_FLIGHT
    else:
        assert counted["batched"] <= study.size + KILLS * A_BATCH / 10
    print(f"{way}: {KILLS - finished} runs killed, {counted} at the server")
