"""What the API itself says that a model takes, asked before anything is paid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from afanalysis.collection.calls import Call, CallRun
from afanalysis.collection.responses import Failure, decode, receive
from afanalysis.errors import InputError
from afanalysis.standin.models import SAMPLING, VERSIONS
from afanalysis.study.ledger import whole_number


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
            asking = server.client.models.with_streaming_response.retrieve(model)
            response = await receive(asking, seconds=20)
            info = {} if isinstance(response, Failure) else decode(response[1])
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
