"""Tables as Markdown and LaTeX, with everything in them escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
}


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints literally.

    Examples
    --------
    >>> print(escape_latex(r"50 % of $\\LaTeX$"))
    50 \% of \$\textbackslash{}\textbackslash{}LaTeX\$
    """
    return "".join(_LATEX.get(letter, letter) for letter in text)


def to_latex(table: pd.DataFrame) -> str:
    """A table as a LaTeX `tabular` with booktabs rules; columns of numbers are flush right."""
    numeric = [all(re.match(r"[\[<−\d]", str(cell)) for cell in table[name]) for name in table]
    places = "".join("r" if right else "l" for right in numeric)
    lines = [rf"\begin{{tabular}}{{{places}}}", r"\toprule"]
    lines.append(" & ".join(escape_latex(str(name)) for name in table) + r" \\")
    lines.append(r"\midrule")
    for row in table.itertuples(index=False):
        lines.append(" & ".join(escape_latex(str(cell)) for cell in row) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""

    def line(cells: Iterable[object]) -> str:
        safe = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(safe) + " |"

    rule = "|" + "---|" * table.shape[1]
    return "\n".join([line(table.columns), rule, *map(line, table.itertuples(index=False)), ""])
