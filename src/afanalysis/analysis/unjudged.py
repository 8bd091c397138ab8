"""Answers that a judge left without a verdict, and why."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from afanalysis.analysis.conditions import known_columns
from afanalysis.table.database import quote_names
from afanalysis.table.schema import CONDITIONS
from afanalysis.table.source import opened

_BLOCKED = "judge_blocked IS NOT NULL"
_NUMBERS = {
    "n": "count(*)",
    "judged_anyway": f"count_if({_BLOCKED} AND complied IS NOT NULL AND af_reasoning IS NOT NULL)",
    "blocked": f"count_if({_BLOCKED} AND complied IS NULL) / count(*)",
    "unquoted": "count_if(contains(judge_unquoted, 'behaviour')) / count(*)",
    "af_blocked": f"count_if({_BLOCKED} AND af_reasoning IS NULL) / count(*)",
    "af_unquoted": "count_if(contains(judge_unquoted, 'reasoning') AND af_reasoning IS NULL) / count(*)",
}


def missing_verdicts(data: Any, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """How many answers have no verdict because the judge was blocked, or gave no quote that occurs.

    Parameters
    ----------
    data
        Rollouts, as in `rates`, of a study that a judge has judged.
    by
        Condition columns; by default those of model, setting, variation and tier that the rollouts have.

    Returns
    -------
    DataFrame
        One row per condition: `by`, `n` (answers that the judge was asked about), `judged_anyway` (of
        these, those where the judge was blocked and the fallback judge, or other votes, decided), and
        the shares (0-1) of `n` without a verdict: `blocked` and `unquoted` on behaviour, `af_blocked`
        and `af_unquoted` on AF reasoning. Shares that differ between tiers create a gap, or hide one.

    Raises
    ------
    InputError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> about = {"judge": "m@1", "complied": [None, True], "af_reasoning": [None, 1.0]}
    >>> table = pd.DataFrame({"tier": ["free", "paid"], "judge_blocked": ["cyber", None]} | about)
    >>> table["judge_unquoted"] = None
    >>> missing_verdicts(table)[["tier", "n", "blocked"]].values.tolist()
    [['free', 1, 1.0], ['paid', 1, 0.0]]
    """
    with opened(data) as source:
        by = known_columns(source, by, CONDITIONS)
        known_columns(source, ["judge", "judge_blocked", "judge_unquoted", "af_reasoning"], ())
        numbers = [f"{sql} AS {name}" for name, sql in _NUMBERS.items()]
        return source.connection.sql(
            f"SELECT {', '.join([*filter(None, [quote_names(*by)]), *numbers])} FROM rollouts "
            "WHERE judge IS NOT NULL AND judge != 'stop_reason' GROUP BY ALL ORDER BY ALL"
        ).df()
