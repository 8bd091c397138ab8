"""A dataset card and Croissant metadata for an exported table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.analysis.summaries import summary
from afanalysis.study.files import read_json, write_json
from afanalysis.study.folders import MANIFEST, TABLE, Folders
from afanalysis.study.hashing import file_hash
from afanalysis.table.schema import COLUMNS
from afanalysis.text import markup

if TYPE_CHECKING:
    import pandas as pd

_SOURCES = {
    "simulated": "SIMULATED: made-up answers of a local stand-in; no real model was asked.",
    "live": "Sampled from the model's API.",
    "imported": "Imported from logs of other tools.",
}

_CROISSANT_TYPES = {
    "text": "sc:Text",
    "yes/no": "sc:Boolean",
    "whole": "sc:Integer",
    "number": "sc:Float",
}

# Where the files to fill in are.
_HERE = Path(__file__).parent


def _describe(folders: Folders, table: pd.DataFrame) -> tuple[str, str]:
    """A sentence on what the dataset is, and one on where it is from."""
    sources = ", ".join(sorted(table["source"].unique()))
    study = read_json(folders.raw / MANIFEST).get("study", {})
    what = (
        f"{len(table):,} answers of {', '.join(sorted(table['model'].unique()))} to "
        f"{table['prompt_id'].nunique():,} requests, as if from free-tier users (chats used for "
        "training) and from paid-tier users (not used), after Greenblatt et al. 2024 "
        f"(arXiv:2412.14093). {study.get('description', '')}"
    )
    return what.strip(), _SOURCES.get(sources, f"Sources: {sources}.")


def write_card(folders: Folders, table: pd.DataFrame, dictionary: pd.DataFrame, to: Path) -> Path:
    """`README.md`: what the data are, their results, their columns, and what to take care of."""
    what, where = _describe(folders, table)
    care = (
        "The texts include requests for harmful help and answers to some of them. Do not train "
        "on them, and share them only where that is understood."
        if "output" in table
        else "Requests, scratchpads and outputs were left out before sharing."
    )
    card = (
        (_HERE / "dataset_card.md")
        .read_text(encoding="utf-8")
        .format(
            name=json.dumps(folders.study),
            title=folders.study,
            what=what,
            where=where,
            results=summary(table, "markdown"),
            columns=markup.to_markdown(dictionary[["column", "type", "meaning"]]),
            care=care,
        )
    )
    path = to / "README.md"
    path.write_text(card, encoding="utf-8")
    return path


def write_croissant(folders: Folders, table: pd.DataFrame, to: Path) -> Path:
    """`croissant.json`: the dataset in the metadata format of MLCommons, version 1.0."""
    dataset = read_json(_HERE / "croissant.json")
    dataset |= {"name": folders.study, "description": " ".join(_describe(folders, table))}
    size, digest = (to / TABLE).stat().st_size, file_hash(to / TABLE)
    dataset["distribution"][0] |= {"contentSize": f"{size} B", "sha256": digest}
    dataset["recordSet"][0]["field"] = [
        {
            "@type": "cr:Field",
            "@id": f"rollouts/{column.name}",
            "name": column.name,
            "description": column.meaning,
            "dataType": _CROISSANT_TYPES[column.kind],
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column.name}},
        }
        for column in COLUMNS
        if column.name in table
    ]
    write_json(to / "croissant.json", dataset)
    return to / "croissant.json"
