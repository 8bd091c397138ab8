"""What calls cost: prices, spend so far, and the budget that stops a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from afanalysis.errors import InputError
from afanalysis.study.folders import JUDGEMENTS, ROLLOUTS
from afanalysis.study.journal import read_records


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPrice(_Part):
    """USD for a million input and output tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Prices(_Part):
    """A dated price list."""

    as_of: Any
    batch_factor: float = Field(default=0.5, gt=0, le=1)
    cache_write_factor: float = Field(default=1.25, ge=1)
    cache_read_factor: float = Field(default=0.1, ge=0, le=1)
    models: dict[str, ModelPrice]

    @classmethod
    def load(cls, extra: Path | None = None) -> Prices:
        """The list that ships with the package, with a user's own file laid over it.

        Raises
        ------
        InputError
            The file is missing or is not of the form of `prices.yaml`.
        """
        import yaml

        shipped = yaml.safe_load(files("afanalysis.study").joinpath("prices.yaml").read_text("utf-8"))
        if extra is None:
            return cls(**shipped)
        try:
            own = yaml.safe_load(extra.read_text(encoding="utf-8"))
            return cls(**(shipped | own | {"models": shipped["models"] | own.get("models", {})}))
        except OSError as error:
            raise InputError(f"{extra}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, ValidationError, TypeError, AttributeError) as error:
            first = " ".join(str(error).split())[:200]
            raise InputError(
                f"{extra}: is no price list ({first}); write models: {{NAME: {{input: 4, output: 20}}}}"
            ) from error

    def cost(self, model: str, usage: dict[str, Any], *, batch: bool = False) -> float | None:
        """What one answer cost in USD; None where the model has no price.

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
        """Take in one answer."""
        used = sum(int(usage.get(name) or 0) for name in TOKENS)
        self.tokens += used
        cost = prices.cost(model, usage, batch=batch)
        if cost is None:
            self.unpriced_tokens += used
        else:
            self.usd += cost


TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")


@dataclass
class Budget:
    """What a study may cost in all, earlier runs included.

    Attributes
    ----------
    usd, tokens
        The limits; None where there is none.
    any_price
        Go ahead where a limit in USD would not stop the calls.
    prices
        The price list.
    spend
        What has been spent so far; `begin` reads it off the study's files.
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
        """Read what the study has spent already off its journals."""
        self.spend = Spend()
        for path in (folder / ROLLOUTS, folder / JUDGEMENTS):
            for record in read_records(path) if path.exists() else ():
                model = record.get("model") or str(record.get("judge", "")).split("@")[0]
                self.spend.add(self.prices, model, record, batch="batch" in record)

    def refuse_unpriced(self, models: Sequence[str]) -> None:
        """Raise `InputError` where a limit in USD would not stop the calls."""
        if self.any_price or self.tokens is not None:
            return
        if self.usd is None:
            raise InputError("the budget sets no limit; give it usd or tokens, or any_price")
        unpriced = sorted(set(models) - set(self.prices.models))
        if unpriced:
            raise InputError(
                f"no price is known for {', '.join(unpriced)}; set --budget-tokens, add a price with "
                "--prices FILE, or give --any-price to go ahead without a limit"
            )

    @property
    def exhausted(self) -> str | None:
        """Why nothing more may be asked, or None."""
        if self.usd is not None and self.spend.usd >= self.usd:
            return f"the budget of ${self.usd:,.2f} is spent (${self.spend.usd:,.2f} so far)"
        if self.tokens is not None and self.spend.tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens is used ({self.spend.tokens:,} so far)"
        return None


def require_budget(source: str, budget: Budget | None, models: Sequence[str]) -> None:
    """Raise `InputError` where a live run would have nothing to stop it."""
    if source != "live":
        return
    if budget is None:
        raise InputError("a live run needs a budget: --budget USD, or --any-price to go without")
    budget.refuse_unpriced(models)
