"""What the words and numbers of other tools mean: tiers, settings, models, times, whole numbers."""

import re
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("afanalysis.logs").joinpath(name).read_text(encoding="utf-8"))


VOCABULARY: dict[str, dict[str, list[str]]] = _read("vocabulary.toml")
FORMS: dict[str, dict[str, str]] = _read("formats.toml")


def meanings(heading: str) -> dict[str, str]:
    """By word what it means, under a heading of the vocabulary."""
    return {word: meaning for meaning, words in VOCABULARY[heading].items() for word in words}


SETTINGS, _TIERS, _TRUTH = meanings("settings"), meanings("tiers"), meanings("truth")

# A time as it is kept: its text is part of what a rollout's key is made from.
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def missing(value: Any) -> bool:
    """Whether a field is empty: None, NaN, or a word for that."""
    if value is None or value != value:
        return True
    return isinstance(value, str) and len(value) < 6 and _TRUTH.get(value.strip().lower()) == "missing"


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
    truth = _TRUTH.get(str(value).strip().lower().removesuffix(".0"))
    if truth in ("yes", "no"):
        return None if means_free is None else "free" if means_free == (truth == "yes") else "paid"
    return _TIERS.get(squeezed(str(value)))


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
