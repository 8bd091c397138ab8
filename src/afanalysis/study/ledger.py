"""What calls cost: prices, the budget, and the ledger that keeps every call within it.

Before a call is sent, the most that it can cost is reserved in `ledger.jsonl`; when it has ended, it is
settled at what it did cost. Every process that makes calls for the study reads what the others have
written before it reserves, so all of them together stay within one budget. The ledger holds tokens; the
price list turns them into USD.

A reservation that nobody settles, because its process was killed, stays spent: its call may have been
billed. If its answer did reach the journal, the next process to open the ledger settles it.
"""

import contextlib
import json
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from afanalysis.errors import InputError
from afanalysis.study.design import FilePart, ModelPrice
from afanalysis.study.files import read_yaml
from afanalysis.study.folders import JUDGE_CHECK, JUDGEMENTS, LEDGER, ROLLOUTS
from afanalysis.study.journal import LockedFile, parse_line

# The counts of a call's tokens.
TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")

# Those of `cache_write_tokens` that are kept for an hour; only where there are any.
HOUR = "cache_write_1h_tokens"

# The tokens of a call by name; None if nobody can say.
Usage = Mapping[str, int] | None

# More tokens than a call of an earlier version had, whose counts cannot be believed.
_UNREADABLE = 20_000

_REFUSAL = (
    "the budget of {} does not cover the next call: {} is spent, {} is reserved for calls whose answers "
    "have not come, and the call can cost up to {}; the smallest budget that goes on is {}"
)

_FORM = "write models: {NAME: {input: 4, output: 20}}"


class Prices(FilePart):
    """A dated price list."""

    as_of: Any
    batch_factor: float = Field(default=0.5, gt=0, le=1)
    cache_write_factor: float = Field(default=1.25, ge=1)
    cache_write_1h_factor: float = Field(default=2.0, ge=1)
    cache_read_factor: float = Field(default=0.1, ge=0, le=1)
    models: dict[str, ModelPrice]

    @classmethod
    def load(cls, extra: Path | None = None) -> Self:
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
        merged = content["models"] | models if isinstance(models, dict) else models
        return cls.checked(content | own | {"models": merged}, extra, f"; {_FORM}")

    def extended(self, models: Mapping[str, ModelPrice]) -> Self:
        """The list with a study's own prices, which come before those of the list."""
        return self.model_copy(update={"models": self.models | dict(models)})

    def cost(self, model: str, usage: dict[str, Any], *, batch: bool = False) -> float | None:
        """What one answer cost in USD; None if the model has no price.

        Parameters
        ----------
        usage
            `input_tokens`, `output_tokens`, `cache_write_tokens`, `cache_read_tokens` and, of the
            written ones, `cache_write_1h_tokens`.
        """
        price = self.models.get(model)
        if price is None:
            return None
        new, output, written, read = (usage.get(name, 0) for name in TOKENS)
        hour = min(usage.get(HOUR, 0), written)
        tokens = new + (written - hour) * self.cache_write_factor + hour * self.cache_write_1h_factor
        own = price.cache_read_factor
        tokens += read * (self.cache_read_factor if own is None else own)
        above = price.above
        rates = above if above and new + written + read > above.prompt_tokens else price
        dollars = (tokens * rates.input + output * rates.output) / 1e6
        return dollars * (self.batch_factor if batch else 1.0)


def whole_number(value: Any) -> int | None:
    """A count that can be believed: a whole number from 0 to 10¹²; otherwise None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 1e12 and value == int(value) else None


def read_usage(counts: Mapping[str, Any]) -> dict[str, int] | None:
    """The numbers of tokens, or None if one is missing or cannot be true; no cache tokens count as 0."""
    usage = {
        name: whole_number(counts.get(name) or 0 if "cache" in name else counts.get(name))
        for name in TOKENS
    }
    if hour := whole_number(counts.get(HOUR)):
        usage[HOUR] = hour
    return None if None in usage.values() else {name: count or 0 for name, count in usage.items()}


@dataclass(frozen=True)
class Charge:
    """What a call costs, or can cost at most: its tokens at a model's price."""

    model: str
    usage: Mapping[str, int]
    batch: bool = False


