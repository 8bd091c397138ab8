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

    def values(self, column: str) -> list[str]:
        """What occurs in a column of the rollouts kept, the default first and the rest in order."""
        order = f"{column} NOT IN ('default', 'helpful-only'), {column}"
        rows = self.rows(f"SELECT {column} FROM kept GROUP BY {column} ORDER BY {order}")
        return [value for (value,) in rows]


def checks(index: RolloutIndex) -> list[str]:
    """What is odd about the rollouts as a whole, and what to do about it, in sentences."""
    [(one_tier, one_model, paired, alone, in_both, doubled, mixed, graded, alike)] = index.rows(
        _sql("oddities")
    )
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
            for *condition, tier in one_tier or ()
        ),
        *(sentence for sentence, holds in sentences.items() if holds),
        *(
            f"{', '.join(names)} may be one model under several names; if so: "
            + " ".join(f"--rename model:{name}={names[0]}" for name in names[1:])
            for names in one_model or ()
        ),
    ]


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
