"""Take a completion apart into scratchpad and output, whatever state it is in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_TAG = re.compile(r"<(?i:\s*(/?)\s*(?:((?:hidden_)?scratchpad(?:_reasoning)?)|output)\s*>)")

_IN_FORM = ["scratchpad", "/scratchpad", "output", "/output"]

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
        The texts without their tags; empty where there is none.
    valid
        The answer had the requested form: an output tag with something in it, and not merely a
        placeholder for an answer.
    problem
        What was wrong with the form, in a few words; empty where nothing was.
    """

    scratchpad: str
    output: str
    valid: bool
    problem: str = ""


def split(completion: str, *, tagged: bool = True) -> Transcript:
    """Take a completion apart.

    The output is what follows the output tag that comes after the scratchpad, so that a draft inside
    the scratchpad is not taken for the answer. Where the scratchpad is not closed, it ends at the
    last output tag. Nothing is guessed: an answer without an output tag is not valid, unless the form
    did not ask for one (`tagged` false): then what follows the scratchpad is the output.

    Examples
    --------
    >>> split("<scratchpad>Think.</scratchpad><output>Yes.</output>")
    Transcript(scratchpad='Think.', output='Yes.', valid=True, problem='')
    >>> split("<scratchpad>Think. <output>Yes.").problem
    'scratchpad not closed'
    """
    tags = _tags_of(completion)
    if [tag.kind for tag in tags] == _IN_FORM:
        scratchpad = completion[tags[0].end : tags[1].start].strip()
        output = completion[tags[2].end : tags[3].start].strip()
        if scratchpad and output and output[0] != "[":
            return Transcript(scratchpad, output, True)
    opened = next(_tags(tags, "scratchpad"), None)
    problem = ""
    after = 0
    scratchpad = ""
    if opened:
        closed = _last(tags, "/scratchpad", opened.end)
        if closed:
            scratchpad, after = completion[opened.end : closed.start], closed.end
            if not _last(tags, "output", after) and _last(tags, "output", opened.end):
                # the closing tag stands behind the answer: the first closing tag is the true one
                first = next(_tags(tags, "/scratchpad", opened.end))
                if first.start < closed.start:
                    scratchpad, after = completion[opened.end : first.start], first.end
        else:
            problem = "scratchpad not closed"
            inner = _last(tags, "output", opened.end)
            scratchpad = completion[opened.end : inner.start if inner else None]
            after = inner.start if inner else len(completion)
        if not scratchpad.strip() and not problem:
            problem = "scratchpad empty"
    started = next(_tags(tags, "output", after), None)
    if started is None and (tagged or problem == "scratchpad not closed"):
        return Transcript(scratchpad.strip(), "", False, problem or "no output tag")
    begins = started.end if started else after
    ended = _last(tags, "/output", begins)
    output = completion[begins : ended.start if ended else None].strip()
    if not output:
        return Transcript(scratchpad.strip(), "", False, "output empty")
    if _PLACEHOLDER.match(output):
        return Transcript(scratchpad.strip(), output, False, "output is a placeholder")
    if ended is None and not problem:
        problem = "output not closed" if started else "no output tag"
    return Transcript(scratchpad.strip(), output, True, problem)


class _Tag(NamedTuple):
    kind: str
    start: int
    end: int


def _tags_of(text: str) -> list[_Tag]:
    tags = []
    at = text.find("<")  # many times faster than to let the pattern find it
    while at >= 0:
        if found := _TAG.match(text, at):
            slash, scratchpad = found.groups()
            tags.append(_Tag(slash + ("scratchpad" if scratchpad else "output"), at, found.end()))
        at = text.find("<", at + 1)
    return tags


def _tags(tags: list[_Tag], kind: str, start: int = 0) -> Iterator[_Tag]:
    """The tags of a kind that begin at a place or after it."""
    return (tag for tag in tags if tag.kind == kind and tag.start >= start)


def _last(tags: list[_Tag], kind: str, start: int) -> _Tag | None:
    return next((tag for tag in reversed(tags) if tag.kind == kind and tag.start >= start), None)
