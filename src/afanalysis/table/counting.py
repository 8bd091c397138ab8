"""Reduce rollouts to counts per condition and prompt: all that rates and gaps need."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.table.database import quote_names
from afanalysis.table.source import Source, opened

# What is counted.
NUMBERS = ("n", "s", "n_missing", "n_invalid", "n_blocked", "n_without_prompt", "n_repeated")
MISSING_NAME = "(missing)"

# How tables write that nothing is there, in `blocked`.
_NOTHING = ("", "-", "none", "null", "nan", "na", "n/a", "<na>", "nil")
_NO = ("0", "0.0", "false", "f", "no", "n")


def counts(data: Any, outcomes: str | Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Reduce rollouts to counts per condition and prompt: all that any rate or gap needs.

    Makes one pass over the named columns; texts are not read, and the data may be larger than memory.

    Parameters
    ----------
    data
        A DataFrame, a path to Parquet, CSV or JSONL, a folder of Parquet (partitioned or not), or a
        list of paths.
    outcomes
        The columns to count: bool, or a number in 0-1; `blocked` counts who has a category.
    by
        Condition columns.

    Returns
    -------
    DataFrame
        One row per outcome, condition and prompt: `outcome`, `by`, `prompt_id`, `n` (known outcomes),
        `s` (their sum), `n_missing` (valid, outcome missing), `n_invalid` (not in the requested form,
        whatever their outcome), `n_blocked` (blocked, and not counted as refused),
        `n_without_prompt` (rows without a prompt id, which are not counted otherwise; one row per
        condition that has any), `n_repeated` (rows with the `rollout` of another
        row; they are counted). A missing name of a condition is `(missing)`.

    Raises
    ------
    InputError
        A column is missing, an outcome is not a proportion, or there are no rows.
    """
    outcomes = [outcomes] if isinstance(outcomes, str) else list(outcomes)
    keys = [*by, "prompt_id"]
    with opened(data) as source:
        for name in [*keys, *outcomes]:
            check_column(source, name)
        blocked = blocked_sql(source)
        valid = "valid IS NOT FALSE" if "valid" in source.kinds else "true"
        repeated = "count(rollout) - count(DISTINCT rollout)" if "rollout" in source.kinds else "0"
        columns = [quote_names(*keys), "count(*) AS n_all", f"({repeated})::BIGINT AS n_repeated"]
        for index, name in enumerate(outcomes):
            number = f"({blocked})::DOUBLE" if name == "blocked" else _proportion(source, name)
            # whether it was blocked is known of every answer
            value = number if name == "blocked" else f"CASE WHEN {valid} THEN {number} END"
            unknown = f"count(*) FILTER ({value} IS NULL AND"
            numbers = {"n": f"count({value})", "s": f"coalesce(sum({value}), 0)"}
            numbers["n_missing"] = f"{unknown} {valid} AND NOT {blocked})"
            numbers["n_invalid"] = f"{unknown} NOT ({valid}) AND NOT {blocked})"
            numbers["n_blocked"] = f"{unknown} {blocked})"
            numbers |= {"lowest": f"min({number})", "highest": f"max({number})"}
            columns += [f"{sql} AS {short}_of_{index}" for short, sql in numbers.items()]
        grouped = f"FROM rollouts GROUP BY ALL ORDER BY {quote_names(*keys)}"
        table = source.connection.sql(f"SELECT {', '.join(columns)} {grouped}").df()
    if table.empty:
        raise InputError("the rollouts table is empty; it must hold one row per rollout")
    table = _name_missing(table, by)
    lacks_prompt = table["prompt_id"].isna()
    table["n_without_prompt"] = table["n_all"].where(lacks_prompt, 0)
    parts = []
    for index, name in enumerate(outcomes):
        part = table.rename(columns={f"{short}_of_{index}": short for short in numbers})
        least, most = part["lowest"].min(), part["highest"].max()
        if least < 0 or most > 1:
            span = f"from {least:g} to {most:g}"
            raise InputError(f"column {name!r} ranges {span}; an outcome must lie in 0-1")
        part.loc[lacks_prompt, [*NUMBERS[:5], "n_repeated"]] = 0
        parts.append(part.assign(outcome=name)[["outcome", *keys, *NUMBERS]])
    return pd.concat(parts, ignore_index=True)


