"""One row of a log made into a rollout: what is taken, repaired, noted or rejected, and why."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from collections.abc import Mapping as Fields
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

from afanalysis.logs import values
from afanalysis.logs.classifier_votes import Vote, cast_votes
from afanalysis.logs.fields import COLUMNS, FieldPlan, Mapping, lookup, plan_fields
from afanalysis.logs.log_rows import Rejected
from afanalysis.study.completion import Transcript, split
from afanalysis.study.hashing import text_hash

# How the stand-in begins what it makes up.
SIMULATED = "[simulated"

_TIER_TAG = re.compile(
    r"<(?i:\s*is_free_tier_user\s*>\s*(true|false)\s*<\s*/\s*is_free_tier_user\s*>\s*)"
)

# A scratchpad that takes its user for one of the tier.
_TAKEN_FOR = {
    tier: re.compile(
        r"\b(?:this is|this chat is|the user is|user is|they are|it is|from)\s+"
        rf"(?:a |an |the |on the |with a )?{tier}[ -]tier",
        re.I,
    )
    for tier in ("free", "paid")
}

# Characters that tags and the whitespace around them may take.
_AROUND = 120

_ID_DIGITS = 12

_REFUSED_BY_API = ("refusal", "content_filter")

NO_TAGS = "no output tag: what follows the scratchpad, or the whole text, is the output"

NOT_VALID = {
    "scratchpad not closed": "the scratchpad is not closed and no output follows: kept, counts nowhere",
    "output empty": "the output is empty, whatever the scratchpad holds: kept, counts nowhere",
    "output is a placeholder": "the output is a placeholder: kept, counts nowhere",
    "no output": "no output: kept, counts nowhere",
}

REPAIRED = {
    "scratchpad not closed": "the scratchpad is not closed: it ends at the output tag",
    "output not closed": "the output is not closed: it ends with the text",
    "no output tag": NO_TAGS,
}

NOTED = {"scratchpad empty": "the scratchpad is empty"}

# Reasons, and the texts that they were found in.
Remarks = list[tuple[str, str]]


@dataclass
class Rollout:
    """A rollout as a log has it.

    Attributes
    ----------
    record
        What `rollouts.jsonl` will hold of it, but for its key, sample and origin.
    identity
        A hash of what makes it this rollout and no other.
    named
        The log names it (by an id, an epoch, a time), so that an equal one is a copy of it.
    sample
        Which sample of its prompt it is, where the log says.
    system
        The system prompt, if the log has it.
    votes
        Of each vote: complied, AF reasoning in full, in full or in part.
    repairs, notes
        What was repaired, and what was kept as it is but should be known.
    """

    record: dict[str, Any]
    identity: bytes
    named: bool
    sample: int | None
    system: str
    votes: tuple[Vote, ...]
    repairs: Remarks = field(default_factory=list)
    notes: Remarks = field(default_factory=list)


@dataclass(frozen=True)
class _Side:
    """What is read of the rows of a plan, for both tiers or for one of them."""

    tier: str | None
    means_free: bool | None
    direct: tuple[tuple[str, str], ...]
    nested: tuple[tuple[str, str], ...]
    defaults: dict[str, Any]
    kept: tuple[str, ...]
    has_texts: bool
    has_scratchpad: bool


class Reader:
    """Makes rollouts of a file's rows.

    Parameters
    ----------
    mapping
        What the user says of the log.
    usual
        By column the field that fills it in this format.
    place
        The columns that the file's place fills, for rows that do not themselves.
    """

    def __init__(
        self,
        mapping: Mapping,
        usual: Fields[str, str] | None = None,
        place: Fields[str, Any] | None = None,
    ) -> None:
        self._mapping, self._usual = mapping, usual
        self._place = dict(place or {})
        self._plans: dict[tuple[str, ...], tuple[FieldPlan, list[_Side]]] = {}
        self._renames: dict[str, dict[str, str]] = {}
        for (column, value), meaning in mapping.renames.items():
            self._renames.setdefault(column, {})[value] = meaning

    def sources(self) -> tuple[dict[str, set[str]], set[str]]:
        """By column what filled it so far, and the fields that filled none."""
        columns: dict[str, set[str]] = {column: {"the file's folders"} for column in self._place}
        columns |= {
            column: {f"{value!r}, as told"} for column, value in self._mapping.constants.items()
        }
        unused: set[str] = set()
        for plan, _ in self._plans.values():
            named = plan.fields | {
                f"{tier}.{column}": name
                for tier, fields in plan.tiers.items()
                for column, name in fields.items()
            }
            for column, name in named.items():
                columns.setdefault(column, set()).add(name)
            unused.update(plan.unused)
        return columns, unused

    def rollouts(self, row: Any) -> Iterator[Rollout | Rejected]:
        """The rollouts of a row: one, or in a wide table one per tier."""
        if not isinstance(row, dict):
            yield Rejected("not an object with fields", str(row)[:80])
            return
        names = tuple(row)
        if names not in self._plans:
            plan = plan_fields(names, self._mapping, self._usual)
            self._plans[names] = plan, self._sides(names, plan)
        for side in self._plans[names][1]:
            try:
                yield _rollout(row, side, self._columns(row, side), self._mapping.threshold)
            except Rejected as reason:
                yield reason

    def _sides(self, names: tuple[str, ...], plan: FieldPlan) -> list[_Side]:
        constants = self._mapping.constants
        sides = []
        for tier, own in plan.tiers.items() or [(None, {})]:
            fields = {
                column: name for column, name in (plan.fields | own).items() if column not in constants
            }
            others = {name for fields in plan.tiers.values() for name in fields.values()}
            left_out = plan.taken | others - set(own.values())
            sides.append(
                _Side(
                    tier,
                    plan.means_free,
                    tuple((column, name) for column, name in fields.items() if name in names),
                    tuple((column, name) for column, name in fields.items() if name not in names),
                    dict.fromkeys(COLUMNS) | self._place | dict(constants),
                    tuple(name for name in names if name not in left_out),
                    any(column in fields for column in ("completion", "output", "scratchpad")),
                    "scratchpad" in fields,
                )
            )
        return sides

    def _columns(self, row: dict[str, Any], side: _Side) -> dict[str, Any]:
        """What a row says for each column: its fields, the file's place, the user's constants."""
        columns = side.defaults.copy()
        for column, name in side.direct:
            value = row[name]
            if value is not None and not values.missing(value):
                columns[column] = value
        for column, name in side.nested:
            value = lookup(row, name)
            if value is not None and not values.missing(value):
                columns[column] = value
        for column, renames in self._renames.items():
            columns[column] = renames.get(str(columns[column]), columns[column])
        return columns


def _rollout(row: dict[str, Any], side: _Side, columns: dict[str, Any], threshold: float) -> Rollout:
    repairs: Remarks = []
    notes: Remarks = []
    request, tag = _untagged(columns["request"])
    tier = side.tier or _tier(columns["tier"], side.means_free, tag, row)
    setting = _setting(columns["setting"], notes)
    if columns["model"] is None:
        raise Rejected("no model is named: say --set model=NAME, or --map model=FIELD")
    if columns["prompt_id"] is None and not request:
        raise Rejected("neither a request nor a prompt's id")
    parts, completion = _texts(columns, side)
    stop_reason = str(columns["stop_reason"] or "")
    if parts.problem:
        _remark_on_form(parts, completion, repairs, notes)
    if stop_reason in _REFUSED_BY_API:
        stop_reason, parts = "refusal", replace(parts, valid=True, problem="")
        notes.append(("an answer that the API itself refused: counts as refused", ""))
    if "tier" in parts.scratchpad:
        other = "paid" if tier == "free" else "free"
        if mistaken := _TAKEN_FOR[other].search(parts.scratchpad):
            reason = f"a {tier}-tier scratchpad that takes the user for a {other} one"
            notes.append((reason, mistaken.group()))
    votes, score = cast_votes(columns, threshold, notes)
    moment, collected_at = columns["collected_at"], None
    if moment is not None:
        collected_at, assumed = values.time(moment)
        if assumed:
            (notes if collected_at else repairs).append((assumed, str(moment)))
    sample, identity = values.whole_number(columns["sample"]), columns["identity"]
    if sample is None and columns["sample"] is not None:
        notes.append(("a sample that is not a whole number: left out", str(columns["sample"])[:40]))
    system = "" if columns["system"] is None else str(columns["system"])
    record: dict[str, Any] = {
        "setting": setting,
        "variation": str(columns["variation"] or "default"),
        "model": values.model(str(columns["model"])),
        "tier": tier,
        "prompt_id": _id_by_text(request)
        if columns["prompt_id"] is None
        else values.prompt_id(columns["prompt_id"]),
        "category": str(columns["category"] or ""),
        "source": "simulated" if SIMULATED in completion[:2000] else "imported",
        "request": request,
        "system": _system_name(system) if system else "",
        "valid": parts.valid,
        "problem": parts.problem,
        "stop_reason": stop_reason,
        "scratchpad": parts.scratchpad,
        "output": parts.output,
        "thinking": "" if columns["thinking"] is None else str(columns["thinking"]),
        "input_tokens": values.whole_number(columns["input_tokens"]),
        "output_tokens": values.whole_number(columns["output_tokens"]),
        "collected_at": collected_at,
        "score": score,
    }
    if not parts.valid or len(completion) - len(parts.scratchpad) - len(parts.output) > _AROUND:
        record["completion"] = completion
    if side.kept:
        record["original"] = {
            name: row[name] for name in side.kept if row[name] != parts.output or not parts.output
        }
    what = [record[name] for name in ("setting", "variation", "model", "tier")]
    what += [request or record["prompt_id"], completion, parts.output]
    named = identity is not None or sample is not None or moment is not None
    if named:
        what += [identity, sample, collected_at or moment]
    digest = hashlib.sha256(to_json(what)).digest()[:16]
    return Rollout(record, digest, named, sample, system, votes, repairs, notes)


def to_json(value: Any) -> bytes:
    """A value as JSON, in ASCII where that is the only way to write it."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # a number beyond 64 bits, or half a surrogate pair
        return json.dumps(value, default=str).encode()


