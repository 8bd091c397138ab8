"""The rollouts of an import as a table of DuckDB: which are kept, how numbered, what is odd."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afanalysis.study.journal_sql import LONGEST_RECORD
from afanalysis.table.database import connect, quote_path

# What an entry has as its record has it; `rollout_index.sql` has the other columns.
COPIED = ("setting", "variation", "model", "tier", "prompt_id", "source", "score", "valid")


class RolloutIndex:
    """The index of the rollouts of an import.

    A rollout that its log names (by an id, an epoch, a time) and that occurs again with all its texts is
    a copy. One that its log does not name is a copy only where the whole file is: two equal answers of
    one file may be two samples.

    Parameters
    ----------
    entries
        The file of entries, one JSON object per line.
    """

    def __init__(self, entries: Path) -> None:
        self._connection = connect(entries)
        sql = _sql("rollout_index").format(entries=quote_path(entries), longest=LONGEST_RECORD)
        self._connection.execute(sql)

    def others(self) -> Iterator[tuple[str, int, int, str]]:
        """Of each rollout not kept: why, its file and row, and its prompt's id."""
        return self.rows(
            "SELECT if(entry.checksum = kept.checksum, 'a copy of another row', "
            "'another version of a rollout, with fewer verdicts or other fields'), entry.file, "
            "entry.row, entry.prompt_id FROM entries AS entry JOIN kept USING (name) "
            "WHERE entry.line != kept.line ORDER BY entry.digest, entry.row, name, entry.line"
        )

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on `kept`, which has the columns of an entry."""
        return iter(self._connection.execute(sql).fetchone, None)

    def oddities(self) -> list[str]:
        """What is odd about the rollouts kept as a whole, and what to do about it, in sentences."""
        return [sentence for (sentence,) in self.rows(_sql("oddities"))]

    def values(self, column: str) -> list[str]:
        """What occurs in a column of the rollouts kept, the default first and the rest in order."""
        order = f"{column} NOT IN ('default', 'helpful-only'), {column}"
        rows = self.rows(f"SELECT {column} FROM kept GROUP BY {column} ORDER BY {order}")
        return [value for (value,) in rows]


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
