"""What the API itself says that a model takes, asked before anything is paid."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from afanalysis.collection.calls import Call, CallRun
from afanalysis.collection.endpoint import Server
from afanalysis.collection.responses import Failure, decode, receive
from afanalysis.errors import InputError
from afanalysis.study.ledger import whole_number

# The first API version that answers 400 to temperature, top_p and top_k, whatever their value
# (anthropic SDK 2.12.0, `_constants.py`, and its change log; November 2026).
NO_TEMPERATURE = "2026-10-21"


async def check_models(run: CallRun, calls: Iterable[Call], models: Collection[str]) -> None:
    """Ask about each model of a live run that has calls to make; deprecations go to the run's notes.

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
        A model does not exist, has been retired, or does not take what it would be sent: one sentence
        each. A server that describes no models raises nothing; there the first call tells.
    """
    left = set(models) if run.endpoint.source == "live" else set()
    problems: list[str] = []
    for call in calls if left else ():
        model = call.params["model"]
        if model in left and call.key not in run.journal:
            left.remove(model)
            server = run.server(model)
            info = await _describe(server, model)
            problems += _misfits(info, call.body, server, run.in_batch(call))
            if info.get("lifecycle") == "deprecated":
                ends = str(info.get("retires_at") or "at a date that is not known yet")
                run.summary.notes.append(f"{model} is deprecated and retires {ends}")
        if not left:
            break
    if problems:
        raise InputError("; ".join(problems))


async def _describe(server: Server, model: str) -> dict[str, Any]:
    """What a server says about a model; empty if it says nothing that can be read."""
    response = await receive(server.client.models.with_streaming_response.retrieve(model), seconds=20)
    if not isinstance(response, Failure):
        return decode(response[1])
    if response.status == 404 and model in response.reason:
        raise InputError(f"{server.address}: no such model ({response.reason}); check the model names")
    return {}


def _misfits(info: dict[str, Any], body: dict[str, Any], server: Server, batch: bool) -> list[str]:
    """What a model does not take of a call, one sentence each."""
    able, output = decode(info.get("capabilities")), decode(body.get("output_config"))
    version = str(server.client.default_headers.get("anthropic-version"))
    problems: list[str] = []
    if info.get("lifecycle") == "retired":
        problems.append(f"it was retired {info.get('retires_at') or ''}; choose another model")
    most = whole_number(info.get("max_tokens"))
    if most and body["max_tokens"] > most:
        problems.append(f"max_tokens is {body['max_tokens']:,}; use at most {most:,}")
    refused = {"temperature", "top_p", "top_k"} & set(body)
    if refused and able and version >= NO_TEMPERATURE:
        problems.append(
            f"{', '.join(refused)} is not accepted under API version {version}; leave it out or, for an "
            "older model, set api_version: 2023-06-01"
        )
    for name, value in (
        ("effort", output.get("effort")),
        ("thinking", decode(body.get("thinking")).get("type")),
    ):
        levels = decode(able.get(name))
        levels = decode(levels.get("types")) or levels
        taken = [level for level, support in levels.items() if decode(support).get("supported")]
        if value is not None and levels and value not in taken:
            use = f"use {', '.join(taken)}" if taken else "leave it out"
            problems.append(f"{name} {value!r} is not taken; {use}")
    for needed, name in (("format" in output, "structured_outputs"), (batch, "batch")):
        if needed and decode(able.get(name)).get("supported") is False:
            problems.append(f"it does not support {name}, which this run needs")
    return [f"{body['model']}: {problem}" for problem in problems]
