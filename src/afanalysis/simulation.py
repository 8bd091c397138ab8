"""Where a study's questions go: the API, or a simulated model, judge and people."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from afanalysis.calls import Endpoint
from afanalysis.errors import InputError
from afanalysis.study import Study

SIMULATED_LABELLERS = ("simulated-ann", "simulated-ben")


@contextlib.asynccontextmanager
async def connect(
    study: Study, *, live: bool = False, base_url: str | None = None
) -> AsyncIterator[Endpoint]:
    """The endpoint that a study is put to, for as long as the block lasts.

    Parameters
    ----------
    study
        Its seed and simulation set up the stand-in.
    live
        False: a stand-in started for the purpose; no key, no cost, simulated answers. True: the API,
        with the key in the environment variable ANTHROPIC_API_KEY.
    base_url
        Another server that speaks the Messages API; only with `live`.

    Raises
    ------
    InputError
        A live run without a key.
    """
    import anthropic

    from afanalysis.standin.server import running

    if not live:
        with running(study.seed, study.simulation) as address:
            async with anthropic.AsyncAnthropic(base_url=address, api_key="stand-in") as client:
                yield Endpoint(client, "simulated")
        return
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise InputError(
            "the environment variable ANTHROPIC_API_KEY is not set; a live run needs a key (without "
            "--live the run is simulated and needs none)"
        )
    async with anthropic.AsyncAnthropic(base_url=base_url) as client:
        yield Endpoint(client, "live")


def simulate_labels(study: Study, folder: Path) -> int:
    """Label a drawn sample as two simulated people would, where a study is simulated itself.

    Returns
    -------
    int
        The labels written; what is labelled already is passed over.

    Raises
    ------
    InputError
        The rollouts are no simulated ones: labels of real answers must come from people.
    """
    from afanalysis import labels
    from afanalysis.collection import ROLLOUTS
    from afanalysis.journal import read_records
    from afanalysis.standin.answers import SimulatedLabeller

    drawn = labels.read_sample(folder)
    there = {(one.rollout, one.labeller) for one in labels.read_labels(folder)}
    people = [SimulatedLabeller(name, study.seed) for name in SIMULATED_LABELLERS]
    made = []
    for record in read_records(folder / ROLLOUTS):
        key = record["key"]
        if record["source"] != "simulated":
            raise InputError(f"{folder}: holds {record['source']} rollouts; people must label those")
        made += [
            labels.Label(key, person.name, *person.label(key, record["scratchpad"], record["output"]))
            for person in people
            if key in drawn and (key, person.name) not in there
        ]
    return labels.add_labels(folder, made)
