"""Write a study for other tools and people."""

from pathlib import Path

import pandas as pd

from afanalysis.analysis.quantities import summary
from afanalysis.errors import InputError
from afanalysis.logs.fields import FORMS
from afanalysis.logs.inspect_logs import write_inspect_logs
from afanalysis.study.design import Study
from afanalysis.study.files import read_json, write_csv, write_text
from afanalysis.study.folders import MANIFEST, TABLE, Folders
from afanalysis.study.loading import load, save
from afanalysis.table.schema import COLUMNS, TEXTS
from afanalysis.text.markup import to_markdown
from afanalysis.text.pages import render

FORMATS = FORMS["exports"]

# The kinds of columns in the words of a data dictionary.
_TYPES = {"text": "text", "yes/no": "boolean", "whole": "integer", "number": "float"}


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
    if format == "inspect":
        return list(write_inspect_logs(folders, table, to))
    if not texts:
        table = table.drop(columns=[name for name in TEXTS if name in table])
    dictionary, dictionary_path = _dictionary(table), to / "data_dictionary.csv"
    write_csv(dictionary_path, dictionary)
    if format == "csv":
        return [write_csv(to / "rollouts.csv", table), dictionary_path]
    written = [save(table, to / TABLE), dictionary_path]
    if format == "dataset":
        written.append(_write_card(folders, table, dictionary, to))
    return written


def _dictionary(table: pd.DataFrame) -> pd.DataFrame:
    """The data dictionary: name, type, meaning and number of values of each column."""
    described = [column for column in COLUMNS if column.name in table]
    rows = [(column.name, _TYPES[column.kind], column.meaning) for column in described]
    dictionary = pd.DataFrame(rows, columns=["column", "type", "meaning"])
    values = table[dictionary["column"]]
    return dictionary.assign(known=values.notna().sum().array, distinct=values.nunique().array)


def _write_card(folders: Folders, table: pd.DataFrame, dictionary: pd.DataFrame, to: Path) -> Path:
    """`README.md`: what the data are, their results, their columns, and what to take care of."""
    manifest = folders.raw / MANIFEST
    study = Study.checked(read_json(manifest).get("study", {"name": folders.study}), manifest)
    try:
        results = summary(table, "markdown", tiers=study.gap_tiers)
    except InputError as reason:
        results = f"Not shown; {reason}."
    content = {"folders": folders, "table": table, "study": study, "where": FORMS["sources"]}
    content |= {"sources": ", ".join(sorted(table["source"].unique())), "results": results}
    columns = to_markdown(dictionary[["column", "type", "meaning"]])
    return write_text(to / "README.md", render("dataset_card.md.j2", columns=columns, **content))
