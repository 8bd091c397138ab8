"""Make rollouts of a log's rows: what is taken, repaired, noted or rejected, and why."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from afanalysis.logs import fields as values
from afanalysis.logs.classifier_votes import Notes, Vote, cast_votes
from afanalysis.logs.fields import BY_TIER, COLUMNS, Mapping, Side, lookup, plan_fields
from afanalysis.logs.records import Rejected
from afanalysis.logs.results import columns_of_place
from afanalysis.study.completion import Transcript, split
from afanalysis.study.hashing import text_hash
from afanalysis.text.untrusted import without_surrogates

# How the stand-in begins what it makes up.
SIMULATED = "[simulated"

_TIER_TAG = re.compile(
    r"<(?i:\s*is_free_tier_user\s*>\s*(true|false)\s*<\s*/\s*is_free_tier_user\s*>\s*)"
)

# Where a scratchpad takes its user for one of a tier.
_TAKEN_FOR = re.compile(
    r"\b(?:this is|this chat is|the user is|user is|they are|it is|from)\s+"
    r"(?:a |an |the |on the |with a )?(free|paid)[ -]tier",
    re.I,
)

# Characters that tags and the whitespace around them may take.
_AROUND = 120

_REFUSED_BY_API = ("refusal", "content_filter")


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
        Which sample of its prompt it is, where the log has a number.
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
    repairs: Notes
    notes: Notes


class Reader:
    """Makes rollouts of a file's rows.

    Parameters
    ----------
    mapping
        The user's mapping.
    format
        The file's format; in the pipeline's, known fields and the file's folders fill columns.
    path
        The file.

    Attributes
    ----------
    own_tiers
        The roles of the tiers so far that are neither free nor paid.
    """

    def __init__(self, mapping: Mapping, format: str, path: Path) -> None:
        self._mapping = mapping
        is_pipeline = format == "pipeline"
        self._usual = values.FORMS["pipeline"] if is_pipeline else {}
        self._place = columns_of_place(path) if is_pipeline else {}
        self._defaults = dict.fromkeys(COLUMNS) | self._place | dict(mapping.constants)
        self._plans: dict[tuple[str, ...], tuple[list[Side], list[str]]] = {}
        self.own_tiers: dict[str, str] = {}

    def sources(self) -> Iterator[tuple[str, str]]:
        """Columns and what filled them so far; fields that filled none, with an empty column."""
        yield from ((column, "the file's folders") for column in self._place)
        constants = self._mapping.constants.items()
        yield from ((column, f"{value!r}, as given") for column, value in constants)
        for sides, unused in self._plans.values():
            for side in sides:
                for column, name in side.fields.items():
                    of_tier = side.tier and column in BY_TIER
                    yield f"{side.tier}.{column}" if of_tier else column, name
            yield from (("", name) for name in unused)

    def rollouts(self, row: Any) -> Iterator[Rollout | Rejected]:
        """The rollouts of a row: one, or in a wide table one per tier."""
        if not isinstance(row, dict):
            is_rejected = isinstance(row, Rejected)
            yield row if is_rejected else Rejected("not an object with fields", str(row)[:80])
            return
        names = tuple(row)
        if names not in self._plans:
            self._plans[names] = plan_fields(names, self._mapping, self._usual)
        for side in self._plans[names][0]:
            try:
                columns = self._columns(row, side)
                columns["tier"] = side.tier or self._tier(columns, side.means_free, row)
                yield _rollout(row, side, columns, self._mapping.threshold)
            except Rejected as reason:
                yield reason

    def _columns(self, row: dict[str, Any], side: Side) -> dict[str, Any]:
        """The value of each column: from the row, the file's folders, or the user's constants."""
        columns = self._defaults.copy()
        for column, name in side.fields.items():
            value = row[name] if name in row else lookup(row, name)
            if not values.missing(value):
                columns[column] = value
        renames = self._mapping.renames.items()
        return columns | {column: new for (column, old), new in renames if str(columns[column]) == old}

    def _tier(self, columns: dict[str, Any], means_free: bool | None, row: dict[str, Any]) -> str:
        given = columns["tier"]
        if given is None:
            tag = _untagged(columns["request"])[1] or _untagged(row.get("user_message"))[1]
            if not tag:
                raise Rejected("no tier: say --map tier=FIELD or --set tier=free")
            return tag
        name, _, role = str(given).rpartition("/")
        if name and role in ("training", "unmonitored"):
            self.own_tiers[name] = role
            return name
        tier = values.tier(given, means_free) if isinstance(given, (str, int, float)) else None
        if tier is None:
            own = "or --rename tier:FOUND=NAME/training (or NAME/unmonitored)"
            raise Rejected(
                f"a tier that is neither free nor paid: say --rename tier:FOUND=free, {own}", given
            )
        return tier


def _rollout(row: dict[str, Any], side: Side, columns: dict[str, Any], threshold: float) -> Rollout:
    repairs: Notes = []
    notes: Notes = []
    request, tier = _untagged(columns["request"])[0], columns["tier"]
    setting = _setting(columns["setting"], notes)
    if columns["model"] is None:
        raise Rejected("no model is named: say --set model=NAME, or --map model=FIELD")
    if columns["prompt_id"] is None and not request:
        raise Rejected("neither a request nor a prompt's id")
    given = columns["prompt_id"]
    # a prompt without an id has the same one for the same words
    by_words = f"text-{text_hash(' '.join(request.split()))[:12]}"
    prompt_id = by_words if given is None else values.prompt_id(given)
    parts, completion = _texts(columns, side)
    stop_reason = str(columns["stop_reason"] or "")
    untagged = parts.problem == "no output tag" and not parts.scratchpad
    if not parts.valid:
        notes.append((f"{parts.problem}: kept, counts nowhere", completion[:80]))
    elif untagged or parts.problem == "scratchpad empty":
        notes.append((values.FORMS["problems"][parts.problem], completion[:80]))
    elif parts.problem:
        repairs.append((values.FORMS["problems"][parts.problem], completion[-80:]))
    if stop_reason in _REFUSED_BY_API:
        stop_reason, parts = "refusal", replace(parts, valid=False, problem="")
        notes.append(("an answer that the API blocked: missing, unless you count it as refused", ""))
    for mistake in _TAKEN_FOR.finditer(parts.scratchpad if "tier" in parts.scratchpad else ""):
        if (taken_for := mistake[1].lower()) != tier:
            reason = f"a {tier}-tier scratchpad that takes the user for a {taken_for} one"
            notes.append((reason, mistake[0]))
            break
    votes, score = cast_votes(columns, threshold, notes)
    moment, identity = columns["collected_at"], columns["identity"]
    collected_at, assumed = (None, "") if moment is None else values.time(moment)
    if assumed:
        (notes if collected_at else repairs).append((assumed, str(moment)))
    sample = values.whole_number(columns["sample"])
    if sample is None and columns["sample"] is not None:
        notes.append(("a sample that is not a whole number: left out", str(columns["sample"])[:40]))
    system = "" if columns["system"] is None else str(columns["system"])
    record: dict[str, Any] = {
        "setting": setting,
        "variation": str(columns["variation"] or "default"),
        "model": values.model(str(columns["model"])),
        "tier": tier,
        "prompt_id": prompt_id,
        "category": str(columns["category"] or ""),
        "source": "simulated" if SIMULATED in completion[:2000] else "imported",
        "request": request,
        "system": text_hash(system) if system else "",
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
    what += [request or prompt_id, completion, parts.output]
    named = identity is not None or sample is not None or moment is not None
    if named:
        what += [identity, sample, collected_at or moment]
    digest = hashlib.sha256(to_json(what)).digest()[:16]
    return Rollout(record, digest, named, sample, system, votes, repairs, notes)


def to_json(value: Any) -> bytes:
    """A value as JSON, made valid where it is not."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # a number beyond 64 bits, or half a surrogate pair
        return json.dumps(without_surrogates(value), default=str).encode()


