"""Make rollouts of a log's rows: what is taken, repaired, noted or rejected, and why."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from afanalysis.logs import fields as values
from afanalysis.logs import texts
from afanalysis.logs.classifier_votes import Notes, Scales, Vote, cast_votes
from afanalysis.logs.fields import BY_TIER, COLUMNS, FORMS, Mapping, Side, lookup, plan_fields
from afanalysis.logs.records import Rejected
from afanalysis.logs.results import Requests, adapted
from afanalysis.study.completion import Transcript
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

# The columns that are one value, which a structure cannot fill.
_SINGLE = ("setting", "variation", "model", "tier", "prompt_id", "category", "stop_reason", "uuid")

_ANSWERS = {"completion", "output", "scratchpad", "messages"}

_VERDICTS = {"complied", "refused", "score", "accepts"}

# What another tool says of a row, and what that means here.
STATES: dict[str, Any] = FORMS["states"]

_STATUSES, _STOPS = values.meanings("statuses"), values.meanings("stops")

# An error by which an API says that it blocked the request or its answer.
_BLOCKED = re.compile(
    r"content[_ -]?(?:filter|policy|management)|responsible_?ai|blocked due to|safety system|"
    r"usage polic|prohibited_content|moderation",
    re.I,
)


@dataclass
class Rollout:
    """A rollout as a log has it.

    Attributes
    ----------
    record
        What `rollouts.jsonl` will hold of it, but for its key, sample and origin.
    identity
        Hashes, in hex, of what makes it this rollout and no other, for `rollout_index.sql`: `name` (of
        the condition, the request, the texts, and whatever the log names the answer by), `id` (of that
        name alone, with what it can be unique in), `content` (of condition, request and texts), and
        `named_by`: `uuid` (an id of the answer), `id` (of the row), `sample` (a number within its
        prompt), `time`, or `nothing`.
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
    identity: dict[str, str]
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
        The file's format, whose known fields fill columns.
    place
        By column, what the names of the file and its folders say.
    scales
        The scales of verdicts, which learn what numbers occur.
    requests
        What results of batches answer.

    Attributes
    ----------
    own_tiers
        The roles of the tiers so far that are neither free nor paid.
    """

    def __init__(
        self, mapping: Mapping, format: str, place: dict[str, str], scales: Scales, requests: Requests
    ) -> None:
        self._mapping, self._scales, self._requests = mapping, scales, requests
        self._place = {column: name for column, name in place.items() if column != "outer"}
        self._outer, self._of_cells = place.get("outer", ""), format in ("csv", "parquet")
        self._format, self._usual = format, FORMS["fields"].get(format, {})
        self._answers: set[int] = set()
        self._plans: dict[tuple[str, ...], tuple[list[Side], list[str]]] = {}
        self.own_tiers: dict[str, str] = {}

    def sources(self) -> Iterator[tuple[str, str]]:
        """Columns and what filled them so far; fields that filled none, with an empty column."""
        constants = self._mapping.constants.items()
        yield from ((column, f"{value!r}, as given") for column, value in constants)
        for sides, unused in self._plans.values():
            for side in sides:
                for column, name in self._place_of(side).items():
                    yield column, f"{name!r}, a folder's or the file's name"
                for column, name in side.fields.items():
                    of_tier = side.tier and column in BY_TIER
                    yield f"{side.tier}.{column}" if of_tier else column, name
            yield from (("", name) for name in unused)

    def rollouts(self, row: Any) -> Iterator[Rollout | Rejected]:
        """The rollouts of a row: one, or in a wide table one per tier."""
        row = adapted(row, self._format, self._requests)
        if not isinstance(row, dict):
            is_rejected = isinstance(row, Rejected)
            yield row if is_rejected else Rejected("not an object with fields", str(row)[:80])
            return
        row = values.with_inner_fields(row)
        if self._format == "lm-eval":  # logs an answer again for each filter
            parts = [row[part] for part in row if part.startswith(("doc", "arguments", "resps"))]
            if (name := hash(to_json(parts))) in self._answers:
                reason = "the same answer under another filter: the first counts"
                yield Rejected(reason, row.get("filter", ""))
                return
            self._answers.add(name)
        names = tuple(row)
        if names not in self._plans:
            self._plans[names] = plan_fields(names, self._mapping, self._usual)
        for side in self._plans[names][0]:
            try:
                yield self._rollout(row, side)
            except Rejected as reason:
                yield reason
            except RecursionError:
                yield Rejected("a row that is nested too deep")

    def _rollout(self, row: dict[str, Any], side: Side) -> Rollout:
        repairs, notes = Notes(), Notes()
        columns = self._columns(row, side)
        asked = _asked(columns)
        parts, completion, reply = _texts(columns, side, asked, notes)
        how, words = _state(columns, reply)
        if how and STATES[how]["decision"] == "set aside":
            raise Rejected(STATES[how]["reason"], words)
        tag = _untagged(columns["request"])[1] or _untagged(asked.request)[1]
        tier = side.tier or self._tier(columns["tier"], side.means_free, tag)
        known = {"seed", *side.fields, *self._mapping.constants, *["tier"] * bool(side.tier or tag)}
        place = self._place_of(side).items()
        if guessed := [f"{column}={name}" for column, name in place if column not in known]:
            notes.append(("taken from the names of folders and files", ", ".join(guessed)))
        if asked.requests > 1:
            notes.append(("a request that is the first of several messages of the user", ""))
        for name in _SINGLE:
            if isinstance(texts.cell(columns[name]), (dict, list)):
                advice = f"say --map {name}=FIELD.PART"
                raise Rejected(f"a {name} that is a structure, not one value: {advice}", columns[name])
        request = _untagged(columns["request"])[0]
        setting = _setting(columns["setting"], notes)
        if columns["model"] is None:
            raise Rejected("no model is named: say --set model=NAME, or --map model=FIELD")
        if columns["prompt_id"] is None and not request:
            raise Rejected("neither a request nor a prompt's id: say --map request=FIELD")
        if not side.fields.keys() & (_ANSWERS | _VERDICTS) and not reply.text:
            raise Rejected("neither an answer nor a verdict: say --map completion=FIELD")
        given = columns["prompt_id"]
        # a prompt without an id has the same one for the same words
        by_words = f"text-{text_hash(' '.join(request.split()))[:12]}"
        prompt_id = by_words if given is None else values.prompt_id(given)
        stop_reason = str(columns["stop_reason"] or reply.stop_reason)
        if how:
            notes.append((STATES[how]["reason"], words[:80]))
        if how == "blocked":
            stop_reason, parts = "refusal", replace(parts, valid=False, problem="")
        elif not parts.valid:
            notes.append((f"{parts.problem}: kept, counts nowhere", completion[:80]))
        elif parts.problem in FORMS["noted"] and not parts.scratchpad:  # else it ends the scratchpad
            notes.append((FORMS["noted"][parts.problem], completion[:80]))
        elif parts.problem:
            repairs.append(((FORMS["noted"] | FORMS["repaired"])[parts.problem], completion[-80:]))
        for mistake in _TAKEN_FOR.finditer(parts.scratchpad if "tier" in parts.scratchpad else ""):
            if (taken_for := mistake[1].lower()) != tier:
                reason = f"a {tier}-tier scratchpad that takes the user for a {taken_for} one"
                notes.append((reason, mistake[0]))
                break
        votes, score = cast_votes(columns, self._scales, notes)
        moment = columns["collected_at"]
        collected_at, assumed = (None, "") if moment is None else values.time(moment)
        if assumed:
            (notes if collected_at else repairs).append((assumed, str(moment)))
        sample = values.whole_number(columns["sample"])
        if sample is None and columns["sample"] is not None:
            notes.append(("a sample that is not a whole number: left out", str(columns["sample"])[:40]))
        # an exported table may have no texts, but it names its source
        is_simulated = SIMULATED in completion[:2000] or str(row.get("source")).startswith("simulated")
        record: dict[str, Any] = {
            "setting": setting,
            "variation": str(columns["variation"] or "default"),
            "model": values.model(str(columns["model"])),
            "tier": tier,
            "prompt_id": prompt_id,
            "category": str(columns["category"] or ""),
            "source": "simulated" if is_simulated else "imported",
            "request": request,
            "system": text_hash(columns["system"]) if columns["system"] else "",
            "valid": parts.valid,
            "problem": parts.problem,
            "stop_reason": stop_reason,
            "scratchpad": parts.scratchpad,
            "output": parts.output,
            "thinking": reply.thinking,
            "input_tokens": values.whole_number(columns["input_tokens"]),
            "output_tokens": values.whole_number(columns["output_tokens"]),
            "collected_at": collected_at,
            "score": score,
        }
        if not parts.valid or len(completion) - len(parts.scratchpad) - len(parts.output) > _AROUND:
            record["completion"] = completion
        kept = side.kept
        if reply.others:
            count = reply.others + 1
            notes.append((f"{count} answers in one row: one counts, all are in `original`", ""))
            kept += tuple(name for name in row if name not in kept)
        if kept:
            others = (name for name in kept if row[name] != parts.output or not parts.output)
            record["original"] = {name: row[name] for name in others}
        identity = _identity(record, columns, sample, completion)
        return Rollout(record, identity, sample, columns["system"], votes, repairs, notes)

    def _place_of(self, side: Side) -> dict[str, str]:
        """What names of folders and files say; those below a model's only if it gives the model."""
        outer = {"variation": self._outer} if self._outer and "model" not in side.fields else {}
        return self._place | outer

    def _columns(self, row: dict[str, Any], side: Side) -> dict[str, Any]:
        """The value of each column: from the row, the file's folders, or the user's constants."""
        # the tier of the place comes after that of a request's tag
        given = {"tier": None, **self._mapping.constants}
        columns = dict.fromkeys(COLUMNS) | self._place_of(side) | given
        for column, name in side.fields.items():
            value = row[name] if name in row else lookup(row, name)
            if not values.missing(value):
                columns[column] = texts.structure(value) if self._of_cells else value
        renames = self._mapping.renames.items()
        return columns | {column: new for (column, old), new in renames if str(columns[column]) == old}

    def _tier(self, given: Any, means_free: bool | None, tag: str) -> str:
        if given is None:
            if not tag and "tier" not in self._place:
                raise Rejected("no tier: say --map tier=FIELD or --set tier=free")
            return tag or self._place["tier"]
        name, _, role = str(given).rpartition("/")
        if name and role in ("training", "unmonitored"):
            self.own_tiers[name] = role
            return name
        tier = values.tier(given, means_free) if isinstance(given, (str, int, float)) else None
        if tier is None:
            own = "or --rename tier:FOUND=NAME/training (or NAME/unmonitored)"
            say = f"say --rename tier:FOUND=free, {own}"
            raise Rejected(f"a tier that is neither free nor paid: {say}", given)
        return tier


