"""Split a completion into scratchpad and output, whatever state it is in."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

_SCRATCHPAD = r"(?:hidden_)?scratchpad(?:_reasoning)?"

# The name of the group that matched is the kind of the tag.
_TAG = re.compile(
    rf"<(?i:\s*(?:(?P<scratchpad>{_SCRATCHPAD})|(?P<output>output)|"
    rf"/\s*(?:(?P<scratchpad_end>{_SCRATCHPAD})|(?P<output_end>output)))\s*>)"
)

_THINK = re.compile(r"\s*<think(?:ing)?>", re.I)

_END_OF_THINK = re.compile(r"</think(?:ing)?>", re.I)

# Which text the scratchpad is: in the answer between tags, what the API returns apart as thinking, or
# what an open model writes before `</think>`.
ScratchpadFrom = Literal["tags", "thinking", "think-tags"]

_PLACEHOLDER = re.compile(
    r"^\[[^\]\n]{0,200}\b(content|answer|text|response|here|insert|redacted|revised)\b[^\]\n]{0,200}\]$",
    re.I,
)


@dataclass(frozen=True)
class Transcript:
    """The parts of a completion.

    Attributes
    ----------
    scratchpad, output
        The texts without their tags; empty if missing.
    valid
        The answer had the requested form: an output tag with something in it that is more than a
        placeholder for an answer.
    problem
        What was wrong with the form, in a few words; empty if nothing was.
    """

    scratchpad: str
    output: str
    valid: bool
    problem: str = ""


def split(completion: str, *, tagged: bool = True) -> Transcript:
    """Split a completion.

    The output is what follows the output tag after the scratchpad, so that a draft inside the
    scratchpad is not taken for the answer. A scratchpad that is not closed ends at the last output tag.
    Nothing is guessed: an answer without an output tag is not valid, unless the form does not ask for
    one (`tagged` false); then what follows the scratchpad is the output.

    Examples
    --------
    >>> split("<scratchpad>Think.</scratchpad><output>Yes.</output>")
    Transcript(scratchpad='Think.', output='Yes.', valid=True, problem='')
    >>> split("<scratchpad>Think. <output>Yes.").problem
    'scratchpad not closed'
    """
    tags = list(_TAG.finditer(completion))
    scratchpad, problem, after = "", "", 0
    if opening := _first(tags, "scratchpad"):
        start = opening.end()
        answer, closing = _last(tags, "output", start), _last(tags, "scratchpad_end", start)
        if closing and answer and answer.start() < closing.start():
            # the last closing tag comes after the answer: the first one is the true one
            closing = _first(tags, "scratchpad_end", start)
        end = closing or answer
        scratchpad = completion[start : end.start() if end else None].strip()
        if closing:
            problem, after = "" if scratchpad else "scratchpad empty", closing.end()
        else:
            problem, after = "scratchpad not closed", end.start() if end else len(completion)
    output_tag = _first(tags, "output", after)
    if output_tag is None and (tagged or problem == "scratchpad not closed"):
        return Transcript(scratchpad, "", False, problem or "no output tag")
    start = output_tag.end() if output_tag else after
    closing = _last(tags, "output_end", start)
    output = completion[start : closing.start() if closing else None].strip()
    if not output:
        return Transcript(scratchpad, "", False, "output empty")
    if _PLACEHOLDER.match(output):
        return Transcript(scratchpad, output, False, "output is a placeholder")
    if closing is None and not problem:
        problem = "output not closed" if output_tag else "no output tag"
    return Transcript(scratchpad, output, True, problem)


def split_answer(text: str, thinking: str, scratchpad_from: ScratchpadFrom) -> Transcript:
    """Split an answer whose scratchpad is the text that `scratchpad_from` names.

    Parameters
    ----------
    text, thinking
        What the API returned, as text and as thinking.
    scratchpad_from
        With `think-tags` the thinking is what comes before `</think>`; many chat templates write the
        opening tag themselves, so that the answer may lack it. Of a tagged scratchpad beside the one
        that counts nothing is kept.

    Examples
    --------
    >>> split_answer("I will.</think><output>Yes.</output>", "", "think-tags").scratchpad
    'I will.'
    >>> split_answer("<output>Yes.</output>", "", "thinking").problem
    'no thinking'
    """
    if scratchpad_from == "tags":
        return split(text)
    if scratchpad_from == "think-tags":
        opening, closing = _THINK.match(text), _END_OF_THINK.search(text)
        start = opening.end() if opening else 0
        if opening and not closing:
            return Transcript(text[start:].strip(), "", False, "thinking not closed")
        thinking = text[start : closing.start()] if closing else ""
        text = text[closing.end() :] if closing else text
    parts, thinking = split(text), thinking.strip()
    problem = "" if parts.problem.startswith("scratchpad empty") else parts.problem
    return replace(parts, scratchpad=thinking, problem=problem or ("" if thinking else "no thinking"))


def tag_before(text: str, end: int) -> bool:
    """Whether a tag of a scratchpad or an output stands before a place in a text."""
    return bool(_TAG.search(text, 0, end))


def with_scratchpad_opened(text: str) -> str:
    """The text with an opening tag where its scratchpad is closed but not opened, as after a prefill."""
    tags = list(_TAG.finditer(text))
    closing, output = _first(tags, "scratchpad_end"), _first(tags, "output")
    if not closing or _first(tags, "scratchpad") or (output and output.start() < closing.start()):
        return text
    return f"<scratchpad>{text}"


def _first(tags: Iterable[re.Match[str]], kind: str, start: int = 0) -> re.Match[str] | None:
    """The first tag of a kind that begins at `start` or later."""
    return next((tag for tag in tags if tag.lastgroup == kind and tag.start() >= start), None)


def _last(tags: Sequence[re.Match[str]], kind: str, start: int) -> re.Match[str] | None:
    return _first(reversed(tags), kind, start)
