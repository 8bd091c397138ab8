"""What a study would take: calls, tokens and money, before any of it is spent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import request_of
from afanalysis.study.begun import as_begun
from afanalysis.study.design import PlannedRollout, Study
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices

# English text has about this many characters a token; only used where no counter can be reached.
CHARACTERS_A_TOKEN = 4.0

# Output tokens of an answer with a scratchpad, where nothing has been collected to go by.
USUAL_OUTPUT = 700


@dataclass(frozen=True)
class Forecast:
    """What collecting a study, or what is left of it, would take.

    Attributes
    ----------
    calls
        Rollouts not yet collected.
    input_tokens, output_tokens
        Expected; `counted` says whether the API's own counter gave the former, `from_answers` whether
        answers already collected gave the latter. The output is at most `output_limit`.
    usd, usd_batch, usd_limit
        Expected price live and by Message Batches, and the price if every answer were as long as
        allowed; None where a model has no price.
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
    """Add up what a study would take.

    Parameters
    ----------
    study, folder
        The study and its raw folder; what is there already is not counted again.
    prices
        The price list.
    endpoint
        Where to count tokens, one request a condition, at no cost; None to estimate from characters.
    """
    study = as_begun(study, folder)
    done, written = set(), []
    if (folder / ROLLOUTS).exists():
        for record in read_records(folder / ROLLOUTS):
            done.add(record["key"])
            written.append(record["output_tokens"])
    usual = round(sum(written) / len(written)) if written else USUAL_OUTPUT
    usual = min(usual, study.sampling.max_tokens)
    calls: Counter[str] = Counter()
    inputs: Counter[str] = Counter()
    overhead: dict[tuple[str, str, str, str], float] = {}
    counted = endpoint is not None
    for planned in study.plan():
        if planned.key in done:
            continue
        condition = (planned.model, planned.setting, planned.variation, planned.tier)
        if condition not in overhead:
            found = await _count(planned, study, endpoint) if counted else None
            counted = found is not None
            estimate = (len(planned.system) + len(planned.user)) / CHARACTERS_A_TOKEN
            tokens = estimate if found is None else found
            overhead[condition] = tokens - len(planned.request) / CHARACTERS_A_TOKEN
        calls[planned.model] += 1
        inputs[planned.model] += round(overhead[condition] + len(planned.request) / CHARACTERS_A_TOKEN)

    def price(output: int, batch: bool = False) -> float | None:
        total = 0.0
        for model, count in calls.items():
            usage = {"input_tokens": inputs[model], "output_tokens": output * count}
            cost = prices.cost(model, usage, batch=batch)
            if cost is None:
                return None
            total += cost
        return total

    return Forecast(
        calls=calls.total(),
        input_tokens=inputs.total(),
        output_tokens=usual * calls.total(),
        output_limit=study.sampling.max_tokens * calls.total(),
        counted=counted,
        from_answers=bool(written),
        usd=price(usual),
        usd_batch=price(usual, batch=True),
        usd_limit=price(study.sampling.max_tokens),
    )


async def _count(planned: PlannedRollout, study: Study, endpoint: Endpoint | None) -> int | None:
    """The API's own count of a request's input tokens, or None where it cannot be reached."""
    import anthropic

    assert endpoint is not None
    request = request_of(planned, study)
    try:
        found = await endpoint.client.with_options(max_retries=1, timeout=20).messages.count_tokens(
            model=request["model"], system=request["system"], messages=request["messages"]
        )
    except anthropic.APIError:
        return None
    return found.input_tokens