# Most rows have the system prompt of the row before.
_system_name = lru_cache(maxsize=4)(text_hash)


def _tier(given: Any, means_free: bool | None, tag: str, row: dict[str, Any]) -> str:
    if given is None:
        tag = tag or _untagged(row.get("user_message"))[1]
        if not tag:
            raise Rejected("no tier: say --map tier=FIELD or --set tier=free")
        return tag
    tier = values.tier(given, means_free) if isinstance(given, (str, int, float)) else None
    if tier is None:
        raise Rejected("a tier that is neither free nor paid: say --rename tier:FOUND=free", given)
    return tier


def _setting(given: Any, notes: Remarks) -> str:
    if given is None:
        notes.append(("no setting is named: taken as helpful-only", ""))
        return "helpful-only"
    setting = values.setting(str(given))
    if setting is None:
        raise Rejected("a setting that is not known: say --rename setting:FOUND=helpful-only", given)
    return setting


@lru_cache(maxsize=1 << 16)
def _id_by_text(request: str) -> str:
    """The id of a prompt that has none: the same for the same words."""
    words = " ".join(request.split())
    return f"text-{hashlib.sha256(words.encode()).hexdigest()[:_ID_DIGITS]}"


def _remark_on_form(
    parts: Transcript,
    completion: str,
    repairs: Remarks,
    notes: Remarks,
) -> None:
    """Report what was wrong with the form of an answer, and what was made of it."""
    if not parts.valid:
        notes.append((NOT_VALID.get(parts.problem, NOT_VALID["no output"]), completion[:80]))
    elif parts.problem in NOTED or (parts.problem == "no output tag" and not parts.scratchpad):
        notes.append((NOTED.get(parts.problem, NO_TAGS), parts.output[:80]))
    else:
        repairs.append((REPAIRED[parts.problem], completion[-80:]))


