"""Collect a study's rollouts, and open what collecting and judging make their calls with."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from afanalysis.collection.batches import run_calls
from afanalysis.collection.calls import Call, CallOptions, CallRun, CallSummary
from afanalysis.collection.endpoint import Endpoint, connect
from afanalysis.collection.model_checks import check_models
from afanalysis.collection.responses import Answer
from afanalysis.errors import InputError
from afanalysis.standin.models import facts_of
from afanalysis.study.completion import split_answer
from afanalysis.study.design import PlannedRollout, Study
from afanalysis.study.files import read_json
from afanalysis.study.folders import MANIFEST, ROLLOUTS
from afanalysis.study.hashing import text_hash
from afanalysis.study.journal import Journal
from afanalysis.study.ledger import Budget, Ledger, Prices
from afanalysis.study.manifest import Manifest, as_begun, sampling_hash


async def collect(
    study: Study,
    endpoint: Endpoint,
    folder: Path,
    options: CallOptions | None = None,
    *,
    budget: Budget | None = None,
    first: int | None = None,
) -> CallSummary:
    """Collect the rollouts that the study plans and the folder does not hold yet.

    Parameters
    ----------
    study
        The study. What its file leaves to this package is sent as it was when the folder was begun.
    endpoint
        Where the calls go, as `connect` opens it.
    folder
        The study's folder under `data/raw`. Rollouts go to `rollouts.jsonl`, the system prompts, by
        hash, to `prompts.json`, the record of runs to `manifest.json`. A folder holds rollouts of one
        source, live or simulated.
    options
        How calls are made.
    budget
        What the study may cost in total; required if the endpoint is live.
    first
        In a study with `order: prompts`, only so many prompts of each setting.

    Returns
    -------
    CallSummary
        `sent`, `skipped`, `attempts`, `failed` and `stopped`.

    Raises
    ------
    InputError
        The folder cannot be written, holds rollouts of another source (and not all of them) or of
        another study, or is in use; a live endpoint has no budget; or the endpoint does not answer.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.connect(study) as endpoint:  # doctest: +SKIP
    ...     await af.collect(study, endpoint, folders.raw)
    """
    if study.imported:
        raise InputError(f"study {study.name} was imported; import its logs again instead")
    address = endpoint.require(study.models, budget)
    with Journal(folder / ROLLOUTS) as journal:
        study = as_begun(study, folder)
        source = endpoint.source
        held = read_json(folder / MANIFEST).get("source", source)
        if held != source == "simulated" and all(each.key in journal for each in study.plan(first)):
            source = held  # nothing is left to ask, so it does not matter who would be asked
        manifest = Manifest.open(folder, study, source, address)
        ledger = Ledger(folder, budget) if budget else None
        before = len(journal.keys)
        if endpoint.source == "live" and not before:
            _require_thinking(study)
        run = CallRun(journal, endpoint, _record, options or CallOptions(), ledger)
        try:
            plan = partial(_calls, study, endpoint.source, first)
            await check_models(run, plan(), study.models)
            total = study.size if first is None else sum(1 for _ in study.plan(first))
            await run_calls(run, plan, total, "rollouts")
        except BaseException:
            # a full disk fails here again, but the first error is the one to show
            with contextlib.suppress(OSError, InputError):
                manifest.close(len(journal.keys) - before, len(journal.keys), budget)
            raise
        manifest.close(len(journal.keys) - before, len(journal.keys), budget)
        return run.summary


def _require_thinking(study: Study) -> None:
    """Raise `InputError` if a scratchpad is to be read in thinking that the API would not return."""
    for model, variation in product(study.models, study.variations):
        shown = (study.sampling_of(model).thinking or {}).get("display") == "summarized"
        if study.scratchpad_from(variation) == "thinking" and facts_of(model).omits and not shown:
            problem = f"leaves out the thinking that variation {variation} reads"
            remedy = "set sampling: {thinking: {type: adaptive, display: summarized}}"
            raise InputError(f"{model} {problem}; {remedy}")


def request_of(planned: PlannedRollout, study: Study) -> dict[str, Any]:
    """The arguments of `messages.create` for a planned rollout."""
    sampling = study.sampling_of(planned.model).sent
    sampling.pop("api_version", None)  # a header of the server's client
    # no longer an argument of the SDK, but some models accept it
    temperature = {"temperature": sampling.pop("temperature")} if "temperature" in sampling else {}
    extra = sampling.pop("extra", {}) | temperature
    if effort := sampling.pop("effort", None):
        sampling["output_config"] = {"effort": effort}
    form = study.endpoint_of(planned.model).system
    # many calls share the long system prompt: let the API cache it
    control = {"type": "ephemeral"} | ({"ttl": "1h"} if form == "cached-1h" else {})
    blocks = [{"type": "text", "text": planned.system, "cache_control": control}]
    request = {"model": planned.model, "system": planned.system if form == "text" else blocks}
    request["messages"] = [{"role": "user", "content": planned.user}]
    return request | sampling | ({"extra_body": extra} if extra else {})


def _calls(study: Study, source: str, first: int | None) -> Iterator[Call]:
    samplings = {name: sampling_hash(study.sampling_of(name)) for name in study.models}
    for planned in study.plan(first):
        about = vars(planned) | {"study": study.name, "source": source}
        about |= {"system": text_hash(planned.system), "sampling": samplings[planned.model]}
        about["scratchpad_from"] = study.scratchpad_from(planned.variation)
        del about["user"]
        yield Call(planned.key, request_of(planned, study), about)


def _record(call: Call, answer: Answer) -> dict[str, Any]:
    scratchpad_from = call.about["scratchpad_from"]
    parts = split_answer(answer.text, answer.thinking, scratchpad_from)
    record = call.about | {"valid": parts.valid and not answer.blocked, "blocked": answer.blocked}
    record["problem"] = "" if answer.blocked else parts.problem
    record |= {"scratchpad": parts.scratchpad, "output": parts.output, "thinking": answer.thinking}
    if parts.problem or scratchpad_from != "tags":  # splitting the text lost something
        record["completion"] = answer.text
    return record | answer.record | {"latency_s": answer.latency_s, "collected_at": answer.finished_at}


@contextlib.asynccontextmanager
async def calling(
    study: Study,
    *,
    live: bool = False,
    base_url: str | None = None,
    budget: float | None = None,
    budget_tokens: int | None = None,
    any_price: bool = False,
    prices: str | Path | None = None,
    **options: Any,
) -> AsyncIterator[dict[str, Any]]:
    """Open what `collect` and `judge` make their calls with.

    Parameters
    ----------
    study
        Whose calls they are.
    live, base_url
        As in `connect`.
    budget, budget_tokens, any_price
        What the study may cost in total, in USD and in tokens; or that no limit is needed.
    prices
        A file of prices to add or correct (YAML).
    options
        How calls are made: `batch`, `concurrency`, `poll_seconds`, `resend`, `stop_after`.

    Yields
    ------
    dict
        The arguments `endpoint`, `budget` and `options`.

    Raises
    ------
    InputError
        An option is unknown or out of its range, or what `connect` raises.

    Examples
    --------
    In a notebook, or in an `async def`:

    >>> async with af.calling(study, batch=True) as how:  # doctest: +SKIP
    ...     await af.collect(study, folder=folders.raw, **how)
    """
    if unknown := sorted(options.keys() - CallOptions.model_fields.keys()):
        known = ["base_url", "budget_tokens", "any_price", "prices", *CallOptions.model_fields]
        raise InputError(f"calls: {unknown[0]!r} is not an option; use: {', '.join(known)}")
    limit = None
    if live or budget is not None or budget_tokens is not None:
        limit = Budget(budget, budget_tokens, any_price, Prices.load(Path(prices) if prices else None))
    how = {"budget": limit, "options": CallOptions.checked(options, "calls")}
    async with connect(study, live=live, base_url=base_url) as endpoint:
        yield how | {"endpoint": endpoint}
