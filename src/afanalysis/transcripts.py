"""Take a completion apart into scratchpad and output, whatever state it is in."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCRATCHPAD = r"(?:hidden_)?scratchpad(?:_reasoning)?"
_OPEN = re.compile(rf"<\s*{_SCRATCHPAD}\s*>", re.I)
_CLOSE = re.compile(rf"<\s*/\s*{_SCRATCHPAD}\s*>", re.I)
_OUTPUT = re.compile(r"<\s*output\s*>", re.I)
_OUTPUT_END = re.compile(r"<\s*/\s*output\s*>", re.I)
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


def split(completion: str) -> Transcript:
    """Take a completion apart.

    The output is what follows the output tag that comes after the scratchpad, so that a draft inside
    the scratchpad is not taken for the answer. Where the scratchpad is not closed, it ends at the
    last output tag. Nothing is guessed: an answer without an output tag is not valid.

    Examples
    --------
    >>> split("<scratchpad>Think.</scratchpad><output>Yes.</output>")
    Transcript(scratchpad='Think.', output='Yes.', valid=True, problem='')
    >>> split("<scratchpad>Think. <output>Yes.").problem
    'scratchpad not closed'
    """
    opened = _OPEN.search(completion)
    problem = ""
    after = 0
    scratchpad = ""
    if opened:
        closed = _last(_CLOSE, completion)
        if closed and closed.start() >= opened.end():
            scratchpad, after = completion[opened.end() : closed.start()], closed.end()
            inner = _OUTPUT.search(completion, after)
            if inner is None and _last(_OUTPUT, completion, opened.end()):
                # the closing tag stands behind the answer: the first closing tag is the true one
                first = _CLOSE.search(completion, opened.end())
                if first and first.start() < closed.start():
                    scratchpad, after = completion[opened.end() : first.start()], first.end()
        else:
            problem = "scratchpad not closed"
            inner = _last(_OUTPUT, completion, opened.end())
            scratchpad = completion[opened.end() : inner.start() if inner else None]
            after = inner.start() if inner else len(completion)
        if not scratchpad.strip() and not problem:
            problem = "scratchpad empty"
    started = _OUTPUT.search(completion, after)
    if started is None:
        return Transcript(scratchpad.strip(), "", False, problem or "no output tag")
    ended = _last(_OUTPUT_END, completion, started.end())
    output = completion[started.end() : ended.start() if ended else None].strip()
    if not output:
        return Transcript(scratchpad.strip(), "", False, "output empty")
    if _PLACEHOLDER.match(output):
        return Transcript(scratchpad.strip(), output, False, "output is a placeholder")
    if ended is None and not problem:
        problem = "output not closed"
    return Transcript(scratchpad.strip(), output, True, problem)


def _last(pattern: re.Pattern[str], text: str, start: int = 0) -> re.Match[str] | None:
    return max(pattern.finditer(text, start), key=lambda match: match.start(), default=None)