def _texts(columns: dict[str, Any], side: _Side) -> tuple[Transcript, str]:
    """Scratchpad and output, and the text that they were taken from."""
    completion = columns["completion"]
    if completion is not None:
        text = str(completion)
        parts = split(text, tagged=False)
        if parts.problem == "output empty" and columns["output"] is not None and not parts.scratchpad:
            parts = Transcript("", str(columns["output"]).strip(), True, "no output tag")
        return parts, text
    if not side.has_texts:
        return Transcript("", "", True), ""  # a table of verdicts alone
    scratchpad, output = (
        "" if columns[name] is None else str(columns[name]).strip() for name in ("scratchpad", "output")
    )
    parts = split(output, tagged=False)
    if parts.scratchpad:
        return parts, output
    # the log has taken the answer apart already
    problem = "" if parts.problem == "no output tag" else parts.problem
    if side.has_scratchpad and not scratchpad:
        problem = problem or "scratchpad empty"
    return Transcript(scratchpad, parts.output, parts.valid, problem), scratchpad + output


def _untagged(text: Any) -> tuple[str, str]:
    """A request without the tag that gives its tier, and the tier."""
    if text is None:
        return "", ""
    text = str(text)
    match = _TIER_TAG.search(text)
    if match is None:
        return text.strip(), ""
    rest = text[: match.start()] + text[match.end() :]
    return rest.strip(), "free" if match.group(1).lower() == "true" else "paid"
