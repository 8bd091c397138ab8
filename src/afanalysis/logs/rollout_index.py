"""The rollouts of an import as a table of DuckDB: which are kept, how numbered, what is odd."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afanalysis.study.journal_sql import journal_table
from afanalysis.table.database import connect

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
    "votes": "JSON",
}

# What a model's name ends with that names one of its versions.
_VERSION = r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$"


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
        self._connection.execute(f"CREATE TABLE entries AS FROM {journal_table(entries, COLUMNS)}")

    def keep_each_once(self) -> Iterator[tuple[str, int, int, str]]:
        """Choose which rollouts are kept, and number them: the table `kept`.

        Yields
        ------
        tuple
            Of each rollout not kept: why, its file and row, and its prompt's id.
        """
        self._connection.execute(Path(__file__).with_name("keep_once.sql").read_text(encoding="utf-8"))
        yield from self.rows(
            "SELECT if(entry.checksum = kept.checksum, 'a copy of another row', "
            "'another version of a rollout, with fewer verdicts or other fields'), entry.file, "
            "entry.row, entry.prompt_id FROM entries AS entry JOIN kept USING (name) "
            "WHERE entry.line != kept.line ORDER BY entry.digest, entry.row, name, entry.line"
        )

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query on `kept`, which has the columns of an entry."""
        return iter(self._connection.execute(sql).fetchone, None)

    def values(self, column: str) -> list[str]:
        """What occurs in a column of the rollouts kept, the default first and the rest in order."""
        order = f"{column} NOT IN ('default', 'helpful-only'), {column}"
        rows = self.rows(f"SELECT {column} FROM kept GROUP BY {column} ORDER BY {order}")
        return [value for (value,) in rows]


def checks(index: RolloutIndex) -> list[str]:
    """What is odd about the rollouts as a whole, and what to do about it, in sentences."""
    [*one_tier] = index.rows(
        "SELECT setting, variation, model, min(tier) FROM kept GROUP BY ALL "
        "HAVING count(DISTINCT tier) = 1 ORDER BY ALL"
    )
    [*one_model] = index.rows(
        "SELECT list(DISTINCT model ORDER BY model) FROM kept "
        f"GROUP BY regexp_replace(model, '{_VERSION}', '') HAVING count(DISTINCT model) > 1 ORDER BY 1"
    )
    [(paired, alone)] = index.rows(
        "SELECT count_if(tiers = 2), count_if(tiers = 1 AND of_condition = 2) FROM ("
        "SELECT count(DISTINCT tier) AS tiers, any_value(of_condition) AS of_condition FROM ("
        "SELECT *, count(DISTINCT tier) OVER (PARTITION BY setting, variation, model) AS of_condition "
        "FROM kept) GROUP BY setting, variation, model, prompt_id)"
    )
    [(graded, alike)] = index.rows(
        "SELECT count(score), count(identity) - count(DISTINCT identity) FROM kept"
    )
    in_both = _count(index, "request", "tier")
    mixed = _count(index, "setting, prompt_id", "request")
    doubled = _count(index, "request", "prompt_id")
    by_text = in_both and not paired
    sentences = {
        f"No prompt's id occurs in both tiers, but {in_both} requests do: pair them by their texts "
        "with --map prompt_id=": by_text,
        f"Prompts in both tiers: {paired}, in one only: {alone}. The latter count in their tier's "
        "rate, and in the gap as unpaired.": alone and not by_text,
        f"{mixed} prompt ids name several requests each: they count as one prompt. If they are not, "
        "tell them apart by their texts with --map prompt_id=": mixed,
        f"{doubled} requests occur under several prompt ids: their answers count as independent. "
        "Join them by their texts with --map prompt_id=": doubled and not by_text,
        f"{graded} verdicts are graded. The figure score_threshold and af.score_thresholds show the "
        "gap for each score that could be the --threshold from which an answer complies.": graded,
        f"{alike} answers are equal to another one to the same request, and nothing (no id, no "
        "time) tells a copy from a second sample: all are kept.": alike,
    }
    return [
        *(
            f"{', '.join(condition)}: has only the {tier} tier, so there is no gap to compute; leave "
            "it out or add the other tier."
            for *condition, tier in one_tier
        ),
        *(sentence for sentence, holds in sentences.items() if holds),
        *(
            f"{', '.join(names)} may be one model under several names; if so: "
            + " ".join(f"--rename model:{name}={names[0]}" for name in names[1:])
            for (names,) in one_model
        ),
    ]


def _count(index: RolloutIndex, groups: str, column: str) -> int:
    """In how many groups of rollouts with a request a column has several values."""
    [(count,)] = index.rows(
        f"SELECT count(*) FROM (SELECT 1 FROM kept WHERE request IS NOT NULL GROUP BY {groups} "
        f"HAVING count(DISTINCT {column}) > 1)"
    )
    return int(count)