def _asked(columns: dict[str, Any]) -> texts.Conversation:
    """What was asked; the column `request` becomes a text."""
    given = asked = texts.conversation(columns["request"])
    if columns["messages"] is not None:
        try:
            asked = texts.conversation(columns["messages"])
        except Rejected:
            if not given.request:
                raise
        if all(columns[name] is None for name in ("completion", "output", "scratchpad")):
            columns["completion"] = columns["messages"]
    columns["request"] = given.request or asked.request
    columns["system"] = texts.text(columns["system"]) or asked.system
    return asked


def _state(columns: dict[str, Any], reply: texts.Answer) -> tuple[str, str]:
    """What the log says about a row beside its texts, by the names of `STATES`, and its words for it."""
    status = _STATUSES.get(values.squeezed(str(columns["status"] or "")), "")
    stop = str(columns["stop_reason"] or reply.stop_reason)
    stopped = _STOPS.get(values.squeezed(stop.rpartition(".")[2]), "")
    problem = _words(columns["error"]) or reply.error
    if words := _words(columns["invalidated"]):
        return "invalidated", words
    if "blocked" in (status, stopped) or _BLOCKED.search(problem):
        return "blocked", problem
    if status in ("invalidated", "cancelled"):
        return status, str(columns["status"])
    if problem or "errored" in (status, stopped):
        return "errored", problem or stop
    limit = _words(columns["limit"])
    if limit.isalpha() or limit[:1] == "{" or "limit" in (status, stopped):
        return "limit", limit or stop
    return "edited" if _words(columns["edited"]) else "", ""


