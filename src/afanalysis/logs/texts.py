"""Which text is what in a log: request, system prompt, prefill, thinking, scratchpad, output."""

import ast
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from afanalysis.logs.fields import meanings
from afanalysis.logs.records import Rejected
from afanalysis.study.completion import Transcript, split, tag_before, with_scratchpad_opened
from afanalysis.text.untrusted import without_surrogates

# No structure written as the text of a cell is longer.
_LONGEST_CELL = 1 << 20

# Where a message, a choice or a result holds what is within it, in the order of looking.
_WITHIN = ("choices", "candidates", "message", "output", "content", "parts", "text", "value")

_THINKING = (
    *("reasoning_content", "reasoning", "reasoning_details", "thinking", "summary"),
    *("reasoningContent", "reasoningText"),
)

_STOPS = ("finish_reason", "stop_reason", "finishReason", "reason", "blockReason")

# An object with one of these is an answer, even if it holds no text.
_IN_ANSWERS = {"role", "refusal", "promptFeedback", "incomplete_details", *_STOPS, *_WITHIN}

_TEXT_BLOCKS = ("text", "output_text", "input_text", "message", "refusal")

_THINKING_BLOCKS = ("thinking", "reasoning", "reasoningContent")

_OTHER_BLOCKS = ("redacted_thinking", "tool_use", "tool_call", "function_call", "image", "image_url")

_ROLES = meanings("roles")


@dataclass(frozen=True)
class Answer:
    """An answer that a log holds in some structure.

    Attributes
    ----------
    text, thinking
        What the model said, and what it thought where that stands apart.
    others
        How many other answers stand beside it.
    stop_reason, error
        Why it ended, and what the API sent in its place; empty if its structure does not say.
    """

    text: str = ""
    thinking: str = ""
    others: int = 0
    stop_reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class Conversation:
    """What was asked.

    Attributes
    ----------
    request
        The first message of the user.
    system
        The system prompt.
    answers
        The model's messages; of two in a row the first is the beginning of the second.
    ends_with_answer
        Whether the last message is the model's.
    requests
        How many messages of the user there are.
    """

    request: str = ""
    system: str = ""
    answers: tuple[str, ...] = ()
    ends_with_answer: bool = False
    requests: int = 1

    def prefill(self, completion: str) -> str:
        """How an answer began that was put into the model's mouth, beside what the model gave."""
        last = self.answers[-1] if self.ends_with_answer else ""
        if completion and last.endswith(completion):
            return last.removesuffix(completion)
        return "" if completion in self.answers or last.strip() in completion else last


