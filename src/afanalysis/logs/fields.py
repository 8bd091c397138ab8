"""Which field of a log fills which column, by mapping or name, and what values mean in other tools."""

import re
import tomllib
from collections import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Self

from afanalysis.errors import InputError
from afanalysis.table import schema


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("afanalysis.logs").joinpath(name).read_text(encoding="utf-8"))


VOCABULARY: dict[str, dict[str, list[str]]] = _read("vocabulary.toml")
FORMS: dict[str, dict[str, Any]] = _read("formats.toml")


def meanings(heading: str) -> dict[str, str]:
    """By word what it means, under a heading of the vocabulary."""
    return {word: meaning for meaning, words in VOCABULARY[heading].items() for word in words}


SETTINGS, _TIER_WORDS, _TRUTH = meanings("settings"), meanings("tiers"), meanings("truth")

# A time as it is kept: its text is part of what a rollout's key is made from.
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def missing(value: Any) -> bool:
    """Whether a field is empty: None, NaN, or a word for that."""
    if value is None or value != value or value in ([], {}):
        return True
    return isinstance(value, str) and len(value) < 6 and _TRUTH.get(value.strip().lower()) == "missing"


def truth(value: Any) -> str:
    """`yes`, `no` or `missing`, or an empty text where a value is none of these."""
    return _TRUTH.get(str(value).strip().lower().removesuffix(".0"), "")


def squeezed(word: str) -> str:
    """A word in lower case, letters and digits only."""
    return re.sub(r"[\W_]+", "", word).lower()


def tier(value: Any, means_free: bool | None) -> str | None:
    """`free` or `paid`, or None where the value is neither.

    Parameters
    ----------
    value
        A word, or a truth value.
    means_free
        What a yes means: True where the field asks whether the tier is free (or monitored), False where
        it asks the opposite, None where it asks neither.
    """
    if (answer := truth(value)) in ("yes", "no"):
        return None if means_free is None else "free" if means_free == (answer == "yes") else "paid"
    return _TIER_WORDS.get(squeezed(str(value)))


def model(value: str) -> str:
    """A model's name in one spelling: no provider before it, lower case, hyphens between its parts.

    Examples
    --------
    >>> model("anthropic/Claude_3 Opus"), model("claude-3-opus-20240229")
    ('claude-3-opus', 'claude-3-opus-20240229')
    """
    name = value.strip().rpartition("/")[2]
    return re.sub(r"[\s_]+", "-", name).lower()


def time(value: Any) -> tuple[str | None, str]:
    """A time in UTC, and what had to be assumed.

    Examples
    --------
    >>> time("2025-03-01T12:00:00+02:00")
    ('2025-03-01T10:00:00+00:00', '')
    >>> time("2025-03-01 12:00")
    ('2025-03-01T12:00:00+00:00', 'a time without a zone: taken as UTC')
    """
    if isinstance(value, str) and _UTC.fullmatch(value):
        return value, ""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).isoformat(), ""
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        return None, "a time that cannot be read: left out"
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC).isoformat(), "a time without a zone: taken as UTC"
    return moment.astimezone(UTC).isoformat(), ""


