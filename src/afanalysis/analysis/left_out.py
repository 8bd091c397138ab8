"""How many answers were asked, and how many of them count in rates."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import groups, known_columns, left_out_warning
from afanalysis.table.counting import blocked_sql, check_column
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import Source, opened
from afanalysis.text.wording import in_words, percent

# Why the API ended an answer before its end, in words.
_STOPS = {
    "max_tokens": "cut off at max_tokens",
    "length": "cut off at max_tokens",
    "model_context_window_exceeded": "cut off at the context window",
    "pause_turn": "paused by the API",
}

# What readers see, by title.
_SHOWN = {name: [name] for name in ("setting", "variation", "model", "tier", "asked")} | {
    "in the requested form": ["in_form"],
    "judged": ["judged"],
    "blocked": ["blocked"],
    "left out": ["left_out"],
    "why": ["reasons"],
}


def answer_counts(data: Any, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """How many answers each condition and tier has, and how many of them count in rates, and why not.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `complied`.
    by
        Condition columns; by default those of model, setting, variation and tier that the rollouts have.

    Returns
    -------
    DataFrame
        `by`, `asked` (all answers), `in_form` (in the requested form), `judged` (among these, with a
        known `complied`), `blocked` (by a safety classifier of the API), `left_out` (the proportion that
        counts in no rate), `reasons` (in words, with numbers of answers), `warning` (in words, where
        many are left out, or more in one tier than in the other, or thinking was not returned).

    Raises
    ------
    InputError
        A column is missing, or there are no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"complied": [True, None, None], "valid": [True, True, False]})
    >>> answers = answer_counts(table.assign(tier="free"))
    >>> answers[["asked", "in_form", "judged", "blocked"]].values.tolist()
    [[3, 2, 1, 0]]
    >>> answers["reasons"].item()
    'form not as requested 1, no verdict 1'
    """
    with opened(data) as source:
        by = known_columns(source, by, CONDITIONS)
        check_column(source, "complied")
        kinds = _kinds(source, by)
    rows = []
    for condition, places in groups(kinds, by):
        part = kinds.iloc[places]
        n = part["n"]
        asked = int(n.sum())
        reasons = n.groupby(part["reason"].replace("", pd.NA)).sum().sort_values(ascending=False)
        numbers = {
            "asked": asked,
            "in_form": int(n[part["in_form"]].sum()),
            "judged": int(n[part["in_form"] & part["known"]].sum()),
            "blocked": int(n[part["is_blocked"]].sum()),
            "left_out": float(1 - n[part["known"]].sum() / asked),
            "reasons": ", ".join(f"{reason} {number}" for reason, number in reasons.items()),
        }
        unseen = int(n[part["unseen"]].sum())
        numbers["warning"] = f"{unseen} of {asked} answers came without their thinking" if unseen else ""
        rows.append(condition | numbers)
    table = pd.DataFrame(rows)
    others = [name for name in by if name != "tier"]
    for _, places in groups(table, others if "tier" in by else by):
        warning = left_out_warning(table["left_out"].iloc[places].tolist())
        for place in places:
            known = table.loc[place, "warning"]
            table.loc[place, "warning"] = "; ".join(filter(None, [warning, known]))
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The counts as text, settings and tiers in reading order."""
    shown = table.assign(left_out=table["left_out"].map(lambda share: f"{percent(share)} %"))
    order = [name for name in ("setting", "tier") if name in table]
    return in_words(shown, order[:1], _SHOWN)


def _kinds(source: Source, by: Sequence[str]) -> pd.DataFrame:
    """The number of answers of each kind by condition: in form or not, blocked, known, and why not."""
    usual = {"valid": "true", "blocked": "''", "problem": "''", "stop_reason": "''"}
    usual |= {"scratchpad": "'unread'", "scratchpad_from": "'tags'"}
    missing = ", ".join(f"{sql} AS {name}" for name, sql in usual.items() if name not in source.kinds)
    stops = " ".join(f"WHEN stop_reason = '{stop}' THEN '{words}'" for stop, words in _STOPS.items())
    blocked = blocked_sql(source)
    return source.connection.sql(
        f"""
        SELECT {"".join(f'"{name}", ' for name in by)}
            {blocked} AS is_blocked,
            valid IS NOT FALSE AND NOT is_blocked AS in_form,
            valid IS NOT FALSE AND complied IS NOT NULL AS known,
            in_form AND scratchpad_from != 'tags' AND coalesce(scratchpad, '') = '' AS unseen,
            CASE WHEN is_blocked THEN 'blocked: ' || blocked::VARCHAR
                WHEN known THEN '' WHEN in_form THEN 'no verdict' {stops}
                ELSE coalesce(nullif(problem, ''), 'form not as requested') END AS reason,
            count(*) AS n
        FROM (SELECT *{", " + missing if missing else ""} FROM rollouts) GROUP BY ALL ORDER BY ALL
        """
    ).df()
