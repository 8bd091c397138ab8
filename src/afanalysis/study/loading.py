"""Load and save tidy tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.study.folders import ROLLOUTS

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.errors import InputError
from afanalysis.study.journal import read_records
from afanalysis.study.tidying import tidy
from afanalysis.table.schema import ROW_ORDER, SCHEMA
from afanalysis.table.source import _READERS, columns, opened


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
        A `.parquet`, `.csv` or `.jsonl` file of tidy rollouts, or a study's raw folder. Logs of another
        tool are read by `afanalysis.read_logs`.

    Raises
    ------
    InputError
        There is no such file, it is empty, or it is none of these.

    Examples
    --------
    >>> rollouts = load("data/processed/demo/rollouts.parquet")  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_dir() and (path / ROLLOUTS).exists():
        return tidy(path)
    if not is_tidy(path):
        raise InputError(
            f"{path}: is not a table of rollouts but another tool's log, it seems; read it with "
            "afanalysis.read_logs, or make a study of it with `afanalysis import`"
        )
    if path.suffix in (".jsonl", ".ndjson"):
        import pandas as pd

        table = pd.DataFrame(list(read_records(path)))
    else:
        with opened(path) as source:
            table = source.connection.sql("FROM rollouts").df()
    if table.empty:
        raise InputError(f"{path}: is empty; a rollouts table has one row per rollout")
    order = [column for column in ROW_ORDER if column in table]
    table = table.astype({k: v for k, v in SCHEMA.items() if k in table and k != "valid"})
    return (
        table.sort_values(order, ignore_index=True, kind="stable")
        if path.suffix == ".parquet"
        else table
    )


def is_tidy(path: Path) -> bool:
    """Whether a file is a tidy table by its columns, or cannot be read at all, which reading it says."""
    if path.is_dir():
        inside = next(path.rglob("*.parquet"), None)
        return inside is not None and is_tidy(inside)
    if not path.exists() or path.suffix not in (*_READERS, ".json", ".eval"):
        return True
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            names = set(next(read_records(path)))
            return "prompt_id" in names and bool(names & {"complied", "key"})
        if path.suffix in _READERS:
            return {"prompt_id", "complied"} <= set(columns(path))
    except (InputError, StopIteration):
        return True
    return False
