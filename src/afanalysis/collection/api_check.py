"""The API as it is, compared with what this package believes of it."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice, product
from typing import Any

from afanalysis.collection.calls import MARGIN
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.responses import Failure, decode, prepared, read_answer, receive
from afanalysis.errors import InputError
from afanalysis.standin.models import facts_of, known_models, undated
from afanalysis.study.design import Study
from afanalysis.study.ledger import Budget, Charge

# The most requests; one lists the models, and one may have told whether the server is a stand-in.
MOST_CALLS = 10

_AS_BELIEVED = "as believed"

# What is believed of a model's description; the rest are names and dates.
_DESCRIBED = ("lifecycle", "retires_at", "max_tokens", "max_input_tokens", "capabilities")

# What is believed of answers: what is sent to see it, and the form of what comes back.
_ENDS, _SHOWN = "(end_turn|max_tokens)", {"thinking": {"type": "adaptive", "display": "summarized"}}
_BELIEFS: dict[str, tuple[dict[str, Any], str]] = {
    "a temperature is refused": ({"extra_body": {"temperature": 1.0}}, "temperature"),
    "an answer ends, has token counts and shows no thinking": (
        {},
        f"{_ENDS}, counted, without thinking",
    ),
    "`display: summarized` shows the thinking": (_SHOWN, f"{_ENDS}, counted, with thinking"),
}
_QUESTION = "How many primes lie between 100 and 150? Think about it, then write only the number."


async def check_api(endpoint: Endpoint, study: Study, budget: Budget) -> AsyncIterator[tuple[str, str]]:
    """Compare the API with what is believed of it, one belief at a time.

    Parameters
    ----------
    endpoint
        Its client is asked, at most `MOST_CALLS` times.
    study
        Its models that the API serves and that think without showing it are asked a question; all known
        models are compared with what the API lists, which is free.
    budget
        A call whose worst case it does not cover is not made.

    Yields
    ------
    tuple of str
        The belief, and `as believed`, `differs: ` with what was found, or `not tried: ` with the reason.

    Raises
    ------
    InputError
        The server does not list its models.
    """
    client = prepared(endpoint.client)
    response = await receive(client.models.with_streaming_response.list(limit=1000), seconds=20)
    if isinstance(response, Failure):
        raise InputError(f"{client.base_url}: does not list its models ({response.reason})")
    listed = decode(response[1]).get("data")
    rows = map(decode, listed if isinstance(listed, list) else ())
    infos = {undated(str(info.get("id"))): info for info in rows}
    own = [name for name in (*study.models, *study.judge.models) if not study.endpoint_of(name).base_url]
    for model in dict.fromkeys([*own, *known_models()]):
        known, info = facts_of(model).info, infos.get(undated(model))
        believed = {name: known[name] for name in _DESCRIBED if name in known}
        unknown = "models.yaml lacks it" if not known else "" if info else "it is not listed"
        found = unknown or "; ".join(_differences("", believed, info))
        yield f"{model}: lifecycle, limits, capabilities", f"differs: {found}" if found else _AS_BELIEVED
    asked = [
        name for name in dict.fromkeys(own) if name in budget.prices.models and facts_of(name).omits
    ]
    for model, belief in islice(product(asked, _BELIEFS), MOST_CALLS - 2):
        yield f"{model}: {belief}", await _try(client, budget, model, *_BELIEFS[belief])


def _differences(place: str, believed: Any, found: Any) -> Iterator[str]:
    if isinstance(believed, dict) and isinstance(found, dict):
        for name in believed:
            yield from _differences(f"{place} {name}".strip(), believed[name], found.get(name))
    elif believed != found:
        yield f"{place} is {json.dumps(found)}, not {json.dumps(believed)}"


async def _try(client: Any, budget: Budget, model: str, settings: dict[str, Any], form: str) -> str:
    """How a model answers, within the budget."""
    messages = [{"role": "user", "content": _QUESTION}]
    params = {"model": model, "max_tokens": 1000, "messages": messages, **settings}
    most = {"input_tokens": len(json.dumps(params)) + MARGIN, "output_tokens": 1000}
    if refusal := budget.refusal(Charge(model, most)):
        return f"not tried: {refusal}"
    response = await receive(client.messages.with_streaming_response.create(**params), seconds=120)
    answer = response if isinstance(response, Failure) else read_answer(200, *response)
    budget.spend.add(budget.prices, Charge(model, most if answer.usage is None else answer.usage))
    if isinstance(answer, Failure):
        found = answer.reason
    else:
        counted, thought = "not " * (not answer.usage), "with" if answer.thinking else "without"
        found = f"{answer.stop_reason}, {counted}counted, {thought} thinking"
    return _AS_BELIEVED if re.search(form, found) else f"differs: {found}"
