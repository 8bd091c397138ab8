"""Forecast the calls, tokens and price of a study before anything is spent."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afanalysis.collection.batches import keys_under_way
from afanalysis.collection.calls import Call, count_tokens
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.responses import decode, prepared
from afanalysis.collection.rollouts import request_of
from afanalysis.standin.models import facts_of
from afanalysis.study.design import Study
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices
from afanalysis.study.manifest import as_begun

# Of English text; used only if no counter can be reached.
CHARACTERS_PER_TOKEN = 4.0

# Output tokens of an answer with a scratchpad, of a verdict, and of thinking by effort: assumed,
# and used only for models that have not answered yet.
TYPICAL_OUTPUT = 700
TYPICAL_VERDICT = 500
THINKING_TOKENS = {"low": 500, "medium": 1500, "high": 3000, "xhigh": 6000, "max": 10_000}


@dataclass(frozen=True)
class Forecast:
    """What it would take to collect or judge a study, or the rest of it.

    Attributes
    ----------
    calls, present
        Rollouts, or verdicts, not yet asked for, and those that are there or in a batch under way.
    input_tokens, output_tokens, output_limit
        Expected tokens, and the most output tokens possible.
    counted
        Whether the API's own counter gave the input tokens.
    from_answers
        Whether answers already collected gave the expected output tokens.
    usd, usd_batch, usd_limit
        Expected price live and through Message Batches, and the live price if every answer were as long
        as allowed; None if a model has no price.
    """

    calls: int
    present: int
    input_tokens: int
    output_tokens: int
    output_limit: int
    counted: bool
    from_answers: bool
    usd: float | None
    usd_batch: float | None
    usd_limit: float | None


async def forecast(study: Study, folder: Path, prices: Prices, endpoint: Endpoint | None) -> Forecast:
    """Forecast what a study would take.

    Parameters
    ----------
    study, folder
        The study and its raw folder; rollouts already collected are not counted.
    prices
        The price list.
    endpoint
        Where to count tokens, one free request per system prompt; None to estimate from characters.
    """
    study = as_begun(study, folder)
    calls = (Call(planned.key, request_of(planned, study), {}) for planned in study.plan())
    return await forecast_calls(calls, folder / ROLLOUTS, prices, endpoint, TYPICAL_OUTPUT)


async def forecast_calls(
    calls: Iterable[Call], journal: Path, prices: Prices, endpoint: Endpoint | None, typical: int
) -> Forecast:
    """Forecast calls that neither the journal nor a batch holds; `typical` output tokens each."""
    collected = keys_under_way(journal, lock=False)
    lengths: defaultdict[str, list[int]] = defaultdict(list)
    for record in read_records(journal) if journal.exists() else ():
        model = record.get("model") or str(record.get("judge")).rpartition("@")[0]
        collected.add(record["key"])
        lengths[model].append(record.get("output_tokens") or 0)
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    overheads: dict[str, float] = {}  # input tokens of what calls share
    counted, present = endpoint is not None, 0
    for call in calls:
        if call.key in collected:
            present += 1
            continue
        body = call.body
        model, most = body["model"], body["max_tokens"]
        own = len(body["messages"][0]["content"]) / CHARACTERS_PER_TOKEN
        shared = json.dumps([model, body["system"]])
        if shared not in overheads:
            client = prepared(endpoint.server(model).client) if endpoint and counted else None
            count = await count_tokens(client, call.params) if client else None
            counted = count is not None
            overheads[shared] = len(shared) / CHARACTERS_PER_TOKEN if count is None else count - own
        answers = lengths.get(model)
        usual = sum(answers) / len(answers) if answers else typical + _expected_thinking(body)
        read = round(own + overheads[shared])
        expected = {"input_tokens": read, "output_tokens": min(round(usual), most)}
        totals[model].update(calls=1, output_limit=most, **expected)

    def price(output: str, batch: bool = False) -> float | None:
        costs = []
        for model, total in totals.items():  # by the call, since prices depend on its length
            each = {"input_tokens": total["input_tokens"] / total["calls"]}
            each["output_tokens"] = total[output] / total["calls"]
            costs.append((cost := prices.cost(model, each, batch=batch)) and cost * total["calls"])
        return None if None in costs else sum(filter(None, costs))

    every = sum(totals.values(), Counter())
    return Forecast(
        **{name: every[name] for name in ("calls", "input_tokens", "output_tokens", "output_limit")},
        present=present,
        counted=counted,
        from_answers=bool(collected) and all(map(lengths.get, totals)),
        usd=price("output_tokens"),
        usd_batch=price("output_tokens", batch=True),
        usd_limit=price("output_limit"),
    )


def _expected_thinking(body: dict[str, Any]) -> int:
    facts = facts_of(body["model"])
    kind = decode(body.get("thinking")).get("type") or facts.thinks
    effort = decode(body.get("output_config")).get("effort", facts.usual)
    return THINKING_TOKENS[effort] if kind not in (False, "disabled", "between_tools") else 0
