"""What calls cost: prices, spend so far, and the budget that stops a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from afanalysis.errors import InputError
from afanalysis.study.design import STRICT, first_problem
from afanalysis.study.files import read_yaml
from afanalysis.study.folders import JUDGEMENTS, ROLLOUTS
from afanalysis.study.journal import read_records

_TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")

_FORM = "write models: {NAME: {input: 4, output: 20}}"


class ModelPrice(BaseModel):
    """USD per million input and output tokens."""

    model_config = STRICT
    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Prices(BaseModel):
    """A dated price list."""

    model_config = STRICT
    as_of: Any
    batch_factor: float = Field(default=0.5, gt=0, le=1)
    cache_write_factor: float = Field(default=1.25, ge=1)
    cache_read_factor: float = Field(default=0.1, ge=0, le=1)
    models: dict[str, ModelPrice]

    @classmethod
    def load(cls, extra: Path | None = None) -> Prices:
        """Load the list that ships with the package, overridden by a user's own file.

        Raises
        ------
        InputError
            The file is missing, or does not have the form of `prices.yaml`.
        """
        content = read_yaml(Path(__file__).with_name("prices.yaml"), "a price list")
        if extra is None:
            return cls(**content)
        own = read_yaml(extra, f"a price list; {_FORM}")
        models = own.get("models") or {}
        if not isinstance(models, dict):
            raise InputError(f"{extra}: models is {models!r}; {_FORM}")
        try:
            return cls(**(content | own | {"models": content["models"] | models}))
        except ValidationError as error:
            raise InputError(f"{extra}: {first_problem(error, cls)}; {_FORM}") from error

    def cost(self, model: str, usage: dict[str, Any], *, batch: bool = False) -> float | None:
        """What one answer cost in USD; None if the model has no price.

        Parameters
        ----------
        usage
            `input_tokens`, `output_tokens`, `cache_write_tokens`, `cache_read_tokens`.
        """
        price = self.models.get(model)
        if price is None:
            return None
        tokens = (
            usage.get("input_tokens", 0)
            + usage.get("cache_write_tokens", 0) * self.cache_write_factor
            + usage.get("cache_read_tokens", 0) * self.cache_read_factor
        )
        dollars = (tokens * price.input + usage.get("output_tokens", 0) * price.output) / 1e6
        return dollars * (self.batch_factor if batch else 1.0)


@dataclass
class Spend:
    """What has been used so far."""

    tokens: int = 0
    usd: float = 0.0
    unpriced_tokens: int = 0

    def add(self, prices: Prices, model: str, usage: dict[str, Any], *, batch: bool = False) -> None:
        """Add one answer."""
        tokens = sum(int(usage.get(name) or 0) for name in _TOKENS)
        self.tokens += tokens
        cost = prices.cost(model, usage, batch=batch)
        if cost is None:
            self.unpriced_tokens += tokens
        else:
            self.usd += cost


@dataclass
class Budget:
    """What a study may cost in total, earlier runs included.

    Attributes
    ----------
    usd, tokens
        The limits; None for no limit.
    any_price
        Continue even if a limit in USD would not stop the calls.
    prices
        The price list.
    spend
        What has been spent so far; `begin` reads it from the study's files.

    Raises
    ------
    InputError
        A limit is not above 0.

    Examples
    --------
    >>> import afanalysis as af
    >>> budget = af.Budget(usd=5)
    >>> budget.exhausted is None
    True
    >>> budget.spend.usd = 5.01
    >>> budget.exhausted
    'the budget of $5.00 is spent ($5.01 so far)'
    """

    usd: float | None = None
    tokens: int | None = None
    any_price: bool = False
    prices: Prices = field(default_factory=Prices.load)
    spend: Spend = field(default_factory=Spend)

    def __post_init__(self) -> None:
        for name, limit in (("usd", self.usd), ("tokens", self.tokens)):
            if limit is not None and not limit > 0:
                raise InputError(f"the budget ({name}) is {limit}; it must be above 0")

    def begin(self, folder: Path) -> None:
        """Read from the study's journals what it has spent already."""
        self.spend = Spend()
        for path in (folder / ROLLOUTS, folder / JUDGEMENTS):
            for record in read_records(path) if path.exists() else ():
                model = record.get("model") or str(record.get("judge", "")).split("@")[0]
                self.spend.add(self.prices, model, record, batch="batch" in record)

    @property
    def exhausted(self) -> str | None:
        """Why no more calls may be made, or None."""
        if self.usd is not None and self.spend.usd >= self.usd:
            return f"the budget of ${self.usd:,.2f} is spent (${self.spend.usd:,.2f} so far)"
        if self.tokens is not None and self.spend.tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens is used up ({self.spend.tokens:,} so far)"
        return None


def require_budget(source: str, budget: Budget | None, models: Sequence[str]) -> None:
    """Raise `InputError` if nothing would stop a live run of these models."""
    if source != "live":
        return
    if budget is None:
        raise InputError("a live run needs a budget: --budget USD, or --any-price to run without one")
    if budget.any_price or budget.tokens is not None:
        return
    if budget.usd is None:
        raise InputError("the budget sets no limit; give it usd or tokens, or any_price")
    unpriced = sorted(set(models) - set(budget.prices.models))
    if unpriced:
        raise InputError(
            f"no price is known for {', '.join(unpriced)}; set --budget-tokens, add a price with "
            "--prices FILE, or give --any-price to run without a limit"
        )
