"""Find rollouts and lay them out for reading: for the browser and the labeller."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.journal import journal_table, query_journals
from afanalysis.table.counting import check_column
from afanalysis.table.database import connect
from afanalysis.table.schema import SCHEMA
from afanalysis.table.source import opened
from afanalysis.text.untrusted import escape_invisible

# What rollouts can be filtered by, and the column of transcripts.sql.
FACETS = {
    {"af": "AF reasoning"}.get(name, name): name
    for name in ("setting", "model", "variation", "tier", "category", "verdict", "af", "disagreement")
}

PAGE = 50

_PAIRED_BY = ("setting", "variation", "model", "prompt_id", "sample")

_ABOUT = (
    *("study", "setting", "variation", "model", "prompt_id", "category", "sample", "source"),
    *("judge", "judge_agreeing", "judge_confidence", "collected_at", "problem"),
)

_MOST_CHARACTERS = 20_000

_MOST_WORDS_COMPARED = 3000

_CRITERIA = {"rollout": "VARCHAR", "judge": "VARCHAR", "criteria": "JSON"}

Segments = list[dict[str, str]]


def _criteria(judgements: Path) -> dict[tuple[str, str], str]:
    """What a judge said of a rollout, criterion by criterion, as JSON; of several votes the first."""
    votes = f"{journal_table(judgements, _CRITERIA)} WHERE criteria IS NOT NULL"
    rows = connect(judgements).sql(f"SELECT rollout, judge, criteria FROM {votes}").fetchall()
    return {(rollout, judge): criteria for rollout, judge, criteria in reversed(rows)}


class Transcripts:
    """Rollouts, opened for finding and reading; texts stay in the database until they are shown.

    Parameters
    ----------
    data
        A DataFrame of rollouts or a path, as for `afanalysis.rates`.
    judgements
        The file of a study's verdicts, whose quotes are marked in the texts.

    Raises
    ------
    InputError
        A column that reading needs is missing.
    """

    def __init__(self, data: Any, judgements: Path | None = None) -> None:
        self._connection = connect()
        with opened(data) as source:
            for name in ("rollout", "prompt_id", "tier", "request", "output"):
                check_column(source, name)
            source.refuse_bomb()
            missing = "".join(f", NULL AS {name}" for name in SCHEMA if name not in source.kinds)
            rows = source.connection.sql(f"SELECT *{missing} FROM rollouts")
            self._connection.register("raw", rows.arrow())
        sql = Path(__file__).with_name("transcripts.sql").read_text(encoding="utf-8")
        self._connection.execute(sql)
        self._connection.unregister("raw")
        self._criteria = {}
        if judgements is not None and judgements.exists():
            self._criteria = query_journals(_criteria, judgements)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        result = self._connection.sql(sql, params=values)
        rows: list[dict[str, Any]] = result.to_arrow_table().to_pylist()
        return rows

    def facets(self) -> dict[str, list[str]]:
        """The values of each facet; facets with a single value are left out."""
        facets = {}
        for name, column in FACETS.items():
            values = f"SELECT DISTINCT {column}::VARCHAR AS value FROM rollouts WHERE value IS NOT NULL"
            rows = self._rows(f"{values} ORDER BY value")
            if len(rows) > 1:
                facets[name] = [row["value"] for row in rows]
        return facets

    def find(
        self, filters: dict[str, str], text: str = "", *, start: int = 0, size: int = PAGE
    ) -> tuple[int, list[dict[str, Any]]]:
        """The number of matching rollouts, and a page of them.

        Parameters
        ----------
        filters
            Values by the names of `FACETS`.
        text
            Must occur in the request, scratchpad or output; case does not matter.
        start, size
            The place of the page among the matches, and its length.
        """
        conditions, values = ["true"], []
        for name, value in filters.items():
            if name not in FACETS:
                raise InputError(f"filter {name!r}; use one of: {', '.join(FACETS)}")
            if value:
                conditions.append(f"{FACETS[name]} = ?")
                values.append(value)
        if text:
            texts = "concat_ws(' ', request, scratchpad, output)"
            conditions.append(f"contains(lower({texts}), lower(?))")
            values.append(text)
        matches = f"FROM rollouts WHERE {' AND '.join(conditions)}"
        total = self._rows(f"SELECT count(*) AS total {matches}", values)[0]["total"]
        rows = self._rows(
            f"SELECT rollout, setting, model, tier, variation, prompt_id, sample, verdict, af, request "
            f"{matches} ORDER BY place LIMIT {int(size)} OFFSET {int(start)}",
            values,
        )
        return total, [row | {"request": escape_invisible(row["request"], 160)} for row in rows]

    def keys(self) -> list[str]:
        """The keys of all rollouts, in order."""
        return [row["rollout"] for row in self._rows("SELECT rollout FROM rollouts ORDER BY place")]

    def read(self, rollout: str) -> dict[str, Any]:
        """A rollout laid out for reading, beside the same prompt's answers in other tiers.

        Parameters
        ----------
        rollout
            Its key.

        Returns
        -------
        dict
            `rollout`, `request`, and `sides`: this rollout and its counterpart in each other tier, each
            with `tier`, `verdict`, `about` (what is known of it), and `scratchpad` and `output` as
            segments (`text`, and `mark`: a criterion, `differs` or empty).
        """
        query = "SELECT * FROM rollouts WHERE"
        rows = self._rows(f"{query} rollout = ? LIMIT 1", [rollout])
        if not rows:
            raise InputError(f"no rollout has the key {rollout!r}")
        same = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in _PAIRED_BY)
        rows += self._rows(
            f"{query} {same} AND tier != ? QUALIFY row_number() OVER (PARTITION BY tier ORDER BY place) "
            "= 1 ORDER BY place",
            [rows[0][name] for name in (*_PAIRED_BY, "tier")],
        )
        outputs = [escape_invisible(row["output"], _MOST_CHARACTERS) for row in rows]
        counterparts = [*outputs[1:2], *outputs[:1] * (len(rows) - 1)] or [""]
        texts = zip(rows, outputs, counterparts, strict=True)
        sides = [self._side(row) | {"output": differing(*pair)} for row, *pair in texts]
        request = escape_invisible(rows[0]["request"], _MOST_CHARACTERS)
        return {"rollout": rollout, "request": request, "sides": sides}

    def _side(self, row: dict[str, Any]) -> dict[str, Any]:
        scratchpad = escape_invisible(row["scratchpad"], _MOST_CHARACTERS)
        criteria = json.loads(self._criteria.get((row["rollout"], row["judge"]), "{}"))
        quotes = {
            name: about["quote"] for name, about in criteria.items() if about["met"] and about["quote"]
        }
        reasoned = row["verdict"] in ("complied", "refused") and row["af"] in ("full", "partial")
        return {
            "rollout": row["rollout"],
            "tier": row["tier"],
            "verdict": row["verdict"] + (f" with {row['af']} AF reasoning" if reasoned else ""),
            "about": {name: str(row[name]) for name in _ABOUT if row[name] not in (None, "")},
            "scratchpad": marked(scratchpad, quotes),
        }


def marked(text: str, quotes: dict[str, str]) -> Segments:
    """A text in segments, the quotes in it marked with their criterion.

    Examples
    --------
    >>> marked("I will go along.", {"decides": "go along"})
    [{'text': 'I will ', 'mark': ''}, {'text': 'go along', 'mark': 'decides'}, {'text': '.', 'mark': ''}]
    """
    spans: list[tuple[int, int, str]] = []
    for name, quote in quotes.items():
        words = [re.escape(word) for word in quote.split()]
        match = re.search(r"\s+".join(words), text) if words else None
        if match and not any(start < match.end() and match.start() < end for start, end, _ in spans):
            spans.append((*match.span(), name))
    segments, position = [], 0
    for start, end, name in sorted(spans):
        segments += [(text[position:start], ""), (text[start:end], name)]
        position = end
    segments.append((text[position:], ""))
    return [{"text": part, "mark": mark} for part, mark in segments if part]


def differing(text: str, counterpart: str) -> Segments:
    """A text in segments, the words marked that its counterpart does not have in that place.

    Examples
    --------
    >>> differing("I will not", "I will")
    [{'text': 'I will', 'mark': ''}, {'text': ' not', 'mark': 'differs'}]
    """
    words, counterpart_words = (re.findall(r"\s+|\S+", side) for side in (text, counterpart))
    if not counterpart or max(len(words), len(counterpart_words)) > _MOST_WORDS_COMPARED:
        return [{"text": text, "mark": ""}] if text else []
    matcher = difflib.SequenceMatcher(None, words, counterpart_words, autojunk=False)
    return [
        {"text": "".join(words[start:end]), "mark": "" if kind == "equal" else "differs"}
        for kind, start, end, _, _ in matcher.get_opcodes()
        if end > start
    ]


def plain(segments: Iterable[dict[str, str]]) -> str:
    """The text of some segments."""
    return "".join(segment["text"] for segment in segments)


def as_markdown(transcript: dict[str, Any]) -> str:
    """A transcript as Markdown, its texts in fences that they cannot close."""
    parts = ["**Request**", _fenced(transcript["request"])]
    for side in transcript["sides"]:
        about = ", ".join(f"{name} {value}" for name, value in side["about"].items())
        parts += [f"### {side['tier']} tier: {side['verdict']}", about]
        parts += ["**Scratchpad**", _fenced(plain(side["scratchpad"]))]
        parts += ["**Output**", _fenced(plain(side["output"]))]
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