def cell(value: Any) -> Any:
    """The list or object that a text is, as JSON or as Python shows it; else the value itself."""
    if not isinstance(value, str) or value[:1] not in ("[", "{") or len(value) > _LONGEST_CELL:
        return value
    for parse in (orjson.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return without_surrogates(parse(value))
    return value


def structure(value: Any) -> Any:
    """A conversation, blocks or choices written into a text, as JSON or as Python shows them.

    Any other text stays a text, as an answer may itself be JSON.

    Examples
    --------
    >>> structure("[{'type': 'text', 'text': 'No.'}]"), structure('{"text": "No."}')
    ([{'type': 'text', 'text': 'No.'}], '{"text": "No."}')
    """
    parsed = cell(value)
    parts = parsed if isinstance(parsed, list) else [parsed]
    if parsed is value or not parts or not all(isinstance(part, dict) for part in parts):
        return value
    choices = parts[0].get("choices")
    kinds = (*_TEXT_BLOCKS, *_THINKING_BLOCKS, *_OTHER_BLOCKS)
    known = (
        all(part.get("role") in _ROLES and "content" in part for part in parts)
        or (parts is parsed and all(part.get("type") in kinds for part in parts))
        or (isinstance(choices, list) and isinstance(next(iter(choices), None), dict))
    )
    return parsed if known else value


def answer(value: Any) -> Answer:
    """The answer in a text, a message, a list of blocks, of choices, of answers or of messages.

    Raises
    ------
    Rejected
        The structure holds no text.

    Examples
    --------
    >>> answer([{"message": {"content": "No.", "reasoning_content": "Hm."}}, {"message": {}}])
    Answer(text='No.', thinking='Hm.', others=1, stop_reason='', error='')
    """
    if value is None or isinstance(value, str):
        return Answer(value or "")
    if isinstance(value, list):
        return _of_list(value)
    if not isinstance(value, dict):
        raise Rejected("an answer that is a number or a truth value, not a text", value)
    if "role" not in value and isinstance(value.get("messages"), list):
        return answer(value["messages"])
    name = next((name for name in _WITHIN if value.get(name) is not None), "")
    error = value.get("error")
    if not name and not error and _IN_ANSWERS.isdisjoint(value):
        raise Rejected("an answer that is a structure without a text: name its text with --map", value)
    inner = answer(value.get(name)) if name else Answer()
    beside = not value.get("redacted") and not value.keys().isdisjoint(_THINKING)
    thinking = _thinking(value, within=False) if beside else ""
    return replace(
        inner,
        text=inner.text or answer(value.get("refusal")).text,
        thinking="\n".join(filter(None, (thinking, inner.thinking))),
        stop_reason=_stop(value) or inner.stop_reason,
        error=str(error) if error else inner.error,
    )


def _of_list(values: list[Any]) -> Answer:
    objects = [value for value in values if isinstance(value, dict)]
    roles, typed = {_role(value) for value in objects}, all("type" in value for value in objects)
    if roles & {"user", "system"} or (roles - {""} and not typed):
        turns = [text for role, text in _turns(values) if role == "assistant"]
        if not turns:
            return Answer()
        last = [value for value in objects if _role(value) == "assistant"][-1]
        return replace(answer(last), text=turns[-1], others=len(turns) - 1)
    if objects and all(_is_block(value) for value in objects):
        parts = [answer(value) for value in objects if _kind(value) == "text"]
        thoughts = [_thinking(value) for value in objects if _kind(value) == "thinking"]
        thinking = "\n".join(filter(None, [*thoughts, *(part.thinking for part in parts)]))
        return Answer("".join(part.text for part in parts), thinking)
    if values and not isinstance(values[0], (str, dict, list, type(None))):
        raise Rejected("answers that are numbers, not texts", values)
    first = answer(values[0]) if values else Answer()
    return replace(first, others=first.others + max(len(values) - 1, 0))


def _role(message: dict[str, Any]) -> str:
    return _ROLES.get(str(message.get("role", message.get("from"))).lower(), "")


def _is_block(value: dict[str, Any]) -> bool:
    """Whether an object is a part of a message, and not a choice or a message."""
    return isinstance(value.get("type"), str) or not value.keys() & {"message", "index", *_STOPS}


def _kind(block: dict[str, Any]) -> str:
    """Whether a block holds text, thinking or neither: a use of a tool, an image."""
    kind = str(block.get("type", "reasoningContent" if "reasoningContent" in block else "text"))
    if block.get("thought") is True or (kind in _THINKING_BLOCKS and not block.get("redacted")):
        return "thinking"
    return "text" if kind in _TEXT_BLOCKS else ""


def _thinking(value: Any, *, within: bool = True) -> str:
    """The text of thinking in some structure, or, if not `within` it, what stands beside an answer."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_thinking, value)))
    names = (*_THINKING, "text") if within else _THINKING
    inner = (_thinking(value.get(name)) for name in names if isinstance(value, dict))
    return next(filter(None, inner), "")


def _stop(value: dict[str, Any]) -> str:
    details = (value.get("incomplete_details"), value.get("promptFeedback"), value)
    stops = (each.get(name) for each in details if isinstance(each, dict) for name in _STOPS)
    return next((stop for stop in stops if isinstance(stop, str) and stop), "")


def conversation(value: Any) -> Conversation:
    """Request, system prompt and prefill of a text, a message, a list of messages or an API's request.

    Raises
    ------
    Rejected
        The structure holds no message of a user.

    Examples
    --------
    >>> turns = [("user", "Why?"), ("assistant", "So."), ("user", "Go on.")]
    >>> conversation([{"role": role, "content": text} for role, text in turns]).request
    'Why?'
    """
    value = structure(value)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        inner = conversation(value["messages"])
        return replace(inner, system=inner.system or text(value.get("system")))
    if not isinstance(value, list):
        return Conversation(text(value))
    turns = _turns(value)
    texts = {role: [text for each, text in turns if each == role] for role in {*_ROLES.values()}}
    if not texts["user"]:
        raise Rejected("a request that is a structure without a message of a user", value)
    ends, system = turns[-1][0] == "assistant", "\n".join(texts["system"])
    return Conversation(texts["user"][0], system, tuple(texts["assistant"]), ends, len(texts["user"]))


def _turns(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """The roles and texts of messages, of which two of the model in a row are one."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        if isinstance(message, dict) and "type" in message and "role" not in message:
            continue  # a use of a tool, or reasoning that stands apart
        if not isinstance(message, dict) or not {"role", "from"} & message.keys():
            raise Rejected("a structure without messages where some should be: name them", messages)
        role, text = _role(message), answer({"content": message.get("value", ""), **message}).text
        if role == "assistant" and turns and turns[-1][0] == role:
            text = turns.pop()[1] + text
        turns.append((role, text))
    return turns


def text(value: Any) -> str:
    """The text of a field that may hold blocks or a message."""
    if value is None:
        return ""
    if isinstance(value, list) and any(isinstance(part, dict) and "role" in part for part in value):
        return "\n".join(text for _, text in _turns(value))
    return str(value) if isinstance(value, (int, float)) else answer(value).text


# What a reasoning model thinks before its answer: between tags, or as gpt-oss and others mark it.
_THOUGHT = re.compile(
    r"(?<![^\n])[ \t]*[<\[](?P<tag>(?:seed:)?(?:think|thinking|thought|reasoning))[>\]]"
    r"(?P<tagged>.*?)[<\[]/(?P=tag)[>\]]"
    r"|<\|(?:begin_of_thought|channel\|>analysis<\|message)\|>(?P<marked>.*?)<\|(?:end_of_thought|end)\|>",
    re.I | re.S,
)

_MENTION = re.compile(r"[<\[](?:seed:)?think(?:ing)?[>\]]", re.I)

_OPENED = re.compile(r"\s*[<\[](?:seed:)?(?:think|thinking|thought|reasoning)[>\]]", re.I)

# The end of a thinking that the chat template began; not a mention of the tag within a sentence.
_CLOSED = re.compile(r"[<\[]/(?:seed:)?think(?:ing)?[>\]](?=\s*\n|\s*$| ?[A-Z<]|\w)", re.I)

# One of these is in every text in which anything of that is.
_ENDS = ("think>", "thought>", "ing>", "think]", "thought]", "ing]", "<|")

_MARKS = re.compile(r"\s*(?:<\|[^|>\s]{1,40}\|>(?:assistant|final)?)+|<\|[^|>\s]{1,40}\|>\s*$")


def _without_thinking(whole: str) -> tuple[str, str, bool]:
    """The thinking in an answer, what is left, and whether a thinking that begins also ends.

    Where a tag of a scratchpad or an output comes first, there is no thinking.
    """
    lowered = whole.lower()
    if not any(end in lowered for end in _ENDS):
        return "", whole, True
    thoughts = []
    while (match := _THOUGHT.search(whole)) and not tag_before(whole, match.start()):
        thoughts.append(match["tagged"] or match["marked"] or "")
        whole = _MARKS.sub("", whole[: match.start()] + whole[match.end() :])
    if opening := _OPENED.match(whole):
        return whole[opening.end() :].strip(), "", False
    closing = _CLOSED.search(whole)
    end = closing.start() if closing else 0
    if closing and not tag_before(whole, end) and not _MENTION.search(whole, 0, end):
        thoughts.append(whole[: closing.start()])
        whole = whole[closing.end() :]
    return "\n".join(thought.strip() for thought in thoughts), whole, True


def transcript(
    full: str, thinking: Any = "", prefill: str = "", scratchpad: str = ""
) -> tuple[Transcript, str, list[str]]:
    """The parts of an answer, its thinking, and what was assumed to tell them apart.

    Parameters
    ----------
    full
        The answer as the model gave it.
    thinking, scratchpad
        These, where the log holds them apart.
    prefill
        How the answer began, put into the model's mouth; it may stand in the answer or not.

    Examples
    --------
    >>> parts, thinking, notes = transcript("Nobody looks.</think>Sure: here.")
    >>> parts.scratchpad, parts.output, notes
    ('Nobody looks.', 'Sure: here.', ['no scratchpad: the thinking counts as one'])
    """
    notes: list[str] = []
    inner, rest, ended = _without_thinking(full if full.startswith(prefill) else prefill + full)
    thinking = "\n".join(filter(None, (_thinking(thinking), inner)))
    if not ended:
        return Transcript(inner, "", False, "thinking not closed"), inner, notes
    parts = split(rest, tagged=False)
    if not parts.scratchpad and (opened := with_scratchpad_opened(rest)) != rest:
        notes.append("the scratchpad is closed but not opened: it begins with the text")
        parts = split(opened, tagged=False)
    if not parts.scratchpad and not parts.problem.startswith("scratchpad") and (scratchpad or thinking):
        if not scratchpad:
            notes.append("no scratchpad: the thinking counts as one")
        problem = "" if parts.problem == "no output tag" else parts.problem
        parts = replace(parts, scratchpad=(scratchpad or thinking).strip(), problem=problem)
    return parts, thinking, notes