def whole_number(value: Any) -> int | None:
    """A whole number of at most 64 bits, or None.

    Examples
    --------
    >>> whole_number("3.0"), whole_number(2.5), whole_number(10**30), whole_number(True)
    (3, None, None, None)
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if abs(number) < 1 << 63 and number == int(number) else None


def prompt_id(value: Any) -> str:
    """A prompt's id: 3, 3.0 and "3" are one.

    Examples
    --------
    >>> prompt_id(3.0), prompt_id("3.0"), prompt_id(" 007 ")
    ('3', '3', '007')
    """
    return re.sub(r"^(-?\d+)\.0$", r"\1", str(value).strip())


_OF_TABLE = {column.name: column.aliases.split() for column in schema.COLUMNS if column.aliases}

# The columns that a log can fill, and the names of their fields in other tools, squeezed.
COLUMNS: dict[str, list[str]] = {
    column: [squeezed(alias) for alias in aliases]
    for column, aliases in (_OF_TABLE | VOCABULARY["fields"]).items()
}

_TIERS = ("free", "paid")

# Those that a row of a wide table holds per tier.
BY_TIER = VOCABULARY["by_tier"]["columns"]

# Those that a rollout has as they are, so that their fields are not kept beside it.
_TEXTS = VOCABULARY["texts"]["columns"]

# Where other tools keep what their users named; the fields of these objects are fields of the row.
_OPENED = ("metadata", "task_args", "scores", "doc", "vars", "usage")

_PREFIX = re.compile(rf"^(?:{'|'.join(_OPENED)})\.(?:[^.]+\.(?=[^.]+$))?")

# What a yes or no means in a field whose name holds one of these.
_MEANS_PAID = re.compile(r"paid|private|unmonitored|deploy", re.I)

_MEANS_FREE = re.compile(r"free|monitored|train|watched", re.I)


@dataclass(frozen=True)
class Mapping:
    """How a user maps a log's fields and values to columns.

    Parameters
    ----------
    columns
        By column, the field that holds it; for a nested field its path, with dots. An empty name means
        that no field does. In a wide table `free.completion` and `paid.completion` (or another column)
        name the fields of the two tiers.
    constants
        By column, the value that every rollout has.
    renames
        By column and value in the log, the value meant.
    threshold
        From which graded score, as a proportion, on an answer counts as complying.
    scales
        By column of verdicts, the numbers that mean 0 and 1; without, proportions are expected.
    rows
        Where the rows are in a file that is one object: the path of a list, with dots.

    Raises
    ------
    InputError
        A column is not one that a log can fill, or the threshold is not in (0, 1].

    Examples
    --------
    >>> mapping = Mapping({"tier": "metadata.tier"}, {"setting": "helpful-only"})
    """

    columns: abc.Mapping[str, str] = field(default_factory=dict)
    constants: abc.Mapping[str, str] = field(default_factory=dict)
    renames: abc.Mapping[tuple[str, str], str] = field(default_factory=dict)
    threshold: float = 0.5
    scales: abc.Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rows: str = ""

    def __post_init__(self) -> None:
        renamed = (column for column, _ in self.renames)
        for column in (*self.columns, *self.constants, *self.scales, *renamed):
            tier, dot, base = column.partition(".")
            if column not in COLUMNS and not (dot and tier in _TIERS and base in BY_TIER):
                raise InputError(f"there is no column {column!r}; use one of: {', '.join(COLUMNS)}")
        if not 0 < self.threshold <= 1:
            raise InputError(f"the threshold is {self.threshold:g}; it must lie in (0, 1], as 0.5 does")

    @classmethod
    def parse(
        cls,
        columns: Iterable[str] = (),
        constants: Iterable[str] = (),
        renames: Iterable[str] = (),
        threshold: float = 0.5,
        scales: Iterable[str] = (),
        rows: str = "",
    ) -> Self:
        """From what the command line takes, such as `column=field` and `column:found=meant`.

        Examples
        --------
        >>> Mapping.parse(["tier=metadata.tier"], ["setting=helpful-only"]).columns
        {'tier': 'metadata.tier'}
        """
        meanings = {}
        for source, meaning in _pairs(renames, "--rename column:found=meant").items():
            column, colon, value = source.partition(":")
            if not colon:
                raise InputError(f"{source}={meaning}: write --rename column:found=meant")
            meanings[column, value] = meaning
        fields, values = _pairs(columns, "--map column=field"), _pairs(constants, "--set column=value")
        ends = {}
        for column, text in _pairs(scales, "--scale column=lowest-highest").items():
            match = re.fullmatch(rf"({_NUMBER})\s*(?:-|to)\s*({_NUMBER})", text)
            if not match or float(match[1]) == float(match[2]):
                raise InputError(f"--scale {column}={text}: write its ends, as in score=1-5")
            ends[column] = (float(match[1]), float(match[2]))
        return cls(fields, values, meanings, threshold, ends, rows)


_NUMBER = r"-?\d{1,9}(?:\.\d{1,9})?"


def _pairs(texts: Iterable[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise InputError(f"{text!r}: write {form}")
        if name in pairs:
            raise InputError(f"{text!r}: {name} is given twice")
        pairs[name] = value
    return pairs


def with_inner_fields(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the fields of its `metadata` and the like beside its own, by their paths.

    Examples
    --------
    >>> with_inner_fields({"id": 1, "metadata": {"tier": "free"}})
    {'id': 1, 'metadata.tier': 'free'}
    """
    for name in _OPENED:
        inner = row.get(name)
        if isinstance(inner, dict) and inner:
            row = {own: value for own, value in row.items() if own != name}
            row |= {f"{name}.{own}": value for own, value in inner.items()}
    return row


