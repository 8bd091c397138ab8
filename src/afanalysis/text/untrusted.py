"""Text that is not ours: made valid where it enters, and visible and harmless where it is shown."""

import io
import unicodedata
from typing import Any, TextIO

_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")

_LATEX = {letter: rf"\{letter}" for letter in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "⟨": r"$\langle$", "⟩": r"$\rangle$"}
_LATEX |= {"−": "$-$", "\n": " "}


def without_surrogates(value: Any) -> Any:
    r"""A JSON value in which every half of a surrogate pair, which no file can hold, is U+FFFD.

    Examples
    --------
    >>> without_surrogates({"a\ud800": ["\ud83d\ude00"]})
    {'a�': ['😀']}
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(name): without_surrogates(item) for name, item in value.items()}
    return value


def escape_invisible(text: str | None, most: int | None = 4000) -> str:
    r"""Text for a terminal, notebook or page: hidden characters spelled out, and cut if very long.

    Characters that reorder, hide or break text (control, format, private, unassigned) are written as
    their code points, so that the reader sees everything that is there.

    Examples
    --------
    >>> escape_invisible("a\u202eb")
    'a⟨U+202E⟩b'
    """
    text = text or ""
    shown = text[:most]
    if not shown.isprintable():
        shown = "".join(
            f"⟨U+{ord(letter):04X}⟩"
            if unicodedata.category(letter) in _HIDDEN and letter not in "\n\t"
            else letter
            for letter in shown
        )
    hidden = len(text) - len(text[:most])
    return f"{shown}… [{hidden:,} characters more]" if hidden else shown


class VisibleOutput(io.TextIOBase):
    """A stream that writes to another one what `escape_invisible` makes of the text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, and return its length."""
        self._stream.write(escape_invisible(text, None))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def excerpt(value: Any, most: int = 80) -> str:
    """A value from a file as an error shows it: on one line, visible, and cut.

    Examples
    --------
    >>> excerpt("premium"), excerpt([0] * 1000, 10)
    ("'premium'", '[0, 0, 0, … [2,990 characters more]')
    """
    try:
        return escape_invisible(repr(value), most)
    except ValueError:  # an int of thousands of digits
        return "a number of too many digits"


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints literally.

    Examples
    --------
    >>> print(escape_latex(r"50 % of $\\LaTeX$"))
    50 \% of \$\textbackslash{}\textbackslash{}LaTeX\$
    """
    return "".join(_LATEX.get(letter, letter) for letter in escape_invisible(text, None))


def guard_formula(text: str) -> str:
    """A text for a CSV cell, after an apostrophe where a spreadsheet would take it for a formula.

    Examples
    --------
    >>> guard_formula("=1+1"), guard_formula("1+1")
    ("'=1+1", '1+1')
    """
    return "'" + text if text.startswith(tuple("=+-@\t\r\n")) else text
