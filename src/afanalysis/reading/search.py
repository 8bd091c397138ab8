"""Find rollouts and lay them out for reading: for the browser and the labeller."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.files import as_written, read_json
from afanalysis.study.folders import JUDGEMENTS, MANIFEST
from afanalysis.study.journal import journal_table, query_journals
from afanalysis.study.prompts import OWN_PROMPT
from afanalysis.table.counting import check_column
from afanalysis.table.database import connect, quote_names
from afanalysis.table.schema import SCHEMA
from afanalysis.table.source import opened
from afanalysis.text.pages import render
from afanalysis.text.untrusted import escape_invisible
from afanalysis.text.wording import in_order

# What rollouts can be filtered by, beside a study's own questions.
FACETS = ("setting", "model", "variation", "tier", "category", "verdict", "AF reasoning", "disagreement")

PAGE = 50

# What the answers that are laid beside each other have in common.
_PAIRED_BY = ("study", "setting", "variation", "model", "prompt_id", "sample", "source")

# What else is known of an answer, to be read and cited.
_ABOUT = (
    *("rollout", "stop_reason", "blocked", "problem", "scratchpad_from", "collected_at", "origin"),
    *("judge", "judge_agreeing", "judge_confidence", "judge_blocked", "judge_unquoted"),
)

_MOST_CHARACTERS = 20_000

_MOST_WORDS_COMPARED = 3000

_CRITERIA = {"rollout": "VARCHAR", "judge": "VARCHAR", "criteria": "JSON"}


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
    raw
        The study's raw folder: the quotes of its judges are marked in the texts, and its system prompts
        are named.

    Raises
    ------
    InputError
        A column that reading needs is missing.
    """

    def __init__(self, data: Any, raw: Path | None = None) -> None:
        self._connection = connect()
        with opened(data) as source:
            for name in ("rollout", "prompt_id", "tier", "request", "output"):
                check_column(source, name)
            source.refuse_bomb()
            missing = "".join(f", NULL AS {name}" for name in SCHEMA if name not in source.kinds)
            rows = source.connection.sql(f"SELECT *{missing} FROM rollouts")
            self._connection.register("raw", rows.arrow())
        self._connection.execute(Path(__file__).with_name("transcripts.sql").read_text(encoding="utf-8"))
        self._connection.unregister("raw")
        known, kinds = {*SCHEMA, *FACETS}, source.kinds.items()
        self._questions = [name for name, kind in kinds if kind == "BOOLEAN" and name not in known]
        self._facets = (*FACETS, *self._questions)
        for name in map(quote_names, self._questions):
            answers = f"CASE {name} WHEN true THEN 'yes' WHEN false THEN 'no' ELSE 'undecided' END"
            self._connection.execute(f"ALTER TABLE rollouts ALTER {name} TYPE VARCHAR USING {answers}")
        self._criteria, self._systems = {}, {}
        if raw is not None and (raw / JUDGEMENTS).exists():
            self._criteria = query_journals(_criteria, raw / JUDGEMENTS)
        if raw is not None:
            with as_written(raw / MANIFEST):
                self._systems = dict(read_json(raw / MANIFEST).get("current", {}).get("systems", {}))

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return list(self._connection.sql(sql, params=values).to_arrow_table().to_pylist())

    def facets(self) -> dict[str, list[str]]:
        """The values of each facet; facets with a single value are left out."""
        facets = {}
        for name in self._facets:
            values = f"SELECT DISTINCT {quote_names(name)}::VARCHAR AS value FROM rollouts"
            rows = self._rows(f"{values} WHERE value IS NOT NULL ORDER BY value")
            if len(rows) > 1:
                facets[name] = in_order(row["value"] for row in rows)
        return facets

    def find(
        self, filters: dict[str, str], text: str = "", *, start: int = 0, size: int = PAGE
    ) -> tuple[int, list[dict[str, Any]]]:
        """The number of matching rollouts, and a page of them.

        Parameters
        ----------
        filters
            Values by the names of `facets`.
        text
            Must occur in the request, scratchpad or output; case does not matter.
        start, size
            The place of the page among the matches, and its length.
        """
        if unknown := [name for name in filters if name not in self._facets]:
            raise InputError(f"filter {unknown[0]!r}; use one of: {', '.join(self._facets)}")
        chosen = {quote_names(name): value for name, value in filters.items() if value}
        conditions = "".join(f"{name} = ? AND " for name in chosen)
        has_text = "contains(lower(concat_ws(' ', request, scratchpad, output)), lower(?))"
        matches = f"FROM rollouts WHERE {conditions}(? = '' OR {has_text})"
        values = [*chosen.values(), text, text]
        total = self._rows(f"SELECT count(*) AS total {matches}", values)[0]["total"]
        rows = self._rows(
            "SELECT rollout, setting, model, tier, variation, prompt_id, sample, request, "
            f'found AS verdict, "AF reasoning" AS af {matches} ORDER BY rowid LIMIT ? OFFSET ?',
            [*values, size, start],
        )
        return total, [row | {"request": escape_invisible(row["request"], 160)} for row in rows]

    def keys(self) -> list[str]:
        """The keys of the answers in the requested form, by which they can be labelled."""
        rows = self._rows("SELECT rollout FROM rollouts WHERE verdict NOT IN ('invalid', 'blocked')")
        return [row["rollout"] for row in rows]

    def place(self, rollout: str) -> int:
        """The place of a rollout, by its key, among all in reading order; the first is 0."""
        rows = self._rows("SELECT rowid FROM rollouts WHERE rollout = ? ORDER BY ALL LIMIT 1", [rollout])
        if not rows:
            raise InputError(f"no rollout has the key {rollout!r}")
        return int(rows[0]["rowid"])

    def read(self, rollout: str) -> dict[str, Any]:
        """A rollout laid out for reading, beside the same prompt's answers in other tiers.

        Parameters
        ----------
        rollout
            Its key.

        Returns
        -------
        dict
            `rollout`, `request`, `about` (the condition, with the hash of its system prompt), and
            `sides`: this rollout and its counterpart in each other tier, each with `tier`, `verdict`,
            `questions` (the answers to the study's own), `about` (what else is known of it), `thought`
            (what the scratchpad is called), and `scratchpad` and `output` as segments (`text`, and
            `mark`: a criterion, `differs` or empty).
        """
        query = "SELECT * FROM rollouts WHERE"
        rows = self._rows(f"{query} rowid = ?", [self.place(rollout)])
        same = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in _PAIRED_BY)
        rows += self._rows(
            f"{query} {same} AND tier != ? QUALIFY row_number() OVER (PARTITION BY tier ORDER BY rowid) "
            "= 1 ORDER BY rowid",
            [rows[0][name] for name in (*_PAIRED_BY, "tier")],
        )
        outputs = [escape_invisible(row["output"], _MOST_CHARACTERS) for row in rows]
        counterparts = [*outputs[1:2], *outputs[:1] * (len(rows) - 1)] or [""]
        texts = zip(rows, outputs, counterparts, strict=True)
        sides = [self._side(row) | {"output": differing(*pair)} for row, *pair in texts]
        request = escape_invisible(rows[0]["request"], _MOST_CHARACTERS)
        place = f"{rows[0]['setting']} {rows[0]['variation']}".replace(f" {OWN_PROMPT}", " default")
        condition = rows[0] | {"system_prompt": self._systems.get(place)}
        about = _known(condition, (*_PAIRED_BY, "category", "system_prompt"))
        return {"rollout": rollout, "request": request, "about": about, "sides": sides}

    def _side(self, row: dict[str, Any]) -> dict[str, Any]:
        criteria = json.loads(self._criteria.get((row["rollout"], row["judge"]), "{}")).items()
        quotes = {name: about["quote"] for name, about in criteria if about["met"] and about["quote"]}
        scratchpad = marked(escape_invisible(row["scratchpad"], _MOST_CHARACTERS), quotes)
        known = {"questions": _known(row, self._questions), "about": _known(row, _ABOUT)}
        words = {"tier": row["tier"], "verdict": row["found"], "thought": row["thought"]}
        return words | known | {"scratchpad": scratchpad}


def _known(row: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Those of some fields that have a value, as text."""
    return {name: escape_invisible(str(row[name]), 300) for name in names if row[name] not in (None, "")}


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
        match = re.search(r"\s+".join(words), text) if words else None
        if match and not any(start < match.end() and match.start() < end for start, end, _ in spans):
            spans.append((*match.span(), name))
    segments, position = [], 0
    for start, end, name in sorted(spans):
        segments += [(text[position:start], ""), (text[start:end], name)]
        position = end
    segments.append((text[position:], ""))
    return [{"text": part, "mark": mark} for part, mark in segments if part]


def differing(text: str, counterpart: str) -> list[dict[str, str]]:
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


def as_markdown(transcript: dict[str, Any], data: str = "rollouts") -> str:
    """A transcript as Markdown to cite, its texts in fences that they cannot close.

    Parameters
    ----------
    transcript
        As `Transcripts.read` lays it out.
    data
        What `afanalysis.browse` takes to open it again, as Python.
    """
    return render("transcript.md.j2", **transcript, data=data, fenced=_fenced, plain=plain)


def _fenced(text: str) -> str:
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
