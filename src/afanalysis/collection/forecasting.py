"""Forecast the calls, tokens and price of a study before anything is spent."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from afanalysis.collection.calls import count_tokens
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.responses import prepared
from afanalysis.collection.rollouts import request_of
from afanalysis.study.begun import as_begun
from afanalysis.study.design import Study
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices

# Of English text; used only if no counter can be reached.
CHARACTERS_PER_TOKEN = 4.0

# Output tokens of an answer with a scratchpad; used only if nothing has been collected yet.
TYPICAL_OUTPUT = 700


@dataclass(frozen=True)
class Forecast:
    """What it would take to collect a study, or the rest of it.

    Attributes
    ----------
    calls
        Rollouts not yet collected.
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
        Where to count tokens, one request per condition, at no cost; None to estimate from characters.
    """
    study = as_begun(study, folder)
    collected: dict[str, int] = {}
    if (folder / ROLLOUTS).exists():
        records = read_records(folder / ROLLOUTS)
        collected = {record["key"]: record.get("output_tokens") or 0 for record in records}
    usual = round(sum(collected.values()) / len(collected)) if collected else TYPICAL_OUTPUT
    usual = min(usual, study.sampling.max_tokens)
    calls: Counter[str] = Counter()
    inputs: Counter[str] = Counter()
    # input tokens by condition, without those of the request
    overheads: dict[tuple[str, str, str, str], float] = {}
    client = prepared(endpoint.client) if endpoint else None
    for planned in study.plan():
        if planned.key in collected:
            continue
        request_tokens = len(planned.request) / CHARACTERS_PER_TOKEN
        condition = (planned.model, planned.setting, planned.variation, planned.tier)
        if condition not in overheads:
            tokens: float | None = None
            if client:
                tokens = await count_tokens(client, request_of(planned, study))
            if tokens is None:
                client = None
                tokens = (len(planned.system) + len(planned.user)) / CHARACTERS_PER_TOKEN
            overheads[condition] = tokens - request_tokens
        calls[planned.model] += 1
        inputs[planned.model] += round(overheads[condition] + request_tokens)

    def price(output: int, batch: bool = False) -> float | None:
        costs = [
            prices.cost(model, {"input_tokens": inputs[model], "output_tokens": output * n}, batch=batch)
            for model, n in calls.items()
        ]
        return None if None in costs else sum((cost for cost in costs if cost is not None), 0.0)

    return Forecast(
        calls=calls.total(),
        input_tokens=inputs.total(),
        output_tokens=usual * calls.total(),
        output_limit=study.sampling.max_tokens * calls.total(),
        counted=client is not None,
        from_answers=bool(collected),
        usd=price(usual),
        usd_batch=price(usual, batch=True),
        usd_limit=price(study.sampling.max_tokens),
    )
