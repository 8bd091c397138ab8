"""Where a study's calls go: the API, or the stand-in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afanalysis.errors import InputError
from afanalysis.standin.serving import running
from afanalysis.study.design import Study

if TYPE_CHECKING:
    import anthropic


@dataclass(frozen=True)
class Endpoint:
    """Where calls go: the SDK's asynchronous client, and its answers' source (`live`, `simulated`)."""

    client: anthropic.AsyncAnthropic
    source: str


@contextlib.asynccontextmanager
async def connect(
    study: Study, *, live: bool = False, base_url: str | None = None
) -> AsyncIterator[Endpoint]:
    """Open the endpoint that answers a study's calls within the block.

    Parameters
    ----------
    study
        Its seed and simulation configure the stand-in.
    live
        False: a stand-in started for the block; no key, no cost, simulated answers. True: the API, with
        the key in the environment variable ANTHROPIC_API_KEY.
    base_url
        Another server that speaks the Messages API; only with `live`.

    Yields
    ------
    Endpoint
        `client` and `source`.

    Raises
    ------
    InputError
        A live run has no key.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     await af.collect(study, endpoint, folders.raw)
    """
    import anthropic

    if not live:
        with running(study.seed, study.simulation) as address:
            async with anthropic.AsyncAnthropic(base_url=address, api_key="stand-in") as client:
                yield Endpoint(client, "simulated")
        return
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise InputError(
            "the environment variable ANTHROPIC_API_KEY is not set; a live run needs a key (without "
            "--live, the run is simulated and needs none)"
        )
    async with anthropic.AsyncAnthropic(base_url=base_url) as client:
        yield Endpoint(client, "live")
