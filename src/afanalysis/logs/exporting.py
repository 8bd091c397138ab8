"""Write a study for other tools and people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.errors import InputError
from afanalysis.logs.dataset_card import write_card, write_croissant
from afanalysis.logs.inspect_export import write_inspect_logs
from afanalysis.study.folders import TABLE, Folders
from afanalysis.study.loading import load, save
from afanalysis.table.schema import MEANINGS, SCHEMA

FORMATS = {
    "parquet": "the tidy table with a data dictionary",
    "csv": "the same as CSV",
    "inspect": "one log of Inspect AI a condition",
    "dataset": "the table with a dataset card and Croissant metadata, for sharing",
}

TEXTS = ("request", "scratchpad", "output", "original")


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
    path = folders.table
    if not path.exists():
        raise InputError(f"{path}: is missing; run the study first (afanalysis run)")
    table = load(path)
    to = Path(to)
    to.mkdir(parents=True, exist_ok=True)
    if format == "inspect":
        if not texts:
            raise InputError("a log of Inspect consists of texts; export a table without them")
        return list(write_inspect_logs(folders, table, to))
    if not texts:
        table = table.drop(columns=[name for name in TEXTS if name in table])
    if format == "csv":
        table.to_csv(to / "rollouts.csv", index=False)
        return [to / "rollouts.csv", _dictionary(table, to)]
    dictionary = _dictionary(table, to)
    written = [save(table, to / TABLE), dictionary]
    if format == "dataset":
        written += [write_card(folders, table, dictionary, to), write_croissant(folders, table, to)]
    return written


def _dictionary(table: pd.DataFrame, to: Path) -> Path:
    """The data dictionary: name, type, meaning and number of values of each column."""
    import pandas as pd

    path = to / "data_dictionary.csv"
    rows = [
        {
            "column": name,
            "type": _TYPES[SCHEMA[name]],
            "meaning": MEANINGS[name],
            "known": int(table[name].notna().sum()),
            "distinct": int(table[name].nunique()),
        }
        for name in table
        if name in MEANINGS
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


_TYPES = {
    "string": "text",
    "boolean": "true / false / missing",
    "bool": "true / false",
    "int64": "whole number",
    "Int64": "whole number or missing",
    "Float64": "number or missing",
}
