"""A hundred SIGKILLs at random instants over one collection."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from afanalysis import batches
from afanalysis.study import Study
from tests.conftest import put as put_live
from tests.test_batches import asked
from tests.test_batches import put as put_in_batches
from tests.test_calls import keys, planned

KILLS = 100
IN_FLIGHT = 32
A_BATCH = 100


def _live(study, folder, address):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    put_live(study, folder, address)


def _batch(study, folder, address):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    batches.ask_in_batches.__kwdefaults__["most_requests"] = A_BATCH
    put_in_batches(study, folder, address)


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
    target = _live if way == "live" else _batch
    with faulty(latency=0.15, batch_seconds=12) as address:
        finished = 0
        for _ in range(KILLS):
            process = fork.Process(target=target, args=(study, tmp_path, address))
            process.start()
            time.sleep(chance.uniform(0.05, 0.45))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            finished += process.exitcode == 0
        (put_live if way == "live" else put_in_batches)(study, tmp_path, address)
        counted = asked(address)
    found = keys(tmp_path)
    assert len(found) == len(set(found)) == study.size
    assert set(found) == planned(study)
    if way == "live":
        assert counted["answered"] <= study.size + KILLS * IN_FLIGHT
    else:
        assert counted["batched"] <= study.size + KILLS * A_BATCH / 10
    print(f"{way}: {KILLS - finished} runs killed, {counted} at the server")
