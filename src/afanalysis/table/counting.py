"""Reduce rollouts to counts by condition and prompt: all that rates and gaps need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.errors import InputError
from afanalysis.table.source import Source, opened


def counts(
    data: Any, outcomes: str | Sequence[str], by: Sequence[str], *, executor: Executor | None = None
) -> pd.DataFrame:
    """Reduce rollouts to counts by condition and prompt: all that any rate or gap needs.

    One pass over the named columns; texts are not read, and the data may be larger than memory.

    Parameters
    ----------
    data
        A DataFrame, a path to Parquet, CSV or JSONL, a folder of Parquet (partitioned or not), or a
        list of paths.
    outcomes
        The columns counted: bool, or a number in 0-1.
    by
        Condition columns.
    executor
        Where to count, file by file, if `data` is a list of paths: a pool of processes, or a cluster's.

    Returns
    -------
    DataFrame
        `outcome`, `by`, `prompt_id`, `n` (outcomes known), `s` (their sum), `n_missing` (valid, outcome
        missing), `n_invalid` (not in the requested form, whatever their outcome). One row an outcome,
        condition and prompt.

    Raises
    ------
    InputError
        A column is missing, an outcome is no proportion, or there are no rows.
    """
    import pandas as pd

    outcomes = [outcomes] if isinstance(outcomes, str) else list(outcomes)
    if executor is not None:
        each = [executor.submit(counts, path, outcomes, by) for path in data]
        return add_counts(one.result() for one in each)
    with opened(data) as source:
        for name in [*by, "prompt_id", *outcomes]:
            if name not in source.kinds:
                known = ", ".join(source.kinds)
                raise InputError(f"the rollouts have no column {name!r}; they have: {known}")
        names = ", ".join(f'"{name}"' for name in [*by, "prompt_id"])
        invalid = _check(source, outcomes)
        known = "WHERE valid IS NOT FALSE" if invalid else ""
        sums = ", ".join(
            f"count({value}) AS n{at}, {total} AS s{at}"
            for at, (value, total) in enumerate(_sums(source, outcomes))
        )
        query = f"SELECT {names}, count(*) AS valid, {sums} FROM rollouts {known} GROUP BY ALL"
        found = source.connection.sql(f"{query} ORDER BY {names}").df()
        found["n_invalid"] = 0
        if invalid:
            query = f"SELECT {names}, count(*) AS n_invalid FROM rollouts WHERE NOT valid GROUP BY ALL"
            lost = source.connection.sql(query).df()
            keys = [*by, "prompt_id"]
            found = found.drop(columns="n_invalid").merge(lost, on=keys, how="outer").fillna(0)
            found = found.sort_values(keys, ignore_index=True)
    parts = []
    for at, name in enumerate(outcomes):
        part = found.rename(columns={f"n{at}": "n", f"s{at}": "s"})
        part = part.assign(outcome=name, n_missing=part["valid"] - part["n"])
        parts.append(part[["outcome", *by, "prompt_id", "n", "s", "n_missing", "n_invalid"]])
    return pd.concat(parts, ignore_index=True)


def add_counts(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The counts of a whole from those of its parts: exact, in any order and grouping of the parts."""
    import pandas as pd

    together = pd.concat(list(parts), ignore_index=True)
    numbers = ["n", "s", "n_missing", "n_invalid"]
    keys = [name for name in together if name not in numbers]
    added = together.groupby(keys, sort=True, dropna=False)[numbers].sum().reset_index()
    outcomes = list(dict.fromkeys(together["outcome"]))
    added = added.sort_values(
        "outcome", key=lambda names: names.map(outcomes.index), kind="stable", ignore_index=True
    )
    return added[list(together.columns)]


def verdict_counts(source: Source, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """Per-prompt counts of the judge's positive verdicts: `complied`, or any AF reasoning.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `n` (verdicts known), `s` (positive ones).
    """
    names = ", ".join(f'"{name}"' for name in [*by, "prompt_id"])
    verdict = _verdict_sql(outcome)
    valid = "WHERE valid IS NOT FALSE" if "valid" in source.kinds else ""
    return source.connection.sql(
        f"SELECT {names}, count({verdict}) AS n, count_if({verdict})::DOUBLE AS s FROM rollouts "
        f"{valid} GROUP BY ALL HAVING n > 0 ORDER BY {names}"
    ).df()


def labelled(source: Source, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """The rollouts that have both a verdict and a label with a weight.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `verdict` (bool), `label` (0-1), `weight`.

    Raises
    ------
    InputError
        The rollouts have no column for the labels of this outcome.
    """
    lacking = {f"label_{outcome}", "label_weight"} - set(source.kinds)
    if lacking:
        raise InputError(f"the rollouts have no column {sorted(lacking)[0]!r}; label some of them first")
    names = ", ".join(f'"{name}"' for name in [*by, "prompt_id"])
    verdict, label = _verdict_sql(outcome), f"label_{outcome}::DOUBLE"
    return source.connection.sql(
        f"SELECT {names}, {verdict} AS verdict, {label} AS label, label_weight::DOUBLE AS weight "
        f"FROM rollouts WHERE {verdict} IS NOT NULL AND {label} IS NOT NULL "
        f"AND label_weight IS NOT NULL AND NOT isnan({label}) AND NOT isnan(label_weight::DOUBLE) "
        f"ORDER BY {names}, weight, label"
    ).df()


def _verdict_sql(outcome: str) -> str:
    return f"nullif(\"{outcome}\"::DOUBLE, 'nan'::DOUBLE) > 0"


def _check(source: Source, outcomes: Sequence[str]) -> int:
    """Refuse outcomes that are no proportions; the number of rollouts that are not valid."""
    asked = ["count(*)"]
    for name in outcomes:
        kind = source.kinds[name]
        if kind == "BOOLEAN":
            continue
        if kind not in ("DOUBLE", "FLOAT") and "INT" not in kind and not kind.startswith("DECIMAL"):
            raise InputError(f"column {name!r} holds {kind}; an outcome is true/false or 0-1")
        known = f"nullif(\"{name}\"::DOUBLE, 'nan'::DOUBLE)"
        asked += [f"min({known})", f"max({known})"]
    asked.append("count_if(NOT valid)" if "valid" in source.kinds else "0")
    rows, *ends, invalid = source.connection.sql(f"SELECT {', '.join(asked)} FROM rollouts").fetchall()[
        0
    ]
    if not rows:
        raise InputError("the rollouts table is empty; it must hold one row a rollout")
    numbers = [name for name in outcomes if source.kinds[name] != "BOOLEAN"]
    for name, least, most in zip(numbers, ends[::2], ends[1::2], strict=True):
        if least is not None and (least < 0 or most > 1):
            raise InputError(
                f"column {name!r} runs from {least:g} to {most:g}; an outcome must lie in 0-1"
            )
    return int(invalid)


def _sums(source: Source, outcomes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """For each outcome the SQL of a value that is null where unknown, and of the values' sum."""
    for name in outcomes:
        column = f'"{name}"'
        if source.kinds[name] == "BOOLEAN":
            yield column, f"count_if({column})::DOUBLE"
        elif source.kinds[name] in ("DOUBLE", "FLOAT"):
            # NaN stands for missing in columns that pandas wrote
            value = f"nullif({column}, 'nan'::{source.kinds[name]})"
            yield value, f"coalesce(sum({value}), 0)"
        else:
            yield column, f"coalesce(sum({column}), 0)::DOUBLE"
