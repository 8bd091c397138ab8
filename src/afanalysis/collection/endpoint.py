"""Where a study's calls go: the API, or the stand-in."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from afanalysis.collection.responses import Failure, prepared, receive
from afanalysis.errors import InputError
from afanalysis.standin.handlers import STANDIN_HEADER
from afanalysis.standin.serving import running
from afanalysis.study.design import Study

if TYPE_CHECKING:
    import anthropic

# How long a server may take to say whether it is a stand-in.
PROBE_SECONDS = 10.0

# The scheme, login, host, port and path of an address; its query is not kept.
_ADDRESS = re.compile(
    r"(https?://)(?:([^/?#]*)@)?(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?(/[^?#]*)?(?:[?#].*)?", re.I
)


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
        the key in the environment variable ANTHROPIC_API_KEY. Answers of a stand-in, wherever it runs,
        are simulated here, too.
    base_url
        Another server that speaks the Messages API; only with `live`.

    Yields
    ------
    Endpoint
        `client` and `source`.

    Raises
    ------
    InputError
        A live run has no key, or the base URL is not an address.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     await af.collect(study, endpoint, folders.raw)
    """
    if not live:
        with running(study.seed, study.simulation) as address:
            async with _client(address, api_key="stand-in") as client:
                yield Endpoint(client, "simulated")
        return
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise InputError(
            "the environment variable ANTHROPIC_API_KEY is not set; a live run needs a key (without "
            "--live, the run is simulated and needs none)"
        )
    base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL")
    async with _client(base_url) as client:
        simulated = base_url is not None and await _is_a_standin(client)
        yield Endpoint(client, "simulated" if simulated else "live")


async def _is_a_standin(client: anthropic.AsyncAnthropic) -> bool:
    """Whether a server says that its answers are simulated; the request is free."""
    listing = prepared(client).models.with_streaming_response.list(limit=1)
    response = await receive(listing, seconds=PROBE_SECONDS)
    return not isinstance(response, Failure) and STANDIN_HEADER in response[0]


def _client(base_url: str | None, **settings: Any) -> anthropic.AsyncAnthropic:
    """The SDK's client, for which this machine is never behind a proxy.

    A user and password in the address go into a header, and a query is cut, so that neither reaches the
    manifest, an error or a log.
    """
    import anthropic

    if base_url:
        match = _ADDRESS.fullmatch(base_url)
        if match is None:
            raise InputError("the base URL is not an address such as https://api.anthropic.com")
        scheme, login, host, port, path = match.groups("")
        base_url = f"{scheme}{host}{port}{path}"
        if host in ("127.0.0.1", "localhost", "[::1]"):
            # the SDK takes proxies from the environment even where it is not to trust it
            direct = dict.fromkeys(("http://", "https://", "all://"))
            settings["http_client"] = anthropic.DefaultAsyncHttpxClient(trust_env=False, mounts=direct)
        if login:
            encoded = base64.b64encode(unquote(login).encode()).decode()
            settings["default_headers"] = {"Authorization": f"Basic {encoded}"}
    return anthropic.AsyncAnthropic(base_url=base_url, **settings)
