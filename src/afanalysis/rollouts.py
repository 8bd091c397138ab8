"""The tidy table, one row a rollout: build it, load it, save it, reduce it to counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.journal import read_records

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# The table's columns and their types; docs/data.md says what each one means.
SCHEMA: dict[str, str] = {
    "study": "string",
    "setting": "string",
    "variation": "string",
    "model": "string",
    "tier": "string",
    "prompt_id": "string",
    "category": "string",
    "sample": "int64",
    "complied": "boolean",
    "refused": "boolean",
    "af_full": "boolean",
    "af_partial": "boolean",
    "af_reasoning": "Float64",
    "valid": "bool",
    "problem": "string",
    "source": "string",
    "request": "string",
    "scratchpad": "string",
    "output": "string",
    "stop_reason": "string",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "collected_at": "string",
    "judge": "string",
    "judge_agreeing": "Float64",
}
CONDITIONS = ("model", "setting", "variation", "tier")
_ORDER = ["setting", "variation", "model", "tier", "prompt_id", "sample"]


def tidy(folder: str | Path) -> pd.DataFrame:
    """The tidy table of a study's raw folder: its rollouts with their verdicts.

    A rollout without a verdict, with an undecided one, or not in the requested form has missing
    outcomes; none is guessed. An answer that the API itself refused counts as refused.
    """
    import pandas as pd

    from afanalysis.collect import ROLLOUTS
    from afanalysis.judge import verdicts

    folder = Path(folder)
    judged = verdicts(folder)
    rows: list[dict[str, Any]] = []
    for record in read_records(folder / ROLLOUTS):
        verdict = judged.get(record["key"], {})
        if record["stop_reason"] == "refusal":
            verdict = {
                "complied": False,
                "af_full": False,
                "af_partial": False,
                "judge": "stop_reason",
            }
        complied = verdict.get("complied")
        full, partial = verdict.get("af_full"), verdict.get("af_partial")
        row = {name: record.get(name) for name in SCHEMA}
        row |= {
            "complied": complied,
            "refused": None if complied is None else not complied,
            "af_full": full,
            "af_partial": partial,
            "af_reasoning": af_reasoning(complied, full, partial),
            "judge": verdict.get("judge"),
            "judge_agreeing": verdict.get("agreeing"),
        }
        rows.append(row)
    if not rows:
        raise InputError(f"{folder / ROLLOUTS}: is empty; collect the study first")
    table = pd.DataFrame(rows, columns=list(SCHEMA)).astype(SCHEMA)
    return table.sort_values(_ORDER, ignore_index=True)


def af_reasoning(complied: bool | None, full: bool | None, partial: bool | None) -> float | None:
    """The paper's measure: the mean of the two verdicts where the output complied, else 0.

    Examples
    --------
    >>> af_reasoning(True, False, True), af_reasoning(False, True, True)
    (0.5, 0.0)
    """
    if complied is False:
        return 0.0
    if complied is None or full is None or partial is None:
        return None
    return (full + partial) / 2


def save(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a tidy table as Parquet, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    table.to_parquet(temporary, index=False, compression="zstd")
    temporary.replace(path)
    return path


def load(path: str | Path) -> pd.DataFrame:
    """Load rollouts as a DataFrame.

    Parameters
    ----------
    path
        A `.parquet`, `.csv` or `.jsonl` file of tidy rollouts, or a study's raw folder.

    Raises
    ------
    InputError
        There is no such file, it is empty, or it is none of these.

    Examples
    --------
    >>> rollouts = load("data/processed/demo/rollouts.parquet")  # doctest: +SKIP
    """
    import pandas as pd

    path = Path(path)
    if path.is_dir():
        return tidy(path)
    if path.suffix in (".jsonl", ".ndjson"):
        table = pd.DataFrame(list(read_records(path)))
    else:
        with _connected(path) as connection:
            table = connection.sql("FROM rollouts").df()
    if table.empty:
        raise InputError(f"{path}: is empty; a rollouts table has one row a rollout")
    return table.astype({k: v for k, v in SCHEMA.items() if k in table and k != "valid"})


_READERS = {
    ".parquet": "read_parquet(?, union_by_name = true, hive_partitioning = true)",
    ".csv": "read_csv(?, union_by_name = true)",
    ".jsonl": "read_json(?, format = 'newline_delimited', union_by_name = true)",
    ".ndjson": "read_json(?, format = 'newline_delimited', union_by_name = true)",
}


class _connected:
    """A DuckDB connection with the data as the view `rollouts`."""

    def __init__(self, data: Any) -> None:
        import duckdb

        self._connection = duckdb.connect()
        self._connection.execute("SET preserve_insertion_order = false")
        self.place = "the table"
        if hasattr(data, "columns"):
            if data.empty:
                raise InputError("the table is empty; it must hold one row a rollout")
            self._connection.register("rollouts", data)
            return
        paths = [Path(data)] if isinstance(data, (str, Path)) else [Path(one) for one in data]
        self.place = ", ".join(map(str, paths))
        files: list[str] = []
        for path in paths:
            if path.is_dir():
                files += sorted(map(str, path.rglob("*.parquet")))
            elif path.exists():
                files.append(str(path))
            else:
                raise InputError(f"{path}: there is no such file or folder")
        kinds = {Path(file).suffix for file in files}
        if len(kinds) != 1 or kinds - set(_READERS):
            raise InputError(
                f"{self.place}: found {', '.join(sorted(kinds)) or 'no files'}; rollouts are "
                "Parquet, CSV or JSONL files of one kind"
            )
        if any(Path(file).stat().st_size == 0 for file in files):
            raise InputError(f"{self.place}: is empty; a rollouts table has one row a rollout")
        reader = _READERS[kinds.pop()]
        quoted = "[" + ", ".join("'" + file.replace("'", "''") + "'" for file in files) + "]"
        try:
            self._connection.execute(f"CREATE VIEW rollouts AS FROM {reader.replace('?', quoted, 1)}")
        except duckdb.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InputError:
        first = str(error).splitlines()[0][:300]
        return InputError(f"{self.place}: cannot be read as rollouts ({first})")

    def __enter__(self) -> duckdb.DuckDBPyConnection:
        return self._connection

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import duckdb

        self._connection.close()
        if isinstance(error, duckdb.Error):
            raise self._unreadable(error) from error


def columns(data: Any) -> list[str]:
    """The names of a table's columns, without reading its rows."""
    if hasattr(data, "columns"):
        return list(data.columns)
    with _connected(data) as connection:
        return [row[0] for row in connection.sql("DESCRIBE rollouts").fetchall()]


