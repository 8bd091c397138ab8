"""Tables as Markdown and LaTeX, with everything in them escaped."""

from collections.abc import Iterable

import pandas as pd

from afanalysis.text.untrusted import escape_invisible, escape_latex


def to_latex(table: pd.DataFrame, headings: Iterable[str], wrapped: int = 1) -> str:
    """A table as a LaTeX `tabular` with booktabs rules, a line before the first row of each heading.

    The first columns wrap, so that names of any length fit; the others are flush right.
    """
    columns = r"p{.16\linewidth}" * wrapped + "r" * (table.shape[1] - wrapped)
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule"]
    lines.append(" & ".join(map(escape_latex, table.columns)) + r" \\")
    for heading, rows in table.astype(str).groupby(pd.Index(headings), sort=False):
        over = (
            rf"\multicolumn{{{table.shape[1]}}}{{@{{}}p{{\linewidth}}@{{}}}}{{{escape_latex(heading)}}}"
        )
        lines += [r"\midrule", rf"{over} \\"]
        for row in rows.itertuples(index=False):
            cells = [escape_latex(cell).replace(r"\_", r"\_\allowbreak{}") for cell in row]
            cells[:wrapped] = [rf"\raggedright {cell}" for cell in cells[:wrapped]]
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""

    def line(cells: Iterable[object]) -> str:
        shown = (escape_invisible(str(cell), None) for cell in cells)
        safe = (cell.replace("|", "\\|").replace("\n", " ") for cell in shown)
        return "| " + " | ".join(safe) + " |"

    rule = "|" + "---|" * table.shape[1]
    return "\n".join([line(table.columns), rule, *map(line, table.itertuples(index=False)), ""])
