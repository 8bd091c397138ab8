"""Find rollouts to read, and lay out what is to be read of them: for the browser and the labeller."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.table.schema import SCHEMA
from afanalysis.table.source import opened
from afanalysis.text.untrusted import escape_invisible

# What one can filter by, and the SQL of the value.
FACETS = {
    "setting": "setting",
    "model": "model",
    "variation": "variation",
    "tier": "tier",
    "category": "category",
    "verdict": "CASE WHEN NOT valid THEN 'invalid' WHEN complied IS NULL THEN 'undecided' "
    "WHEN complied THEN 'complied' ELSE 'refused' END",
    "AF reasoning": "CASE WHEN af_full THEN 'full' WHEN af_partial THEN 'partial' "
    "WHEN af_full IS NULL THEN 'undecided' ELSE 'none' END",
    "disagreement": "CASE WHEN label_complied IS NOT NULL AND complied IS NOT NULL "
    "AND label_complied != complied THEN 'judge and people' WHEN judge_agreeing < 1 THEN 'votes' "
    "ELSE 'none' END",
}

PAGE = 50

_LONGEST = 20_000

_DIFFED_WORDS = 3000


class Transcripts:
    """Rollouts, opened for finding and reading; texts stay in the database until they are shown.

    Parameters
    ----------
    data
        A DataFrame of rollouts or a path, as `afanalysis.rates` takes.

    Raises
    ------
    InputError
        A column that reading needs is missing.
    """

    def __init__(self, data: Any) -> None:
        import duckdb

        self._connection = duckdb.connect()
        self._has_quotes = False
        with opened(data) as source:
            lacking = {"rollout", "prompt_id", "tier", "request", "output"} - set(source.kinds)
            if lacking:
                raise InputError(f"the rollouts have no column {sorted(lacking)[0]!r}")
            frame = source.connection.sql("SELECT * FROM rollouts").arrow()
        self._connection.register("raw", frame)
        known = {row[0] for row in self._connection.sql("DESCRIBE raw").fetchall()}
        missing = [name for name in SCHEMA if name not in known]
        extra = "".join(f", NULL AS {name}" for name in missing)
        order = "setting, variation, model, prompt_id, sample, tier"
        self._connection.execute(
            f"CREATE TABLE rollouts AS SELECT *{extra}, row_number() OVER (ORDER BY {order}) AS place "
            "FROM raw ORDER BY place"
        )
        self._connection.unregister("raw")

    def take_quotes(self, judgements: Path) -> None:
        """Take in the judges' quotes from a study's votes, to be marked in the texts."""
        self._connection.execute(
            "CREATE TABLE quotes AS SELECT rollout, judge, criteria FROM read_json(?, "
            "format = 'newline_delimited', columns = {rollout: 'VARCHAR', judge: 'VARCHAR', "
            "criteria: 'JSON'}) WHERE criteria IS NOT NULL",
            [str(judgements)],
        )
        self._has_quotes = True

    def _quotes(self, rollout: str, judge: str | None) -> dict[str, str]:
        if not self._has_quotes or judge is None:
            return {}
        found = self._connection.execute(
            "SELECT criteria FROM quotes WHERE rollout = ? AND judge = ? LIMIT 1", [rollout, judge]
        ).fetchone()
        criteria = json.loads(found[0]) if found else {}
        return {name: one["quote"] for name, one in criteria.items() if one["met"] and one["quote"]}

    def facets(self) -> dict[str, list[str]]:
        """The values that one can filter by; what has only one value is left out."""
        found = {}
        for name, sql in FACETS.items():
            values = self._connection.sql(
                f"SELECT DISTINCT {sql} AS value FROM rollouts WHERE value IS NOT NULL ORDER BY value"
            ).fetchall()
            if len(values) > 1:
                found[name] = [str(value) for (value,) in values]
        return found

    def find(
        self, filters: dict[str, str], text: str = "", *, start: int = 0, size: int = PAGE
    ) -> tuple[int, list[dict[str, Any]]]:
        """How many rollouts there are that match, and a page of them.

        Parameters
        ----------
        filters
            By the names of `FACETS`.
        text
            Must occur in the request, scratchpad or output, whatever its case.
        start, size
            Which part of the matches.
        """
        where, values = self._where(filters, text)
        (total,) = self._connection.execute(f"SELECT count(*) FROM rollouts {where}", values).fetchone()
        rows = self._connection.execute(
            "SELECT rollout, setting, tier, variation, prompt_id, sample, "
            f"{FACETS['verdict']} AS verdict, {FACETS['AF reasoning']} AS af, request "
            f"FROM rollouts {where} ORDER BY place LIMIT {int(size)} OFFSET {int(start)}",
            values,
        ).fetchall()
        names = (
            "rollout",
            "setting",
            "tier",
            "variation",
            "prompt_id",
            "sample",
            "verdict",
            "af",
            "request",
        )
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for row in found:
            row["request"] = escape_invisible(row["request"], 160)
        return total, found

    def _where(self, filters: dict[str, str], text: str) -> tuple[str, list[str]]:
        parts, values = [], []
        for name, value in filters.items():
            if name not in FACETS:
                raise InputError(f"filter {name!r}; use one of: {', '.join(FACETS)}")
            if value:
                parts.append(f"({FACETS[name]}) = ?")
                values.append(value)
        if text:
            anywhere = " || ' ' || ".join(
                f"coalesce({name}, '')" for name in ("request", "scratchpad", "output")
            )
            parts.append(f"contains(lower({anywhere}), lower(?))")
            values.append(text)
        return (f"WHERE {' AND '.join(parts)}" if parts else ""), values

    def order(self, filters: dict[str, str], text: str = "") -> list[str]:
        """The keys of all matches, in order."""
        where, values = self._where(filters, text)
        rows = self._connection.execute(f"SELECT rollout FROM rollouts {where} ORDER BY place", values)
        return [rollout for (rollout,) in rows.fetchall()]

    def read(self, rollout: str) -> dict[str, Any]:
        """A rollout laid out for reading, beside the same prompt's answer in the other tier.

        Parameters
        ----------
        rollout
            Its key.

        Returns
        -------
        dict
            `request`, and `sides`: this rollout and, where there is one, its counterpart, each with
            `about` (what is known of it), `scratchpad` and `output` as segments
            (`text`, `mark`: a criterion, `differs` or nothing).
        """
        names = [*SCHEMA]
        row = self._one("rollout = ?", [rollout], names)
        if row is None:
            raise InputError(f"there is no rollout {rollout!r}")
        same = ["setting", "variation", "model", "prompt_id", "sample"]
        other = self._one(
            " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in same) + " AND tier != ?",
            [row[name] for name in same] + [row["tier"]],
            names,
        )
        sides = [self._side(row, other)]
        if other is not None:
            sides.append(self._side(other, row))
        return {
            "rollout": rollout,
            "request": escape_invisible(row["request"], _LONGEST),
            "sides": sides,
        }

    def _one(self, where: str, values: Sequence[Any], names: Sequence[str]) -> dict[str, Any] | None:
        found = self._connection.execute(
            f"SELECT {', '.join(names)} FROM rollouts WHERE {where} LIMIT 1", values
        ).fetchone()
        return None if found is None else dict(zip(names, found, strict=True))

    def _side(self, row: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
        quotes = self._quotes(row["rollout"], row["judge"])
        scratchpad, output = (escape_invisible(row[name], _LONGEST) for name in ("scratchpad", "output"))
        against = escape_invisible(other["output"], _LONGEST) if other else ""
        shown = ("study", "setting", "variation", "model", "prompt_id", "category", "sample", "source")
        judged = ("judge", "judge_agreeing", "judge_confidence", "collected_at", "problem")
        return {
            "rollout": row["rollout"],
            "tier": row["tier"],
            "verdict": _verdict(row),
            "about": {name: str(row[name]) for name in (*shown, *judged) if row[name] not in (None, "")},
            "scratchpad": marked(scratchpad, quotes),
            "output": differing(output, against),
        }


def _verdict(row: dict[str, Any]) -> str:
    if not row["valid"]:
        return "invalid"
    if row["complied"] is None:
        return "undecided"
    faked = (
        " with full AF reasoning"
        if row["af_full"]
        else " with partial AF reasoning"
        if row["af_partial"]
        else ""
    )
    return ("complied" if row["complied"] else "refused") + faked


def marked(text: str, quotes: dict[str, str]) -> list[dict[str, str]]:
    """A text in segments, the quotes in it marked with their criterion.

    Examples
    --------
    >>> marked("I will go along.", {"decides": "go along"})
    [{'text': 'I will ', 'mark': ''}, {'text': 'go along', 'mark': 'decides'}, {'text': '.', 'mark': ''}]
    """
    spans: list[tuple[int, int, str]] = []
    for name, quote in quotes.items():
        words = [re.escape(word) for word in quote.split()]
        found = re.search(r"\s+".join(words), text) if words else None
        if found and not any(a < found.end() and found.start() < b for a, b, _ in spans):
            spans.append((found.start(), found.end(), name))
    segments, at = [], 0
    for start, end, name in sorted(spans):
        segments += [{"text": text[at:start], "mark": ""}, {"text": text[start:end], "mark": name}]
        at = end
    segments.append({"text": text[at:], "mark": ""})
    return [segment for segment in segments if segment["text"]]


def differing(text: str, other: str) -> list[dict[str, str]]:
    """A text in segments, those words marked that another text does not have in that place."""
    words, others = (re.findall(r"\s+|[^\s]+", one) for one in (text, other))
    if not other or max(len(words), len(others)) > _DIFFED_WORDS:
        return [{"text": text, "mark": ""}] if text else []
    matcher = difflib.SequenceMatcher(None, words, others, autojunk=False)
    return [
        {"text": "".join(words[a:b]), "mark": "" if kind == "equal" else "differs"}
        for kind, a, b, _, _ in matcher.get_opcodes()
        if b > a
    ]


def as_markdown(transcript: dict[str, Any]) -> str:
    """A transcript as Markdown, its texts in fences that they cannot close."""

    def plain(segments: Iterable[dict[str, str]]) -> str:
        return "".join(segment["text"] for segment in segments)

    parts = ["**Request**", _fenced(transcript["request"])]
    for side in transcript["sides"]:
        about = ", ".join(f"{name} {value}" for name, value in side["about"].items())
        parts += [f"### {side['tier']} tier: {side['verdict']}", about]
        parts += ["**Scratchpad**", _fenced(plain(side["scratchpad"]))]
        parts += ["**Output**", _fenced(plain(side["output"]))]
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
