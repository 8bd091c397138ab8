"""Write the parts of the documentation that are made from code: `python tools/write_docs.py`.

The table of columns in docs/data.md, between its marks, is made from the package's list of columns.
"""

from __future__ import annotations

import re
from pathlib import Path

from afanalysis.table.schema import COLUMNS

DATA_PAGE = Path(__file__).parents[1] / "docs" / "data.md"

_TYPES = {"text": "text", "number": "number", "whole": "whole number", "yes/no": "true/false"}


def column_table() -> str:
    """The tidy table's columns as a Markdown table."""
    rows = [f"| `{column.name}` | {_TYPES[column.kind]} | {column.meaning} |" for column in COLUMNS]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])


def with_columns(page: str) -> str:
    """The page with a current table of columns between its marks."""
    begin, end = "<!-- columns: begin -->", "<!-- columns: end -->"
    table = f"{begin}\n{column_table()}\n{end}"
    page, count = re.subn(f"{begin}.*{end}", lambda _: table, page, flags=re.S)
    if not count:
        raise SystemExit(f"{DATA_PAGE}: lacks the marks {begin} and {end}")
    return page


if __name__ == "__main__":
    DATA_PAGE.write_text(with_columns(DATA_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
