"""What the API says that a model takes: asked before a live run, and compared with what is believed."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice, product
from typing import Any

from afanalysis.collection.calls import MARGIN, Call, CallRun
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.responses import Answer, Failure, decode, prepared, read_answer, receive
from afanalysis.errors import InputError
from afanalysis.standin.models import BELIEFS, SAMPLING, VERSIONS, facts_of
from afanalysis.study.design import Study
from afanalysis.study.ledger import Budget, Charge, whole_number

# The most requests of `check_api`; one may have told whether the server is a stand-in.
MOST_CALLS = 10

# What is believed of a model's description; the rest are names and dates.
_DESCRIBED = {"lifecycle", "retires_at", "max_tokens", "max_input_tokens", "capabilities"}

_QUESTION = [{"role": "user", "content": "How many primes lie between 100 and 150? Write the number."}]


async def check_models(run: CallRun, calls: Iterable[Call], models: Collection[str]) -> None:
    """Ask about each model of a live run that has calls to make; its retirement goes to the notes.

    A retired model is asked all the same: some are open to those who have requested it.

    Parameters
    ----------
    run
        The run, whose journal holds the calls that have been answered.
    calls
        The planned calls.
    models
        Whose calls these are.

    Raises
    ------
    InputError
        A model does not take what it would be sent: one sentence each. A server that describes no
        models raises nothing; there the first call tells.
    """
    left, problems = set(models), list[str]()
    for call in calls if run.endpoint.source == "live" else ():
        model = call.params["model"]
        if model in left and call.key not in run.journal:
            left.remove(model)
            server = run.server(model)
            info = await _description(server.client, model)
            version = str(server.client.default_headers.get("anthropic-version"))
            problems += [f"{model}: {problem}" for problem in _misfits(info, call.body, version)]
            if (stage := info.get("lifecycle")) in ("deprecated", "retired"):
                ends = str(info.get("retires_at") or "at a date that is not known")
                run.summary.notes.append(f"{model} is {stage}; it retires or has retired {ends}")
        if not left:
            break
    if problems:
        raise InputError("; ".join(problems))


def _misfits(info: dict[str, Any], body: dict[str, Any], version: str) -> Iterator[str]:
    """What a model does not take of a call, one sentence each."""
    able, output = decode(info.get("capabilities")), decode(body.get("output_config"))
    most = whole_number(info.get("max_tokens"))
    if most and body["max_tokens"] > most:
        yield f"max_tokens is {body['max_tokens']:,}; use at most {most:,}"
    refused = [name for name in SAMPLING if name in body]
    if refused and able and version >= VERSIONS[-1]:
        older = "for an older model, set api_version: 2023-06-01"
        yield f"{refused[0]} is not accepted under API version {version}; leave it out or, {older}"
    thinking = decode(body.get("thinking"))
    for name, value in (("effort", output.get("effort")), ("thinking", thinking.get("type"))):
        levels = decode(able.get(name))
        levels = decode(levels.get("types")) or levels
        taken = [level for level, support in levels.items() if decode(support).get("supported")]
        if value is not None and levels and value not in taken:
            yield f"{name} {value!r} is not taken; use {', '.join(taken) or 'none'}"


async def _description(client: Any, model: str) -> dict[str, Any]:
    """What the API says of a model; empty if it says nothing."""
    response = await receive(client.models.with_streaming_response.retrieve(model), seconds=20)
    return {} if isinstance(response, Failure) else decode(response[1])


async def check_api(study: Study, endpoint: Endpoint, budget: Budget) -> list[tuple[str, str]]:
    """Compare the API with what this package believes of it.

    Parameters
    ----------
    study
        Its models that the API serves are compared with their descriptions, which is free. Those that
        think without showing it are asked a question.
    endpoint
        Its client is asked, at most `MOST_CALLS` times.
    budget
        A call whose worst case it does not cover is not made.

    Returns
    -------
    list of tuple of str
        First the server; then each belief, and how it is: empty if as believed, `differs: ` with what
        was found, or `not tried: ` with the reason; last what it cost.
    """
    client, named = prepared(endpoint.client), dict.fromkeys([*study.models, *study.judge.models])
    models = [model for model in named if not study.endpoint_of(model).base_url][: MOST_CALLS - 1]
    findings = [(endpoint.require(models, budget), f"its answers are {endpoint.source}")]
    for model in models:
        believed = {name: value for name, value in facts_of(model).info.items() if name in _DESCRIBED}
        info = await _description(client, model)
        found = "; ".join(_differences("", believed or {"lifecycle": "unknown here"}, info))
        findings.append((f"{model}: lifecycle, limits, capabilities", found and f"differs: {found}"))
    asked = product((model for model in models if facts_of(model).omits), BELIEFS.items())
    for model, (belief, about) in islice(asked, MOST_CALLS - 1 - len(models)):
        findings.append((f"{model}: {belief}", await _try(client, budget, model, **about)))
    return [*findings, ("cost at the API's prices", f"${budget.spend.usd:.4f}")]


def _differences(place: str, believed: Any, found: Any) -> Iterator[str]:
    if isinstance(believed, dict) and isinstance(found, dict):
        for name in believed:
            yield from _differences(f"{place} {name}".strip(), believed[name], found.get(name))
    elif believed != found:
        yield f"{place} is {json.dumps(found)}, not {json.dumps(believed)}"


async def _try(client: Any, budget: Budget, model: str, sent: dict[str, Any], shows: str) -> str:
    """How a model's answer differs from the form that is believed, within the budget."""
    params = {"model": model, "max_tokens": 1000, "messages": _QUESTION, **sent}
    most = {"input_tokens": len(json.dumps(params)) + MARGIN, "output_tokens": 1000}
    if refusal := budget.refusal(Charge(model, most)):
        return f"not tried: {refusal}"
    response = await receive(client.messages.with_streaming_response.create(**params), seconds=120)
    answer = response if isinstance(response, Failure) else read_answer(response[1])
    budget.spend.add(budget.prices, Charge(model, most if answer.usage is None else answer.usage))
    found = answer.reason if isinstance(answer, Failure) else _in_words(answer)
    return "" if re.search(shows, found) else f"differs: {found}"


def _in_words(answer: Answer) -> str:
    counted, thought = "not " * (not answer.usage), "with" if answer.thinking else "without"
    return f"{answer.stop_reason}, {counted}counted, {thought} thinking"
