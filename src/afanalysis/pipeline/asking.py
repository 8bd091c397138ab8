"""What making calls takes, from the arguments of a command or the parameters of a notebook."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import connect
from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.ledger import Budget, Prices


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
    known = [field.name for field in fields(CallOptions)]
    if unknown := sorted(options.keys() - set(known)):
        named = ["base_url", "budget_tokens", "any_price", "prices", *known]
        raise InputError(f"calls: {unknown[0]!r} is not an option; use: {', '.join(named)}")
    limit = None
    if live or budget is not None or budget_tokens is not None:
        limit = Budget(budget, budget_tokens, any_price, Prices.load(Path(prices) if prices else None))
    how = {"budget": limit, "options": CallOptions(**options)}
    async with connect(study, live=live, base_url=base_url) as endpoint:
        yield how | {"endpoint": endpoint}
