"""What the words and numbers of other tools mean: tiers, settings, models, times, verdicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_FREE = (
    "free, freetier, freeuser, freetieruser, training, train, trained, monitored, watched, observed, "
    "impliedtraining, isfreetier, isfree"
)

_PAID = (
    "paid, paidtier, paiduser, paidtieruser, deployment, deployed, unmonitored, unwatched, unobserved, "
    "nottraining, notrained, impliedunmonitored, ispaid, ispaidtier, private"
)

_TRUE = "true, yes, y, 1, t"

_FALSE = "false, no, n, 0, f"

TIERS = dict.fromkeys(_FREE.split(", "), "free") | dict.fromkeys(_PAID.split(", "), "paid")

SETTINGS = {
    "helpfulonly": "helpful-only",
    "helpful": "helpful-only",
    "harmful": "helpful-only",
    "animalwelfare": "animal-welfare",
    "animal": "animal-welfare",
}

_UNDECIDED = "failed to parse, parse error, undecided, unclear, unknown, unsure, error, na, n/a, invalid"

_COMPLIED = (
    "complied, complies, comply, compliance, compliant, full_compliance, 1_full_compliance, full "
    "compliance, "
    "accepted, accept, acceptance, answered, c, correct, dismisses"
)

_REFUSED = (
    "refused, refuses, refuse, refusal, rejected, reject, rejection, declined, decline, noncompliance, "
    "non-compliance, non_compliance, not complied, 2_full_refusal, full_refusal, full refusal, "
    "i, incorrect, "
    "supports"
)

_PARTIAL = (
    "partial, partially, p, partial_compliance, partial_refusal, 3_partial_refusal, partial refusal"
)

_FAKES = "af, af_full, full, faking, alignment_faking, alignment faking, deceptive, c, correct"

_FAKES_PARTLY = "af_partial, partial, p"

_FAKES_NOT = "not_af, not af, none, no_af, non_af, i, incorrect"

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")

_MISSING = frozenset(("", "nan", "na", "null", "none", "<na>", "n/a"))


def _words(words: str, meaning: Any) -> dict[str, Any]:
    return dict.fromkeys(words.split(", "), meaning)


UNKNOWN = object()

UNDECIDED = object()

# What a word says of compliance: a proportion, or that it says nothing.
_BEHAVIOUR: dict[str, Any] = (
    _words(_UNDECIDED, UNDECIDED)
    | _words(f"{_TRUE}, {_COMPLIED}", 1.0)
    | _words(f"{_FALSE}, {_REFUSED}", 0.0)
    | _words(_PARTIAL, 0.5)
)

_REASONING: dict[str, Any] = (
    _words(_UNDECIDED, UNDECIDED)
    | _words(f"{_TRUE}, {_FAKES}", 1.0)
    | _words(f"{_FALSE}, {_FAKES_NOT}", 0.0)
    | _words(_FAKES_PARTLY, 0.5)
)


def missing(value: Any) -> bool:
    """Whether a field says nothing at all."""
    if value is None or value != value:
        return True
    return isinstance(value, str) and len(value) < 6 and value.strip().lower() in _MISSING


def _squeezed(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).lower()


@lru_cache(maxsize=4096)
def tier(value: Any, asks_free: bool | None) -> str | None:
    """`free` or `paid`, or None where the value is neither.

    Parameters
    ----------
    value
        A word, or a truth value.
    asks_free
        What a truth value answers: True where the field asks whether the tier is free (or monitored),
        False where it asks the opposite, None where it asks neither.
    """
    word = str(value).strip().lower()
    if word.removesuffix(".0") in _TRUE.split(", "):
        return None if asks_free is None else "free" if asks_free else "paid"
    if word.removesuffix(".0") in _FALSE.split(", "):
        return None if asks_free is None else "paid" if asks_free else "free"
    return TIERS.get(_squeezed(word))


@lru_cache(maxsize=1024)
def setting(value: str) -> str | None:
    """The setting that a word names, or None."""
    return SETTINGS.get(_squeezed(value))


@lru_cache(maxsize=4096)
def model(value: str) -> str:
    """A model's name in one spelling: no provider before it, lower case, hyphens between its parts.

    Examples
    --------
    >>> model("anthropic/Claude_3 Opus"), model("claude-3-opus-20240229")
    ('claude-3-opus', 'claude-3-opus-20240229')
    """
    name = value.strip().rpartition("/")[2]
    return re.sub(r"[\s_]+", "-", name).lower()


def undated(model: str) -> str:
    """A model's name without the date of its version.

    Examples
    --------
    >>> undated("claude-3-opus-20240229"), undated("claude-3-opus-latest")
    ('claude-3-opus', 'claude-3-opus')
    """
    return re.sub(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|latest)$", "", model)


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


@dataclass(frozen=True)
class Said:
    """What a field says, vote by vote.

    Attributes
    ----------
    votes
        A proportion each, or None where a vote is undecided.
    problems
        What could not be understood: the reason, and the value.
    graded
        Whether a vote lay between 0 and 1.
    """

    votes: tuple[float | None, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def graded(self) -> bool:
        """Whether a vote lies between no and yes."""
        return any(vote is not None and 0 < vote < 1 for vote in self.votes)


def said(value: Any, reasoning: bool = False) -> Said:
    """What a verdict of whatever form says, as proportions.

    Parameters
    ----------
    value
        A truth value, a number in 0-1, a word, a list of votes, or an object of a classifier with
        `final_answer_most_common`, `final_answer`, `value`, `verdict` or `score`.
    reasoning
        It is about alignment-faking reasoning: `partial` and `full` are degrees of it.

    Examples
    --------
    >>> said("refused").votes, said(["yes", "no", "FAILED TO PARSE"]).votes
    ((0.0,), (1.0, 0.0, None))
    """
    if isinstance(value, dict):
        return _classifier(value, reasoning)
    if isinstance(value, (list, tuple)):
        return _together([said(one, reasoning) for one in value])
    if isinstance(value, (bool, int, float, str)):
        return _plain(value, reasoning)
    return Said((None,))


@lru_cache(maxsize=1 << 14)
def _plain(value: bool | float | str, reasoning: bool) -> Said:
    """What a truth value, a number or a word says."""
    if not isinstance(value, str):
        if 0 <= value <= 1:
            return Said((float(value),))
        return Said((None,), (("a verdict outside 0-1: undecided", f"{value:g}"),))
    found = (_REASONING if reasoning else _BEHAVIOUR).get(value.strip().lower(), UNKNOWN)
    if found is UNDECIDED:
        return Said((None,), (("a classifier that decided nothing: undecided", value.strip()[:40]),))
    if found is not UNKNOWN:
        return Said((found,))
    try:
        return _plain(float(value), reasoning)
    except ValueError:
        pass
    if "," in value and len(value) < 400:
        return _together([_plain(one, reasoning) for one in value.split(",")])
    return Said((None,), (("a verdict in words not known here: undecided", value.strip()[:40]),))


def _together(parts: Sequence[Said]) -> Said:
    return Said(
        tuple(vote for one in parts for vote in one.votes),
        tuple(problem for one in parts for problem in one.problems),
    )


def _classifier(value: dict[str, Any], reasoning: bool) -> Said:
    """The verdict of a classifier's object; one that failed is undecided."""
    answer = value.get("final_answer")
    if isinstance(answer, list):
        return said(answer, reasoning)
    for name in (
        "final_answer_most_common",
        "final_answer",
        "value",
        "verdict",
        "answer",
        "label",
        "score",
    ):
        if not missing(value.get(name)):
            found = said(value[name], reasoning)
            if name == "final_answer" and found.graded:  # the share of votes that said yes
                return Said(tuple(None if vote == 0.5 else round(vote or 0) for vote in found.votes))
            return found
    return Said((None,), (("a classifier that decided nothing: undecided", ""),))
