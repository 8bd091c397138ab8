"""Read results of the open-source alignment-faking pipeline."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from afanalysis.logs.json_records import json_rows
from afanalysis.logs.log_rows import Row, text_of

# By column the field that fills it.
USUAL_FIELDS = {
    "request": "user_input",
    "completion": "output",
    "output": "output_without_scratchpad",
    "tier": "tags",
    "system": "system",
    "score": "strong_reject_score",
    "accepts": "output_contains_acceptance",
    "rejects": "output_contains_refusal",
    "af": "deceptive_alignment",
    "compromise": "partial_compliance",
    "collected_at": "timestamp",
}

_SETTING = re.compile(r"^(helpful[-_ ]?only|animal[-_ ]?welfare)[-_ ]*", re.I)


def pipeline_rows(path: Path) -> Iterator[Row]:
    """The rows of a list or of lines; their fields `system`, `user_message` hold the messages' texts."""
    for number, row, forgiven in json_rows(path):
        if isinstance(row, dict):
            prompt = row.pop("prompt", None)
            messages = prompt.get("messages", ()) if isinstance(prompt, dict) else ()
            by_role = {
                message.get("role"): message.get("content")
                for message in messages
                if isinstance(message, dict)
            }
            for name, role in (("system", "system"), ("user_message", "user")):
                content = by_role.get(role)
                row[name] = text_of(content) if isinstance(content, list) else content
        yield number, row, forgiven


def columns_of_place(path: Path) -> dict[str, str]:
    """Setting, variation and model by the folders: `…/SETTING_VARIATION/MODEL/results_TIME.json`."""
    folders = [os.fsencode(name).decode("utf-8", "replace") for name in path.absolute().parts[:-1]]
    for depth, name in reversed(list(enumerate(folders))):
        if setting := _SETTING.match(name):
            columns = {"setting": setting.group(1)}
            if variation := name[setting.end() :]:
                columns["variation"] = variation
            if depth + 1 < len(folders):
                columns["model"] = folders[-1]
            return columns
    return {}
