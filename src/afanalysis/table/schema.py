"""The tidy table, one row per rollout: its columns, their types and their meaning.

`columns.csv` is the list. A column added there is read from journals and logs, written to tables, and
described in exports and in `docs/data.md` (run `make docs`).
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_NULLABLE = {"text": "string", "number": "Float64", "whole": "Int64", "yes/no": "boolean"}
_PLAIN = {"whole": "int64", "yes/no": "bool"}
_SQL = {"text": "VARCHAR", "number": "DOUBLE", "whole": "BIGINT", "yes/no": "BOOLEAN"}


@dataclass(frozen=True)
class Column:
    """A column of the tidy table.

    Attributes
    ----------
    name
        Its name.
    kind
        `text`, `number`, `whole` or `yes/no`.
    required
        Whether every row has a value.
    made
        Whether it is made from verdicts and labels; the others are in a rollout's record as they are.
    meaning
        What a value means.
    aliases
        Its names in other tools' logs, separated by spaces.
    """

    name: str
    kind: str
    required: bool
    made: bool
    meaning: str
    aliases: str

    @property
    def dtype(self) -> str:
        """The column's type in pandas."""
        return (self.required and _PLAIN.get(self.kind)) or _NULLABLE[self.kind]

    @property
    def sql_type(self) -> str:
        """The column's type in DuckDB."""
        return _SQL[self.kind]


with Path(__file__).with_name("columns.csv").open(encoding="utf-8", newline="") as _file:
    _ROWS: list[dict[str, Any]] = list(csv.DictReader(_file))
_YES_NO = ("required", "made")

COLUMNS = tuple(Column(**row | {name: row[name] == "yes" for name in _YES_NO}) for row in _ROWS)
SCHEMA = {column.name: column.dtype for column in COLUMNS}
CONDITIONS = ("model", "setting", "variation", "tier")
# Names that tables of counts or of results have for themselves.
TAKEN = {
    *("n", "s", "n_all", "n_missing", "n_invalid", "n_blocked", "n_repeated", "n_without_prompt"),
    *("asked", "in_form", "judged", "left_out", "reasons", "scratchpad_from"),
    *("outcome", "missing", "share", "first", "last", "weight", "label", "verdict", "rate", "gap"),
    *("free", "paid", "both", "low", "high", "se", "level", "warning", "prompts", "method", "weighting"),
    *("lowest", "highest", "correlation", "threshold", "p_value", "p_holm", "p_sign_flip"),
}
TEXTS = ("request", "scratchpad", "output", "original")
# How answers that a safety classifier stopped count.
BlockedCount = Literal["missing", "refused"]
ROW_ORDER = ("setting", "variation", "model", "tier", "prompt_id", "sample")