def _words(value: Any) -> str:
    """What a field says of a row; empty where it says no, nothing, or is a number."""
    if isinstance(value, dict):
        names = ("error", "author", "code", "message", "reason", "type")
        known = [words for name in names if (words := _words(value.get(name)))]
        value = ": ".join(known) or (str(value) if any(value.values()) else "")
    if value in (None, [], {}) or isinstance(value, float) or values.truth(value) in ("no", "missing"):
        return ""
    return str(value)


def _identity(
    record: dict[str, Any], columns: dict[str, Any], sample: int | None, completion: str
) -> dict[str, str]:
    """What the log names an answer by, the surest first; the texts alone name none."""
    moment, uuid, row_id = columns["collected_at"], columns["uuid"], columns["identity"]
    condition = [record[name] for name in ("setting", "variation", "model", "tier")]
    time, request = record["collected_at"] or moment, record["request"] or record["prompt_id"]
    content = [*condition, request, completion, record["output"]]
    given = row_id if uuid is None else uuid
    id = "" if given is None else values.prompt_id(given)
    if uuid is not None:
        # copies of a file in other folders may pass for another variation
        named_by, name = "uuid", [record["model"], record["tier"], request, id]
    elif id:
        named_by, name = "id", [*condition[:3], id, sample]
    elif sample is not None:
        named_by, name = "sample", [*condition, request, sample, columns["seed"], time]
    else:
        named_by, name = ("nothing", []) if moment is None else ("time", [record["tier"], str(moment)])
    parts = {"content": to_json(content), "id": to_json(name)}
    more = b"]" if named_by == "nothing" else b"," + to_json([given, sample, time])[1:]
    parts["name"] = parts["content"][:-1] + more
    hashes = {part: hashlib.sha256(text).hexdigest()[:32] for part, text in parts.items()}
    return hashes | {"named_by": named_by}


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


