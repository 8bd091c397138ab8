"""Where a study's calls go: the API, other servers, or the stand-in."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anthropic

from afanalysis.collection.responses import Failure, prepared, receive
from afanalysis.errors import InputError
from afanalysis.standin.handlers import STANDIN_HEADER
from afanalysis.standin.serving import running
from afanalysis.study.design import ModelEndpoint, ModelPrice, Study
from afanalysis.study.ledger import Budget, require_budget

KEY = "ANTHROPIC_API_KEY"


@dataclass(frozen=True)
class Server:
    """What answers the calls of some models.

    Attributes
    ----------
    client
        The SDK's asynchronous client.
    key_variable
        The environment variable with its key; empty if it has none.
    concurrency
        The most calls at once; None for what the run's options say.
    problem
        Why it cannot be called, in a sentence.
    """

    client: anthropic.AsyncAnthropic
    key_variable: str = KEY
    concurrency: int | None = None
    problem: str = ""

    @property
    def address(self) -> str:
        """Its base URL."""
        return str(self.client.base_url)


@dataclass(frozen=True)
class Endpoint:
    """Where calls go.

    Attributes
    ----------
    client
        The SDK's asynchronous client, for all models without a server of their own.
    source
        What the answers are: `live` or `simulated`.
    servers, prices
        The servers and prices that a study names, by model; "" for models without a server of their own.
    """

    client: anthropic.AsyncAnthropic
    source: str
    servers: Mapping[str, Server] = field(default_factory=dict)
    prices: Mapping[str, ModelPrice] = field(default_factory=dict)

    def server(self, model: str) -> Server:
        """The server that answers a model's calls."""
        return self.servers.get(model, self.servers.get("", Server(self.client)))

    def require(self, models: Iterable[str], budget: Budget | None) -> str:
        """Raise `InputError` if models cannot be called within a budget; returns their addresses."""
        servers = list(dict.fromkeys(map(self.server, models := list(models))))
        if problem := next((server.problem for server in servers if server.problem), None):
            raise InputError(problem)
        if budget:
            budget.prices = budget.prices.extended(self.prices)
        require_budget(self.source, budget, models)
        return ", ".join(server.address for server in servers)


@contextlib.asynccontextmanager
async def connect(
    study: Study, *, live: bool = False, base_url: str | None = None
) -> AsyncIterator[Endpoint]:
    """Open the endpoint that answers a study's calls within the block.

    Parameters
    ----------
    study
        Its seed and simulation configure the stand-in; its `endpoints` say where live calls go.
    live
        False: a stand-in started for the block; no key, no cost, simulated answers. True: the API, with
        the key in the environment variable ANTHROPIC_API_KEY, or the study's own endpoints. Answers of a
        stand-in, wherever it runs, are simulated here, too.
    base_url
        Another server that speaks the Messages API, for models without an endpoint; only with `live`.

    Yields
    ------
    Endpoint
        `client`, `source`, `servers` and `prices`.

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
            async with _client(address, {}, api_key="stand-in") as client:
                yield Endpoint(client, "simulated", prices=study.prices)
        return
    base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or None
    others = {"models": ["other models"], "key_variable": KEY, "base_url": base_url}
    server = _server(study, ModelEndpoint.checked(others, "--base-url or ANTHROPIC_BASE_URL"), base_url)
    if server.problem and not study.endpoints:
        raise InputError(server.problem)
    servers = dict.fromkeys(("", *study.models, *study.judge.models), server)
    for number, settings in enumerate(study.endpoints):
        own = _server(study, settings, base_url, f"endpoints[{number}]: ")
        servers |= dict.fromkeys(settings.models, own)
    async with contextlib.AsyncExitStack() as stack:
        for each in set(servers.values()):
            await stack.enter_async_context(each.client)
        sources = {await _source(each.client) for each in set(servers.values()) if not each.problem}
        if len(sources) > 1:
            raise InputError("one endpoint is a stand-in and another is not; a study is of one source")
        yield Endpoint(server.client, next(iter(sources), "live"), servers, study.prices)


async def _source(client: anthropic.AsyncAnthropic) -> str:
    """Whether a server's answers are `live` or `simulated`; the request is free."""
    if client.base_url.host == "api.anthropic.com":
        return "live"
    response = await receive(prepared(client).models.with_streaming_response.list(limit=1), seconds=10)
    return "live" if isinstance(response, Failure) or STANDIN_HEADER not in response[0] else "simulated"


def _server(study: Study, settings: ModelEndpoint, api: str | None, place: str = "") -> Server:
    """The server of an endpoint, with its key and headers from the environment."""
    variable = settings.key_variable or ("" if settings.base_url else KEY)
    variables = {name: text[1:] for name, text in settings.headers.items() if text.startswith("$")}
    headers = settings.headers | {name: os.environ.get(text, "") for name, text in variables.items()}
    if version := study.sampling_of(settings.models[0]).api_version:
        headers["anthropic-version"] = str(version)
    names = filter(None, (variable, *variables.values()))
    missing = next((name for name in names if not os.environ.get(name)), None)
    problem = missing and f"{place}the environment variable {missing} is not set; a live run needs a key"
    client = _client(settings.base_url or api, headers, api_key=os.environ.get(variable) or "none")
    return Server(client, variable, settings.concurrency, problem or "")


def _client(base_url: str | None, headers: dict[str, str], **settings: Any) -> anthropic.AsyncAnthropic:
    """The SDK's client, for which this machine is never behind a proxy."""
    if urlsplit(base_url or "").hostname in ("127.0.0.1", "localhost", "::1"):
        # the SDK takes proxies from the environment even where it is not to trust it
        direct = dict.fromkeys(("http://", "https://", "all://"))
        settings["http_client"] = anthropic.DefaultAsyncHttpxClient(trust_env=False, mounts=direct)
    return anthropic.AsyncAnthropic(base_url=base_url, default_headers=headers, **settings)
