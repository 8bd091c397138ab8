"""Tables as Markdown and LaTeX, with everything in them escaped."""

import re
from collections.abc import Iterable

import pandas as pd

from afanalysis.text.untrusted import escape_invisible, escape_latex


def to_latex(table: pd.DataFrame) -> str:
    """A table as a LaTeX `tabular` with booktabs rules; columns of numbers are flush right."""
    numeric = [all(re.match(r"[\[<−\d]", str(cell)) for cell in table[name]) for name in table]
    places = "".join("r" if right else "l" for right in numeric)
    text = table.astype(str).map(escape_latex).rename(columns=escape_latex)
    return str(text.to_latex(index=False, escape=False, column_format=places))


def to_markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""

    def line(cells: Iterable[object]) -> str:
        shown = (escape_invisible(str(cell), None) for cell in cells)
        safe = (cell.replace("|", "\\|").replace("\n", " ") for cell in shown)
        return "| " + " | ".join(safe) + " |"

    rule = "|" + "---|" * table.shape[1]
    return "\n".join([line(table.columns), rule, *map(line, table.itertuples(index=False)), ""])
