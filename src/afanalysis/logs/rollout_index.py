"""What has to be known of all rollouts to keep each once and to number them, as a table of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

COPY = "a copy of another row"

OTHER_VERSION = "another version of a rollout, with fewer verdicts or other fields"

_AT_ONCE = 10_000


class Entry(NamedTuple):
    """A rollout in the index; its texts are in the file of records.

    Attributes
    ----------
    line
        The number of its record in the file of records.
    name, identity
        What its key is made from, and a hash of what makes it this rollout, in 32 hex digits.
    named
        Whether its log names it, so that an equal one is a copy; its name is then its identity.
    checksum
        Of its record and votes, to tell copies from other versions.
    verdicts
        How many verdicts its votes hold.
    judged
        Whether one of them is on compliance.
    digest, file, row
        The SHA-256 and the number of its file, and its row there.
    setting, variation, model, tier, prompt_id, source, score, valid
        As in its record.
    request
        A hash of its request, None where it has none.
    sample
        Which sample the log says it is; None where it does not.
    votes
        The number of its votes in the list of all combinations that occur.
    """

    line: int
    name: str
    identity: str
    named: bool
    checksum: int
    verdicts: int
    judged: bool
    digest: str
    file: int
    row: int
    setting: str
    variation: str
    model: str
    tier: str
    prompt_id: str
    source: str
    request: str | None
    sample: int | None
    score: float | None
    valid: bool
    votes: int


_TABLE = """
    CREATE TABLE entries (
        line BIGINT, name VARCHAR, identity VARCHAR, named BOOLEAN, checksum BIGINT, verdicts BIGINT,
        judged BOOLEAN, digest VARCHAR, file BIGINT, row BIGINT, setting VARCHAR, variation VARCHAR,
        model VARCHAR, tier VARCHAR, prompt_id VARCHAR, source VARCHAR, request VARCHAR, sample BIGINT,
        score DOUBLE, valid BOOLEAN, votes BIGINT
    )
"""

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
    path
        The database file.
    """

    def __init__(self, path: Path) -> None:
        import duckdb

        self._connection = duckdb.connect(str(path), config={"memory_limit": "200MB"})
        self._connection.execute(_TABLE)
        self._waiting: list[Entry] = []
        self.size = 0

    def __enter__(self) -> RolloutIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, entry: Entry) -> None:
        """Take in a rollout."""
        self._waiting.append(entry)
        self.size += 1
        if len(self._waiting) == _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._waiting:
            columns = [list(column) for column in zip(*self._waiting, strict=True)]
            batch = pyarrow.table(columns, names=Entry._fields)
            self._connection.register("batch", batch)
            self._connection.execute("INSERT INTO entries FROM batch")
            self._connection.unregister("batch")
            self._waiting = []

    def keep_each_once(self) -> Iterator[tuple[str, int, int, str]]:
        """Choose which rollouts are kept, and number them: the table `kept`.

        Yields
        ------
        tuple
            Of each rollout not kept: why, its file and row, and its prompt's id.
        """
        self._flush()
        self._connection.execute(_KEEP)
        yield from self.rows(
            f"SELECT if(entry.checksum = kept.checksum, '{COPY}', '{OTHER_VERSION}'), entry.file, "
            "entry.row, entry.prompt_id FROM entries AS entry JOIN kept USING (name) "
            "WHERE entry.line != kept.line "
            "ORDER BY name, entry.verdicts DESC, entry.checksum, entry.digest, entry.row, entry.line"
        )

    def rows(self, sql: str, parameters: list[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on `kept`, which has the columns of `Entry`."""
        result = self._connection.execute(sql, parameters)
        while chunk := result.fetchmany(_AT_ONCE):
            yield from chunk

    def values(self, column: str) -> set[Any]:
        """What occurs in a column of the rollouts kept."""
        return {value for (value,) in self.rows(f"SELECT DISTINCT {column} FROM kept")}