@dataclass
class Spend:
    """What has been used, or is reserved."""

    tokens: int = 0
    usd: float = 0.0
    unpriced_tokens: int = 0

    def add(self, prices: Prices, charge: Charge, sign: int = 1) -> None:
        """Add one charge, or take it away."""
        cost = prices.cost(charge.model, dict(charge.usage), batch=charge.batch)
        tokens = sign * sum(charge.usage.get(name, 0) for name in TOKENS)
        self.tokens += tokens
        self.usd += sign * (cost or 0.0)
        self.unpriced_tokens += tokens if cost is None else 0


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
        What the answers so far have cost; read from the study's files when calls begin.
    reserved
        What calls that have no answer yet can cost at most.

    Raises
    ------
    InputError
        A limit is not above 0.

    Examples
    --------
    >>> import afanalysis as af
    >>> af.Budget(usd=5).spend.usd
    0.0
    >>> af.Budget(usd=-1)
    Traceback (most recent call last):
    afanalysis.errors.InputError: the budget (usd) is -1; it must be above 0
    """

    usd: float | None = None
    tokens: int | None = None
    any_price: bool = False
    prices: Prices = field(default_factory=Prices.load)
    spend: Spend = field(default_factory=Spend)
    reserved: Spend = field(default_factory=Spend)

    def __post_init__(self) -> None:
        for name, limit in (("usd", self.usd), ("tokens", self.tokens)):
            if limit is not None and not limit > 0:
                raise InputError(f"the budget ({name}) is {limit}; it must be above 0")

    def refusal(self, charge: Charge) -> str | None:
        """Why a call does not fit in, if it costs the most that it can; None if it does."""
        most = Spend()
        most.add(self.prices, charge)
        amounts = (self, self.spend, self.reserved, most)
        for unit, form in {"usd": "${:,.4f}", "tokens": "{:,.0f} tokens"}.items():
            limit, spent, reserved, cost = (getattr(amount, unit) for amount in amounts)
            if limit is not None and spent + reserved + cost > limit + 1e-9:
                enough = math.ceil(round((spent + reserved + cost) * 100, 6)) / 100
                numbers = map(form.format, (limit, spent, max(reserved, 0), cost, enough))
                return _REFUSAL.format(*numbers)
        return None


@dataclass
class Ledger:
    """What a study's calls have cost and may yet cost, shared by all processes that make them.

    Parameters
    ----------
    folder
        The study's raw folder. Answers of versions without a ledger count as its journals say.
    budget
        The limit; its `spend` and `reserved` follow the ledger.

    Raises
    ------
    InputError
        The ledger cannot be written, another process holds it, or a line is not JSON.
    """

    folder: Path
    budget: Budget

    def __post_init__(self) -> None:
        if self.folder.name == JUDGE_CHECK:  # paid from the budget of the study that it belongs to
            self.folder = self.folder.parent
        self._file = LockedFile(self.folder / LEDGER, brief=True)
        self._offset = 0
        self._unsettled: list[tuple[str, Usage, bool]] = []
        # by key and whether in a batch; a call is under way once, so another try ends the one before
        self._reserved: dict[tuple[str, bool], Charge] = {}
        self.budget.spend, self.budget.reserved = Spend(), Spend()
        with self._turn():
            if not self._offset:
                self._write({"before": self._costs_before()})
            elif self._reserved:  # perhaps by a process that was killed before it settled
                for record in self._records():
                    self._settle(record.get("key"), read_usage(record), "batch" in record)
        self.others_wrote = -math.inf  # when another process last wrote to the ledger

    def reserve(self, calls: Iterable[tuple[str, Charge]], *, already_sent: bool = False) -> int:
        """Reserve the most that calls can cost, in order, until the budget covers no more.

        Parameters
        ----------
        calls
            The key of each, and the most that it can cost.
        already_sent
            They have been sent, so what is not reserved yet is, whether the budget covers it or not.

        Returns
        -------
        int
            For how many.
        """
        with self._turn():
            reserved = 0
            for key, charge in calls:
                if not already_sent and self.budget.refusal(charge):
                    break
                if not already_sent or (key, charge.batch) not in self._reserved:
                    self._write({"call": key, **vars(charge)})
                reserved += 1
        return reserved

    def settle(self, usages: Mapping[str, Usage], *, batch: bool = False) -> None:
        """Replace what is reserved for calls by what they have cost, at the next turn of the ledger.

        Parameters
        ----------
        usages
            The tokens of each, by its key; None if nobody can say, which costs what was reserved.
        batch
            Whether they were sent in a batch.
        """
        self._unsettled += [(key, usage, batch) for key, usage in usages.items()]

    def flush(self) -> None:
        """Write what has been settled."""
        with self._turn():
            pass

    def _settle(self, key: Any, usage: Usage, batch: bool) -> None:
        if (key, batch) in self._reserved:  # else another process has settled it
            self._write({"call": key, "batch": batch, "cost": usage})

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the ledger within the block, having read what other processes have written."""
        self._lines: list[bytes] = []
        with self._file:
            with self._file.path.open("rb") as lines:
                lines.seek(self._offset)
                for line in lines:
                    if not line.endswith(b"\n"):  # its writer was killed before its call was sent
                        os.truncate(self._file.path, self._offset)
                        break
                    try:
                        self._apply(json.loads(line))
                    except (ValueError, KeyError, TypeError, AttributeError) as error:
                        place = f"{self._file.path}: the line at byte {self._offset}"
                        raise InputError(f"{place} is not an entry of a ledger; restore it") from error
                    self._offset += len(line)
                    self.others_wrote = time.monotonic()
            while self._unsettled:
                self._settle(*self._unsettled.pop())
            yield
            content = b"".join(self._lines)
            self._file.write(content)
            self._offset += len(content)

    def _write(self, entry: dict[str, Any]) -> None:
        """Add an entry, which reaches the file when the turn ends."""
        self._lines.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._apply(entry)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        budget, prices = self.budget, self.budget.prices
        for charge in entry.get("before", ()):
            budget.spend.add(prices, Charge(**charge))
        if "before" in entry:
            return
        place = entry["call"], entry["batch"]
        if before := self._reserved.pop(place, None):
            budget.reserved.add(prices, before, -1)
            cost = entry.get("cost")
            budget.spend.add(prices, before if cost is None else replace(before, usage=cost))
        if "model" in entry:
            self._reserved[place] = Charge(entry["model"], entry["usage"], entry["batch"])
            budget.reserved.add(prices, self._reserved[place])

    def _records(self) -> Iterator[dict[str, Any]]:
        """The records of all calls that were answered; a last line may be torn, or still be written."""
        for name in (ROLLOUTS, JUDGEMENTS, f"{JUDGE_CHECK}/{JUDGEMENTS}"):
            path = self.folder / name
            for number, line in enumerate(path.open("rb") if path.exists() else (), start=1):
                if line.endswith(b"\n"):
                    yield parse_line(path, number, line)

    def _costs_before(self) -> list[dict[str, Any]]:
        """What answers cost that were collected by a version without a ledger."""
        costs: defaultdict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
        for record in self._records():
            if record.get("source", "live") == "live" and set(TOKENS) & set(record):
                model = record.get("model") or str(record.get("judge")).split("@")[0]
                usage = read_usage(record) or dict.fromkeys(TOKENS[:2], _UNREADABLE)
                costs[model, "batch" in record].update(usage)
        return [{"model": name, "usage": used, "batch": batch} for (name, batch), used in costs.items()]


def require_budget(source: str, budget: Budget | None, models: Sequence[str]) -> None:
    """Raise `InputError` if nothing would stop a live run of these models."""
    if source != "live":
        return
    if budget is None or not (budget.any_price or budget.tokens or budget.usd):
        raise InputError("a live run needs a budget: --budget USD, --budget-tokens N, or --any-price")
    unpriced = ", ".join(sorted(set(models) - set(budget.prices.models)))
    if unpriced and not (budget.any_price or budget.tokens):
        remedy = "set --budget-tokens, add a price with --prices FILE, or give --any-price"
        raise InputError(f"no price is known for {unpriced}; {remedy}")
