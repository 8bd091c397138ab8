from __future__ import annotations

import asyncio
from pathlib import Path

import anthropic
import pytest
from hypothesis import settings

from afanalysis.calls import Endpoint
from afanalysis.collection import collect
from afanalysis.judging import judge
from afanalysis.standin.server import Faults, running
from afanalysis.study import Study

settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def small_study() -> Study:
    return Study(
        name="small",
        samples=2,
        prompts={"helpful-only": {"first": 12}, "animal-welfare": {"first": 12}},
        seed=7,
    )


def put(study: Study, folder: Path, address: str, *, judged: bool = False):
    """Collect (and judge) a study against a running stand-in."""

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            endpoint = Endpoint(client, "simulated")
            outcome = await collect(study, endpoint, folder)
            if judged:
                await judge(study.judge, endpoint, folder)
            return outcome

    return asyncio.run(ask())


@pytest.fixture(scope="session")
def standin():
    with running(seed=7) as address:
        yield address


@pytest.fixture
def faulty():
    """A stand-in with faults: `with faulty(rate_limited=0.3) as address`."""
    return lambda **faults: running(seed=7, faults=Faults(**faults))


@pytest.fixture(scope="session")
def collected(small_study, standin, tmp_path_factory) -> Path:
    """The raw folder of the small study, collected and judged."""
    folder = tmp_path_factory.mktemp("raw") / "small"
    put(small_study, folder, standin, judged=True)
    return folder
