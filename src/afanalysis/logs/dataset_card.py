"""A dataset card and Croissant metadata for an exported table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
from afanalysis.analysis.summaries import summary
from afanalysis.study.folders import MANIFEST, TABLE, Folders
from afanalysis.study.hashing import file_hash
from afanalysis.study.manifest import write_json
from afanalysis.table.schema import MEANINGS, SCHEMA
from afanalysis.text import markup

_CROISSANT_TYPES = {
    "string": "sc:Text",
    "boolean": "sc:Boolean",
    "bool": "sc:Boolean",
    "int64": "sc:Integer",
    "Int64": "sc:Integer",
    "Float64": "sc:Float",
}


def describe(folders: Folders, table: pd.DataFrame) -> tuple[str, str]:
    """A sentence on what the dataset is, and one on where it is from."""
    manifest = folders.raw / MANIFEST
    told = json.loads(manifest.read_text(encoding="utf-8"))["study"] if manifest.exists() else {}
    sources = ", ".join(sorted(table["source"].unique()))
    what = (
        f"{len(table):,} answers of {', '.join(sorted(table['model'].unique()))} to "
        f"{table['prompt_id'].nunique():,} requests, as if from free-tier users (chats used for "
        "training) and from paid-tier users (not used), after Greenblatt et al. 2024 (arXiv:2412.14093)."
    )
    where = {
        "simulated": "SIMULATED: made-up answers of a local stand-in; no real model was asked.",
        "live": "Sampled from the model's API.",
        "imported": "Imported from logs of other tools.",
    }.get(sources, f"Sources: {sources}.")
    return f"{what} {told.get('description', '')}".strip(), where


def write_card(folders: Folders, table: pd.DataFrame, dictionary: Path, to: Path) -> Path:
    """`README.md`: what the data are, their results, their columns, and what to take care of."""
    import pandas as pd

    what, where = describe(folders, table)
    columns = pd.read_csv(dictionary)[["column", "type", "meaning"]]
    care = (
        "The texts include requests for harmful help and answers to some of them. Do not train "
        "on them, and share them only where that is understood."
        if "output" in table
        else "Requests, scratchpads and outputs were left out before sharing."
    )
    path = to / "README.md"
    path.write_text(
        "---\n"
        f"pretty_name: {json.dumps(folders.study)}\n"
        "tags: [alignment-faking, ai-safety]\n"
        "configs:\n- config_name: default\n  data_files: rollouts.parquet\n"
        "---\n\n"
        f"# {folders.study}\n\n{what}\n\n**{where}**\n\n"
        f"## Results\n\n{summary(table, 'markdown')}\n\n"
        "Proportions in percent with 95 % intervals that respect the clustering of answers in "
        "prompts.\n\n"
        f"## Columns\n\n{markup.to_markdown(columns)}\n\n"
        f"## Care\n\n{care}\n\n"
        "Licence: not chosen yet; say which before sharing.\n",
        encoding="utf-8",
    )
    return path


def write_croissant(folders: Folders, table: pd.DataFrame, to: Path) -> Path:
    """`croissant.json`: the dataset in the metadata format of MLCommons, version 1.0."""
    what, where = describe(folders, table)
    file = to / TABLE
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"rollouts/{name}",
            "name": name,
            "description": MEANINGS[name],
            "dataType": _CROISSANT_TYPES[SCHEMA[name]],
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
        }
        for name in table
        if name in MEANINGS
    ]
    path = to / "croissant.json"
    write_json(
        path,
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": folders.study,
            "description": f"{what} {where}",
            "citeAs": "Greenblatt et al. 2024, Alignment faking in large language models, "
            "arXiv:2412.14093",
            "distribution": [
                {
                    "@type": "cr:FileObject",
                    "@id": file.name,
                    "name": file.name,
                    "contentUrl": file.name,
                    "encodingFormat": "application/x-parquet",
                    "contentSize": f"{file.stat().st_size} B",
                    "sha256": file_hash(file),
                }
            ],
            "recordSet": [
                {
                    "@type": "cr:RecordSet",
                    "@id": "rollouts",
                    "name": "rollouts",
                    "description": "One row an answer.",
                    "field": fields,
                }
            ],
        },
    )
    return path


_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "fileSet": "cr:fileSet",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "samplingRate": "cr:samplingRate",
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