def values(data: Any, column: str) -> str:
    """The distinct values of a column, sorted and joined by commas."""
    with _connected(data) as connection:
        found = connection.sql(f'SELECT DISTINCT "{column}" FROM rollouts').fetchall()
    return ", ".join(sorted(str(row[0]) for row in found))


def counts(data: Any, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """Reduce rollouts to counts by condition and prompt: all that any rate or gap needs.

    Only the named columns are read, so texts cost nothing; the data may be larger than memory.

    Parameters
    ----------
    data
        A DataFrame, a path to Parquet, CSV or JSONL, a folder of Parquet (partitioned or not), or a
        list of paths.
    outcome
        The column counted: bool, or a number in 0-1.
    by
        Condition columns.

    Returns
    -------
    DataFrame
        `by`, `prompt_id`, `n` (outcomes known), `s` (their sum), `n_missing` (valid, outcome missing),
        `n_invalid` (not in the requested form, whatever their outcome). One row a condition and prompt.

    Raises
    ------
    InputError
        A column is missing, the outcome is no proportion, or there are no rows.
    """
    with _connected(data) as connection:
        known = {row[0]: row[1] for row in connection.sql("DESCRIBE rollouts").fetchall()}
        for name in [*by, "prompt_id", outcome]:
            if name not in known:
                raise InputError(f"the rollouts have no column {name!r}; they have: {', '.join(known)}")
        valid = "coalesce(valid, true)" if "valid" in known else "true"
        names = ", ".join(f'"{name}"' for name in [*by, "prompt_id"])
        kind, column = known[outcome], f'"{outcome}"'
        if kind == "BOOLEAN":
            value = f"CASE WHEN {column} THEN 1.0 WHEN NOT {column} THEN 0.0 END::DOUBLE"
        elif kind in ("DOUBLE", "FLOAT"):  # NaN stands for missing in columns that pandas wrote
            value = f"CASE WHEN NOT isnan({column}) THEN {column} END"
        elif "INT" in kind:
            value = f"{column}::DOUBLE"
        else:
            raise InputError(f"column {outcome!r} holds {kind}; an outcome is true/false or 0-1")
        found = connection.sql(
            f"""
            SELECT {names},
                   count(y) FILTER (v) AS n,
                   coalesce(sum(y) FILTER (v), 0) AS s,
                   count(*) FILTER (v AND y IS NULL) AS n_missing,
                   count(*) FILTER (NOT v) AS n_invalid,
                   min(y) AS least, max(y) AS most
            FROM (SELECT {names}, {value} AS y, {valid} AS v FROM rollouts)
            GROUP BY {names} ORDER BY {names}
            """
        ).df()
    if found.empty:
        raise InputError("the rollouts table is empty; it must hold one row a rollout")
    if found["least"].min() < 0 or found["most"].max() > 1:
        raise InputError(
            f"column {outcome!r} runs from {found['least'].min():g} to {found['most'].max():g}; an "
            "outcome must lie in 0-1"
        )
    return found.drop(columns=["least", "most"])