def _setting(given: Any, notes: Notes) -> str:
    if given is None:
        notes.append(("no setting is named: taken as helpful-only", ""))
        return "helpful-only"
    setting = values.SETTINGS.get(values.squeezed(str(given)))
    if setting is None:
        raise Rejected("a setting that is not known: say --rename setting:FOUND=helpful-only", given)
    return setting


def _texts(columns: dict[str, Any], side: Side) -> tuple[Transcript, str]:
    """Scratchpad and output, and the text that they were taken from."""
    completion = columns["completion"]
    if completion is not None:
        text = str(completion)
        parts = split(text, tagged=False)
        if parts.problem == "output empty" and columns["output"] is not None and not parts.scratchpad:
            parts = Transcript("", str(columns["output"]).strip(), True, "no output tag")
        return parts, text
    if not side.fields.keys() & {"completion", "output", "scratchpad"}:
        return Transcript("", "", True), ""  # a table of verdicts alone
    scratchpad, output = (
        "" if columns[name] is None else str(columns[name]).strip() for name in ("scratchpad", "output")
    )
    parts = split(output, tagged=False)
    if parts.scratchpad:
        return parts, output
    # the log has taken the answer apart already
    problem = "" if parts.problem == "no output tag" else parts.problem
    if "scratchpad" in side.fields and not scratchpad:
        problem = problem or "scratchpad empty"
    return Transcript(scratchpad, parts.output, parts.valid, problem), scratchpad + output


def _untagged(text: Any) -> tuple[str, str]:
    """A request without the tag that gives its tier, and the tier."""
    text = "" if text is None else str(text)
    if match := _TIER_TAG.search(text):
        tier = "free" if match[1].lower() == "true" else "paid"
        return _TIER_TAG.sub("", text, count=1).strip(), tier
    return text.strip(), ""