def shares_in_time(source: Source, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """Each prompt's share of an outcome by condition, with the time of its first and last answer.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `share` (of the known outcomes), `first`, `last`; rows without a known outcome
        do not count.
    """
    for name in [*by, "prompt_id", outcome, "collected_at"]:
        check_column(source, name)
    value = _number(source, outcome)
    is_text = source.kinds["collected_at"] == "VARCHAR"
    time = "TRY_CAST(collected_at AS TIMESTAMP)" if is_text else "collected_at"
    columns = f"avg({value}) AS share, min({time}) AS first, max({time}) AS last"
    return _by_prompt(source, by, columns, [value], "GROUP BY ALL")


def check_column(source: Source, name: str) -> None:
    """Raise `InputError` unless the rollouts have a column."""
    if name not in source.kinds:
        raise InputError(f"the rollouts have no column {name!r}; they have: {', '.join(source.kinds)}")


def blocked_sql(source: Source) -> str:
    """The SQL of whether a safety classifier of the API stopped an answer: a category, true or 1."""
    if "blocked" not in source.kinds:
        return "false"
    return f"(lower(trim(coalesce(blocked::VARCHAR, ''))) NOT IN {_NOTHING + _NO})"


def verdict_counts(source: Source, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """Per-prompt counts of the judge's positive verdicts: `complied`, or any AF reasoning.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `n` (known verdicts), `s` (positive ones).
    """
    verdict = _number(source, outcome) + " > 0"
    columns = f"count(*) AS n, count_if({verdict})::DOUBLE AS s"
    return _by_prompt(source, by, columns, [verdict], "GROUP BY ALL")


def labelled(source: Source, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """The rollouts with both a verdict and a label that has a weight.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `verdict` (bool), `label` (0-1), `weight`.

    Raises
    ------
    InputError
        The rollouts have no column for the labels of this outcome.
    """
    check_column(source, outcome)
    if missing := {f"label_{outcome}", "label_weight"} - set(source.kinds):
        raise InputError(f"the rollouts have no column {sorted(missing)[0]!r}; label some of them first")
    verdict = _number(source, outcome) + " > 0"
    label, weight = _number(source, f"label_{outcome}"), _number(source, "label_weight")
    columns = f"{verdict} AS verdict, {label} AS label, {weight} AS weight"
    return _by_prompt(source, by, columns, [verdict, label, weight])


def _by_prompt(
    source: Source, by: Sequence[str], columns: str, known: Sequence[str], grouped: str = ""
) -> pd.DataFrame:
    """A query by condition and prompt on the valid rollouts in which something is known."""
    conditions = [f"{value} IS NOT NULL" for value in (*known, "prompt_id")]
    conditions += ["valid IS NOT FALSE"] if "valid" in source.kinds else []
    table = source.connection.sql(
        f"SELECT {quote_names(*by, 'prompt_id')}, {columns} FROM rollouts "
        f"WHERE {' AND '.join(conditions)} {grouped} ORDER BY ALL"
    ).df()
    return _name_missing(table, by)


def _name_missing(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The table in which a missing name of a condition has a name, too."""
    for name in by:
        if table[name].isna().any():
            table[name] = table[name].astype(object).where(table[name].notna(), MISSING_NAME)
    return table


def _number(source: Source, name: str) -> str:
    """The SQL of a column as a number; NaN means missing in columns that pandas wrote."""
    quoted = quote_names(name)
    if source.kinds[name] == "BOOLEAN":  # a cast would reach into CSV files, where it fails
        return f"CASE {quoted} WHEN true THEN 1::DOUBLE WHEN false THEN 0 END"
    return f"nullif({quoted}::DOUBLE, 'nan'::DOUBLE)"


def _proportion(source: Source, name: str) -> str:
    """The SQL of an outcome as a number."""
    kind = source.kinds[name]
    if kind == '"NULL"':
        raise InputError(f"no rollout has a known {name!r}")
    if kind not in ("BOOLEAN", "DOUBLE", "FLOAT") and "INT" not in kind and "DECIMAL" not in kind:
        raise InputError(f"column {name!r} holds {kind}; an outcome is true/false or 0-1")
    return _number(source, name)
