"""Write a study for other tools and people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.errors import InputError
from afanalysis.logs.dataset_card import write_card, write_croissant
from afanalysis.logs.inspect_export import write_inspect_logs
from afanalysis.study.folders import TABLE, Folders
from afanalysis.study.loading import load, save
from afanalysis.table.schema import MEANINGS, SCHEMA, TEXTS
from afanalysis.text.untrusted import guard_formula

if TYPE_CHECKING:
    import pandas as pd

FORMATS = {
    "parquet": "the tidy table with a data dictionary",
    "csv": "the same as CSV",
    "inspect": "one log of Inspect AI per condition",
    "dataset": "the table with a dataset card and Croissant metadata, for sharing",
}

_TYPES = {
    "string": "text",
    "boolean": "true / false / missing",
    "bool": "true / false",
    "int64": "whole number",
    "Int64": "whole number or missing",
    "Float64": "number or missing",
}


def export(folders: Folders, format: str, to: str | Path, *, texts: bool = True) -> list[Path]:
    """Write a study that was run in a form for others.

    Parameters
    ----------
    folders
        The study's folders.
    format
        One of `FORMATS`.
    to
        The folder to write to; made if need be.
    texts
        False: leave out requests, scratchpads and outputs, which may be harmful.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        The study has not been run, the format is not known, or a log of Inspect is to have no texts.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; use one of: {', '.join(FORMATS)}")
    if not folders.table.exists():
        raise InputError(f"{folders.table}: is missing; run the study first (afanalysis run)")
    if format == "inspect" and not texts:
        raise InputError("a log of Inspect consists of texts; export a table without them")
    table, to = load(folders.table), Path(to)
    to.mkdir(parents=True, exist_ok=True)
    if format == "inspect":
        return list(write_inspect_logs(folders, table, to))
    if not texts:
        table = table.drop(columns=[name for name in TEXTS if name in table])
    dictionary, dictionary_path = _dictionary(table), to / "data_dictionary.csv"
    dictionary.to_csv(dictionary_path, index=False)
    if format == "csv":
        strings = table.select_dtypes("string").apply(lambda cells: cells.map(guard_formula, "ignore"))
        table.assign(**strings).to_csv(to / "rollouts.csv", index=False)
        return [to / "rollouts.csv", dictionary_path]
    written = [save(table, to / TABLE), dictionary_path]
    if format == "dataset":
        written += [write_card(folders, table, dictionary, to), write_croissant(folders, table, to)]
    return written


def _dictionary(table: pd.DataFrame) -> pd.DataFrame:
    """The data dictionary: name, type, meaning and number of values of each column."""
    import pandas as pd

    names = [name for name in table if name in MEANINGS]
    return pd.DataFrame(
        {
            "column": names,
            "type": [_TYPES[SCHEMA[name]] for name in names],
            "meaning": [MEANINGS[name] for name in names],
            "known": table[names].notna().sum().to_numpy(),
            "distinct": table[names].nunique().to_numpy(),
        }
    )
