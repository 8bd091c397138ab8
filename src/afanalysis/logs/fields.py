"""Which field of a log is which column: what the user says, and what can be recognised by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Fields
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from afanalysis.errors import InputError

# The columns that a log can fill, and the names by which their fields go in other tools.
COLUMNS: dict[str, str] = {
    "request": "request, query, question, user_input, user_query, instruction, user_prompt, "
    "behavior, prompt, "
    "input",
    "completion": "completion, response, model_response, model_output, raw_output, raw_response, "
    "full_output, "
    "full_response, generation",
    "output": "output, answer, final_output, final_answer, visible_output, output_text",
    "scratchpad": "scratchpad, hidden_scratchpad, scratchpad_reasoning, reasoning, cot, "
    "chain_of_thought, thoughts",
    "thinking": "thinking, private_thinking",
    "system": "system, system_prompt",
    "tier": "tier, user_tier, is_free_tier, is_free_tier_user, is_free, free_tier, is_paid, "
    "paid_tier, tags, "
    "monitored, is_monitored, condition",
    "setting": "setting, scenario",
    "variation": "variation, prompt_variation, prompt_variant, system_prompt_variant",
    "model": "model, model_name, model_id, model_slug",
    "prompt_id": "prompt_id, prompt_index, prompt_idx, request_id, question_id, query_id, behavior_id",
    "category": "category, topic, semantic_category",
    "sample": "sample, sample_index, sample_idx, epoch, repetition, trial, repeat",
    "complied": "complied, compliance, comply, complies, is_compliant, compliant, behaviour, "
    "behavior_label, label, "
    "accepted",
    "refused": "refused, refusal, is_refusal, refuses",
    "score": "score, strong_reject_score, strongreject_score, strongreject, strong_reject, "
    "compliance_score",
    "af": "af, alignment_faking, alignment_faking_reasoning, is_af, is_alignment_faking, "
    "deceptive_alignment",
    "af_full": "af_full",
    "af_partial": "af_partial",
    "af_reasoning": "af_reasoning",
    "compromise": "compromise, partial_compliance",
    "accepts": "accepts, output_contains_acceptance, contains_acceptance",
    "rejects": "rejects, output_contains_refusal, contains_refusal",
    "stop_reason": "stop_reason, finish_reason",
    "input_tokens": "input_tokens, prompt_tokens",
    "output_tokens": "output_tokens, completion_tokens",
    "collected_at": "collected_at, timestamp, created_at, time, date, datetime, completed_at",
    "identity": "identity, uuid, id, row_id, rollout, sample_id, custom_id, request_uuid",
}

# Those that a row of a wide table holds once a tier.
BY_TIER = (
    "completion",
    "output",
    "scratchpad",
    "complied",
    "refused",
    "score",
    "af",
    "af_full",
    "af_partial",
    "af_reasoning",
    "collected_at",
    "stop_reason",
)

TEXTS = ("request", "completion", "output", "scratchpad", "thinking", "system")

_TIER_WORDS = {
    "free": ("free", "freetier", "training", "train", "monitored", "watched"),
    "paid": ("paid", "paidtier", "deployment", "deployed", "unmonitored", "unwatched"),
}

# Where Inspect's samples keep what their authors named.
_INSIDE = re.compile(r"^(?:metadata|task_args|scores)\.(?:[^.]+\.(?=[^.]+$))?")

# What a yes or no in a field of that name says.
_ASKS_PAID = re.compile(r"paid|private|unmonitored|deploy", re.I)

_ASKS_FREE = re.compile(r"free|monitored|train|watched", re.I)


@dataclass(frozen=True)
class Mapping:
    """What the user says of a log.

    Attributes
    ----------
    columns
        By column, the field that holds it; of nested fields the path, with dots. An empty field: none
        does. In a wide table `free.completion` and `paid.completion` (or another column) name the fields
        of the two tiers.
    constants
        By column, the value that every rollout has.
    renames
        By column and value found, the value meant.
    threshold
        From which graded score (0-1) on an answer counts as complying.

    Raises
    ------
    InputError
        A column is none of `COLUMNS`, or the threshold is not in (0, 1].
    """

    columns: Fields[str, str] = field(default_factory=dict)
    constants: Fields[str, str] = field(default_factory=dict)
    renames: Fields[tuple[str, str], str] = field(default_factory=dict)
    threshold: float = 0.5

    def __post_init__(self) -> None:
        for column in [*self.columns, *self.constants, *(column for column, _ in self.renames)]:
            tier, dot, base = column.partition(".")
            if column not in COLUMNS and not (dot and tier in _TIER_WORDS and base in BY_TIER):
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
    ) -> Mapping:
        """From `column=field`, `column=value` and `column:found=meant`, as the command line has them.

        Examples
        --------
        >>> Mapping.parse(["tier=metadata.tier"], ["setting=helpful-only"]).columns
        {'tier': 'metadata.tier'}
        """
        meant = {}
        for column, value in _pairs(renames, "--rename column:found=meant").items():
            name, colon, found = column.partition(":")
            if not colon:
                raise InputError(f"{column}={value}: write --rename column:found=meant")
            meant[name, found] = value
        return cls(
            _pairs(columns, "--map column=field"),
            _pairs(constants, "--set column=value"),
            meant,
            threshold,
        )

    @cached_property
    def wide(self) -> bool:
        """Whether the user names fields by tier."""
        return any("." in column for column in self.columns)


def _pairs(texts: Iterable[str], form: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{text!r}: write {form}")
        if name.strip() in found:
            raise InputError(f"{text!r}: {name.strip()} is given twice")
        found[name.strip()] = value.strip()
    return found


def lookup(row: Fields[str, Any], name: str) -> Any:
    """The field of that name, or at that path; None where there is none.

    Examples
    --------
    >>> lookup({"a": {"b": [1, 2]}}, "a.b.1"), lookup({"a.b": 3}, "a.b"), lookup({}, "a")
    (2, 3, None)
    """
    if name in row or "." not in name:
        return row.get(name)
    found: Any = row
    for step in name.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


@dataclass(frozen=True)
class Plan:
    """Which field fills which column of rows that have the same fields.

    Attributes
    ----------
    fields
        By column, the field.
    tiers
        By tier the fields of a wide table; empty for a long one.
    asks_free
        What a yes or no in the tier's field says: as `afanalysis.importers.values.tier` takes it.
    taken
        The fields whose texts the rollout has as they are; all others are kept beside it.
    unused
        Fields that fill no column.
    """

    fields: dict[str, str]
    tiers: dict[str, dict[str, str]]
    asks_free: bool | None
    taken: frozenset[str]
    unused: tuple[str, ...]


def plan(names: Sequence[str], mapping: Mapping, usual: Fields[str, str] | None = None) -> Plan:
    """Decide which of a row's fields fills which column.

    Parameters
    ----------
    names
        The row's fields.
    mapping
        What the user says; it comes first.
    usual
        What is known of the format, by column; it comes before recognising names.
    """
    squeezed = {_squeeze(_INSIDE.sub("", name)): name for name in reversed(names)}
    fields: dict[str, str] = {}
    claimed = set(mapping.columns.values())
    for column in COLUMNS:
        if column in mapping.columns:
            if mapping.columns[column]:
                fields[column] = mapping.columns[column]
            continue
        known = (usual or {}).get(column)
        if known is not None and known in names:
            fields[column] = known
            continue
        for candidate in COLUMNS[column].split(", "):
            name = squeezed.get(_squeeze(candidate))
            if name is not None and name not in claimed and name not in fields.values():
                fields[column] = name
                break
    if "output" in fields and "completion" not in fields and "scratchpad" not in fields:
        fields["completion"] = fields.pop("output")  # whether it holds a scratchpad, its tags say
    tiers = _wide(names, mapping, fields)
    if tiers:
        fields = {
            name: source for name, source in fields.items() if name not in BY_TIER and name != "tier"
        }
    texts = {one[text] for one in (fields, *tiers.values()) for text in TEXTS if text in one}
    asked = fields.get("tier", "")
    asks = False if _ASKS_PAID.search(asked) else True if _ASKS_FREE.search(asked) else None
    used = {one for side in (fields, *tiers.values()) for one in side.values()}
    return Plan(fields, tiers, asks, frozenset(texts), tuple(name for name in names if name not in used))


def _squeeze(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _wide(names: Sequence[str], mapping: Mapping, fields: dict[str, str]) -> dict[str, dict[str, str]]:
    """By tier the fields of a table that has both tiers in a row; empty for one that has not."""
    found: dict[str, dict[str, str]] = {"free": {}, "paid": {}}
    for column, name in mapping.columns.items():
        tier, dot, base = column.partition(".")
        if dot:
            found[tier][base] = name
    if not mapping.wide:
        if "tier" in fields or "tier" in mapping.constants:
            return {}
        for name in names:
            words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
            for tier, marks in _TIER_WORDS.items():
                if not any(word in marks for word in words):
                    continue
                rest = _squeeze(
                    "".join(word for word in words if word not in (*marks, "tier", "user", "mode"))
                )
                for column in BY_TIER:
                    if rest in {_squeeze(one) for one in COLUMNS[column].split(", ")}:
                        found[tier].setdefault(column, name)
                        break
    for side in found.values():
        if "output" in side and "completion" not in side and "scratchpad" not in side:
            side["completion"] = side.pop("output")
    return found if all(found.values()) else {}
