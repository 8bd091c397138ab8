"""What has to be known of all rollouts to keep each once and to number them, as a table of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afanalysis.study.journal_sql import connect, journal_table

COPY = "a copy of another row"

OTHER_VERSION = "another version of a rollout, with fewer verdicts or other fields"

_AT_ONCE = 10_000


# What an entry has as its record has it.
COPIED = {
    **dict.fromkeys(("setting", "variation", "model", "tier", "prompt_id", "source"), "VARCHAR"),
    "score": "DOUBLE",
    "valid": "BOOLEAN",
}

# The columns of an entry, and their types in DuckDB.
COLUMNS = COPIED | {
    "line": "BIGINT",  # the number of its record in the file of records
    "name": "VARCHAR",  # what its key is made from, in 32 hex digits
    "identity": "VARCHAR",  # the same without its file, of one that its log does not name
    "checksum": "BIGINT",  # of its record and votes, to tell copies from other versions
    "verdicts": "BIGINT",  # how many its votes hold
    "judged": "BOOLEAN",  # whether one of them is on compliance
    "digest": "VARCHAR",  # of its file
    "file": "BIGINT",  # its number
    "row": "BIGINT",
    "request": "VARCHAR",  # a hash; missing where there is no request
    "sample": "BIGINT",  # as the log has it
    "votes": "BIGINT",  # their number among all combinations of votes
}

# Of two versions of a rollout the one with more verdicts is kept, whatever the order of the files.
_PREFERENCE = "verdicts DESC, checksum, digest, row, line"

# Each rollout once, numbered among the answers to its prompt in its condition.
_KEEP = f"""
    CREATE TABLE kept AS
    WITH once AS (
        FROM entries QUALIFY row_number() OVER (PARTITION BY name ORDER BY {_PREFERENCE}) = 1
    )
    SELECT * REPLACE (row_number() OVER (
        PARTITION BY setting, variation, model, tier, prompt_id ORDER BY coalesce(sample, -1), name
    ) - 1 AS sample)
    FROM once
"""


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
        self._connection = connect()
        self._connection.execute(f"CREATE TABLE entries AS FROM {journal_table(entries, COLUMNS)}")

    def keep_each_once(self) -> Iterator[tuple[str, int, int, str]]:
        """Choose which rollouts are kept, and number them: the table `kept`.

        Yields
        ------
        tuple
            Of each rollout not kept: why, its file and row, and its prompt's id.
        """
        self._connection.execute(_KEEP)
        yield from self.rows(
            f"SELECT if(entry.checksum = kept.checksum, '{COPY}', '{OTHER_VERSION}'), entry.file, "
            "entry.row, entry.prompt_id FROM entries AS entry JOIN kept USING (name) "
            "WHERE entry.line != kept.line "
            "ORDER BY name, entry.verdicts DESC, entry.checksum, entry.digest, entry.row, entry.line"
        )

    def rows(self, sql: str, parameters: list[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on `kept`, which has the columns of an entry."""
        result = self._connection.execute(sql, parameters)
        while chunk := result.fetchmany(_AT_ONCE):
            yield from chunk

    def values(self, column: str) -> list[str]:
        """What occurs in a column of the rollouts kept, the default first and the rest in order."""
        order = f"{column} NOT IN ('default', 'helpful-only'), {column}"
        rows = self.rows(f"SELECT {column} FROM kept GROUP BY {column} ORDER BY {order}")
        return [value for (value,) in rows]
