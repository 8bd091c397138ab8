"""Load and save tidy tables."""

import os
from pathlib import Path

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.study.files import MAX_COLUMNS, write_csv, written_whole
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.journal import read_records
from afanalysis.study.tidying import tidy
from afanalysis.table.schema import ROW_ORDER, SCHEMA
from afanalysis.table.source import READERS, columns, opened


def save(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table, whole or not at all.

    Parameters
    ----------
    table
        The table.
    path
        The file; its folder is created if necessary. Where it ends in `.csv` it is made for people:
        numbers have six digits, and no cell is a formula to a spreadsheet. Else it is Parquet.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> af.save(af.example_rollouts(), Path(tempfile.mkdtemp()) / "rollouts.parquet").name
    'rollouts.parquet'
    """
    path = Path(path)
    if path.suffix == ".csv":
        return write_csv(path, table, float_format="%.6g")
    with written_whole(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
    return path


def load(path: str | Path) -> pd.DataFrame:
    """Load rollouts as a DataFrame.

    Parameters
    ----------
    path
        A `.parquet`, `.csv` or `.jsonl` file of tidy rollouts, or a study's raw folder. Logs of other
        tools are read by `afanalysis.read_logs`.

    Returns
    -------
    DataFrame
        One row per rollout, with the columns of `docs/data.md` that the file has.

    Raises
    ------
    InputError
        The file does not exist, is empty, or is none of these.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import afanalysis as af
    >>> path = af.save(af.example_rollouts(), Path(tempfile.mkdtemp()) / "rollouts.parquet")
    >>> len(af.load(path))
    200
    """
    path = Path(path)
    if os.path.isdir(path) and (path / ROLLOUTS).exists():
        return tidy(path)
    if not is_tidy(path):
        problem = "is not a table of rollouts, but looks like another tool's log"
        raise InputError(f"{path}: {problem}; read it with afanalysis.read_logs or `afanalysis import`")
    if path.suffix in (".jsonl", ".ndjson"):
        records = list(read_records(path))
        if len({name for record in records for name in record}) > MAX_COLUMNS:
            raise InputError(f"{path}: has more than {MAX_COLUMNS:,} columns; that is not a table")
        table = pd.DataFrame(records)
    else:
        with opened(path) as source:
            source.refuse_bomb()
            table = source.connection.sql("FROM rollouts").df()
    if table.empty:
        raise InputError(f"{path}: is empty; a rollouts table has one row per rollout")
    for name, dtype in SCHEMA.items():
        if name in table and name != "valid":
            try:
                # pandas cuts 1.5 to the int64 1, but not to an Int64
                table[name] = table[name].astype(dtype.replace("int64", "Int64")).astype(dtype)
            except (TypeError, ValueError, OverflowError) as error:
                problem = f"column {name!r} is not {dtype} in every row ({str(error)[:200]})"
                raise InputError(f"{path}: {problem}") from error
    for name in table.columns.difference(SCHEMA):  # a study's own questions, unless all are answered
        if pd.api.types.infer_dtype(table[name], skipna=True) == "boolean":
            table[name] = table[name].astype("boolean")
    if path.suffix != ".parquet":
        return table
    order = [column for column in ROW_ORDER if column in table]
    return table.sort_values(order, ignore_index=True, kind="stable")


def example_rollouts() -> pd.DataFrame:
    """Load a small simulated table, for examples and first steps.

    Returns
    -------
    DataFrame
        200 rows of the tidy table (`source` is "simulated", the texts are placeholders): one model, both
        settings and tiers, the variations `default` and `no-examples`, 25 prompts with two samples per
        condition, and hand labels of 80 rollouts.

    Notes
    -----
    Collected once, from this study:

    .. code-block:: python

        accuracy = {"free": {"sensitivity": 0.92, "specificity": 0.95},
                    "paid": {"sensitivity": 0.95, "specificity": 0.98}}
        study = af.Study(name="example", variations=["default", "no-examples"], samples=2, seed=3,
                         prompts={"helpful-only": {"first": 13}, "animal-welfare": {"first": 12}},
                         simulation={"judge_error": accuracy})
        async with af.connect(study) as endpoint:
            await af.collect(study, endpoint, raw)
            await af.judge(study.judge, endpoint, raw)
        rollouts = af.tidy(raw)
        af.write_label_sample(raw, af.sample_for_labels(rollouts, 80), rollouts)
        af.simulate_labels(study, raw)
        af.save(af.tidy(raw), "src/afanalysis/study/example_rollouts.parquet")

    Examples
    --------
    >>> import afanalysis as af
    >>> rollouts = af.example_rollouts()
    >>> rollouts.groupby(["setting", "tier"])["complied"].mean().round(2)
    setting         tier
    animal-welfare  free    0.62
                    paid    0.48
    helpful-only    free    0.25
                    paid    0.08
    Name: complied, dtype: Float64
    """
    return load(Path(__file__).with_name("example_rollouts.parquet"))


def is_tidy(path: Path) -> bool:
    """Whether a file is a tidy table, by its columns; also true of one that `load` will reject."""
    if os.path.isdir(path):
        file = next(path.rglob("*.parquet"), None)
        return file is not None and is_tidy(file)
    if not os.path.exists(path) or path.suffix not in (*READERS, ".json", ".eval"):
        return True
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            names = set(next(read_records(path)))
            return "prompt_id" in names and bool(names & {"complied", "key"})
        if path.suffix in READERS:
            return {"prompt_id", "complied"} <= set(columns(path))
    except (InputError, StopIteration):
        return True
    return False
