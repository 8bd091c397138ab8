"""How many answers were asked, and how many of them count in rates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import groups, known_columns, left_out_warning, sources
from afanalysis.table.counting import blocked_sql, check_column
from afanalysis.table.database import quote_names
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import opened
from afanalysis.text.wording import COLUMNS, in_words, percent

# The SQL of columns that the rollouts may lack.
_USUAL = {"valid": "true", "blocked": "''", "problem": "''", "stop_reason": "''"}
_USUAL |= {"scratchpad": "'unread'", "scratchpad_from": "'tags'", "af_reasoning": "0"}
_USUAL["complied"] = "CASE WHEN af_reasoning IS NOT NULL THEN true END"
_USUAL |= dict.fromkeys(("judge_blocked", "judge_unquoted"), "NULL::VARCHAR")


def answer_counts(data: Any, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """How many answers each condition and tier has, and how many of them count in rates, and why not.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, with `complied` or `af_reasoning`.
    by
        Condition columns; by default those of model, setting, variation and tier that the rollouts have.

    Returns
    -------
    DataFrame
        `by`, `asked` (all answers), `in_form` (in the requested form), `judged` (among these, with a
        known `complied`), `blocked` (by a safety classifier of the API), `left_out` (the proportion that
        counts in no rate), `af_left_out` (the proportion that counts in rates, but whose AF reasoning is
        unknown: its judge was blocked, its quote does not occur, or its thinking was not returned),
        `reasons` (in words, with numbers of answers), `warning` (in words, where many are left out, or
        more in one tier than in the other, or blocked answers count as refused), `source`.

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
        check_column(source, "complied" if "af_reasoning" not in source.kinds else "af_reasoning")
        names = "".join(f"{name}, " for name in map(quote_names, by))
        lacking = [f", {sql} AS {name}" for name, sql in _USUAL.items() if name not in source.kinds]
        sql = Path(__file__).with_name("answer_counts.sql").read_text(encoding="utf-8")
        known = {"is_blocked": blocked_sql(source), "lacking": "".join(lacking)}
        table = source.connection.sql(sql.format(names=names, **known)).df()
        table["source"] = table.get("source", sources(source))
    for _, places in groups(table, [name for name in by if name != "tier"]):
        part = table.loc[places]
        tiers = part["tier"].astype(str).tolist() if "tier" in by else []
        words = [left_out_warning(part["left_out"].tolist(), tiers)]
        words += [left_out_warning(part["af_left_out"].tolist(), tiers, "verdicts on AF reasoning")]
        for place in places:
            table.loc[place, "warning"] = "; ".join(filter(None, [table.loc[place, "warning"], *words]))
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The counts as text, settings and tiers in reading order."""
    shares = ["left_out", "af_left_out"]
    shown = table.assign(**{name: [f"{percent(share)} %" for share in table[name]] for name in shares})
    return in_words(shown, [*({"setting"} & set(table))], COLUMNS["answers"])