def _texts(
    columns: dict[str, Any], side: Side, asked: texts.Conversation, notes: Notes
) -> tuple[Transcript, str, texts.Answer]:
    """Scratchpad and output, the text that they were taken from, and the answer that it stood in."""
    scratchpad = texts.text(columns["scratchpad"]).strip()
    whole = columns["completion"] is not None
    reply = texts.answer(columns["completion" if whole else "output"])
    if not side.fields.keys() & _ANSWERS:
        return Transcript("", "", True), "", reply  # a table of verdicts alone
    full = reply.text if whole else reply.text.strip()
    apart = [reply.thinking, columns["thinking"]]
    parts, thinking, assumed = texts.transcript(full, apart, asked.prefill(full), scratchpad)
    notes += [(reason, full[:80]) for reason in assumed]
    reply = replace(reply, thinking=thinking)
    empty = parts.problem == "output empty" and not parts.scratchpad
    if whole and empty and columns["output"] is not None:
        parts = Transcript("", texts.text(columns["output"]).strip(), True, "no output tag")
    if not whole:  # the log has taken the answer apart already
        problem = "" if parts.problem == "no output tag" else parts.problem
        if "scratchpad" in side.fields and not parts.scratchpad:
            problem = problem or "scratchpad empty"
        full = full if parts.scratchpad != scratchpad else scratchpad + full
        parts = replace(parts, problem=problem)
    return parts, full, reply


def _untagged(text: Any) -> tuple[str, str]:
    """A request without the tag that gives its tier, and the tier."""
    text = "" if text is None else str(text)
    if match := _TIER_TAG.search(text):
        tier = "free" if match[1].lower() == "true" else "paid"
        return _TIER_TAG.sub("", text, count=1).strip(), tier
    return text.strip(), ""