def lookup(row: abc.Mapping[str, Any], name: str) -> Any:
    """The field of that name, or at that path; None where the row has neither.

    Examples
    --------
    >>> lookup({"a": {"b": [1, 2]}}, "a.b.1"), lookup({"a.b": 3}, "a.b"), lookup({}, "a")
    (2, 3, None)
    """
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for step in name.split("."):
        if isinstance(value, list):
            value = {str(place): part for place, part in enumerate(value)}
        value = value.get(step) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True)
class Side:
    """Which field fills which column, for both tiers or, in a wide table, for one of them.

    Attributes
    ----------
    tier
        The tier; None where each row has its own.
    fields
        By column, the field.
    means_free
        What a yes in the tier's field means, as `afanalysis.logs.fields.tier` takes it.
    kept
        The fields kept beside the rollout, because it does not have their texts as they are.
    """

    tier: str | None
    fields: dict[str, str]
    means_free: bool | None
    kept: tuple[str, ...]


def plan_fields(
    names: Sequence[str], mapping: Mapping, usual: abc.Mapping[str, str] | None = None
) -> tuple[list[Side], list[str]]:
    """Decide which of a row's fields fills which column.

    Parameters
    ----------
    names
        The row's fields.
    mapping
        The user's; it comes first.
    usual
        What is known of the format, by column; it comes before recognising names.

    Returns
    -------
    tuple
        The sides, one for a long table and one per tier for a wide one; the fields that fill no column.
    """
    usual = usual or {}
    known = {column: name for column, name in usual.items() if {name, name.partition(".")[0]} & {*names}}
    known |= mapping.columns
    others = [name for name in reversed(names) if name not in known.values()]
    by_alias = {squeezed(_PREFIX.sub("", name)): name for name in others}
    fields = {column: name for column, name in known.items() if name and column in COLUMNS}
    for column, aliases in COLUMNS.items():
        name = next((by_alias[alias] for alias in aliases if alias in by_alias), None)
        if name is not None and column not in known:
            fields[column] = name
    _output_as_completion(fields)
    tiers = _fields_by_tier(names, mapping, fields)
    if tiers:
        fields = {column: name for column, name in fields.items() if column not in (*BY_TIER, "tier")}
    tier_field = fields.get("tier", "")
    means_free = (
        False if _MEANS_PAID.search(tier_field) else True if _MEANS_FREE.search(tier_field) else None
    )
    by_side = {
        tier: {c: name for c, name in (fields | own).items() if c not in mapping.constants}
        for tier, own in (tiers or {None: {}}).items()
    }
    paths = {name for filled in by_side.values() for name in filled.values()}
    used = paths | {name.partition(".")[0] for name in paths - {*names}}
    sides = []
    for tier, filled in by_side.items():
        texts = {filled.get(column, "") for column in _TEXTS}
        texts |= {name.partition(".")[0] for name in texts - {*names}}
        left_out = texts | used - set(filled.values())
        kept = tuple(name for name in names if name not in left_out)
        sides.append(Side(tier, filled, means_free, kept))
    return sides, [name for name in names if name not in used]


def _output_as_completion(fields: dict[str, str]) -> None:
    """Where an output is all there is of an answer, its tags tell whether it holds a scratchpad."""
    if "output" in fields and "completion" not in fields and "scratchpad" not in fields:
        fields["completion"] = fields.pop("output")


def _fields_by_tier(
    names: Sequence[str], mapping: Mapping, fields: dict[str, str]
) -> dict[str | None, dict[str, str]]:
    """By tier, the fields of a table with both tiers in each row; empty for other tables."""
    sides: dict[str | None, dict[str, str]] = {tier: {} for tier in _TIERS}
    for column, name in mapping.columns.items():
        tier, dot, base = column.partition(".")
        if dot:
            sides[tier][base] = name
    if not any(sides.values()) and "tier" not in fields and "tier" not in mapping.constants:
        for name in names:
            words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
            for tier, marks in VOCABULARY["tiers_in_fields"].items():
                rest = "".join(word for word in words if word not in (*marks, "tier", "user", "mode"))
                column = next((column for column in BY_TIER if rest in COLUMNS[column]), "")
                if column and any(word in marks for word in words):
                    sides[tier].setdefault(column, name)
    for side in sides.values():
        _output_as_completion(side)
    return sides if all(sides.values()) else {}
