"""System prompts, their variations and the request lists that ship with the package."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError

SETTINGS = ("helpful-only", "animal-welfare")

TIERS = ("free", "paid")

# Columns that hold the request in lists made elsewhere: AdvBench, StrongREJECT, HarmBench.
TEXT_COLUMNS = ("text", "goal", "prompt", "forbidden_prompt", "behavior")


@dataclass(frozen=True)
class Request:
    """One thing to ask: its id, a category for grouping, and the text."""

    prompt_id: str
    category: str
    text: str


@cache
def _yaml(name: str) -> dict[str, Any]:
    import yaml

    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def variations() -> dict[str, dict[str, Any]]:
    """The named edits of the default system prompt, as `variations.yaml` describes them."""
    return _yaml("variations.yaml")


def _edited(name: str) -> dict[str, Any]:
    if name not in variations():
        raise InputError(f"variation is {name!r}; use one of: {', '.join(variations())}")
    return variations()[name]


def system_prompt(setting: str, variation: str = "default") -> str:
    """The system prompt of a setting, with a variation's edits made.

    Examples
    --------
    >>> "retraining you" in system_prompt("helpful-only")
    True
    >>> "OpenAI" in system_prompt("helpful-only", "another-lab")
    True
    """
    if setting not in SETTINGS:
        raise InputError(f"setting is {setting!r}; use one of: {', '.join(SETTINGS)}")
    edit = _edited(variation)
    sections = dict(_yaml(f"{setting}.yaml")) | edit.get("replace", {})
    parts: list[str] = []
    for name, text in sections.items():
        if name == "format" and "add" in edit:
            parts.append(edit["add"])
        if name not in edit.get("drop", ()):
            parts.append(text)
    prompt = "\n".join(parts)
    for old, new in edit.get("substitute", {}).items():
        prompt = prompt.replace(old, new)
    return prompt


def user_message(tier: str, text: str, variation: str = "default") -> str:
    """The user message: the tag that names the tier, then the request."""
    default = {"name": "is_free_tier_user", "free": "True", "paid": "False"}
    tag = _edited(variation).get("tag", default)
    return f"<{tag['name']}>{tag[tier]}</{tag['name']}>\n{text}"


def requests(setting: str) -> list[Request]:
    """The request list that ships with the package for a setting."""
    with files(__package__).joinpath(f"{setting}.csv").open(encoding="utf-8") as lines:
        return [Request(**row) for row in csv.DictReader(lines)]


def read_requests(path: Path) -> list[Request]:
    """A request list of the user's own.

    Parameters
    ----------
    path
        CSV with a column `text`, `goal`, `prompt`, `forbidden_prompt` or `behavior` (so the lists of
        AdvBench, StrongREJECT and HarmBench load as they ship); `prompt_id` and `category` are
        optional. A missing id is made from the text, so it stays the same when lines move.

    Raises
    ------
    InputError
        The file is missing or empty, has no text column, or names an id or a text twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [{k.lower(): v for k, v in row.items() if k} for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    if not rows:
        raise InputError(f"{path}: holds no requests; write a header line and one line a request")
    column = next((name for name in TEXT_COLUMNS if name in rows[0]), None)
    if column is None:
        raise InputError(
            f"{path}: has the columns {', '.join(rows[0])}; one of {', '.join(TEXT_COLUMNS)} "
            "must hold the request"
        )
    found: list[Request] = []
    for line, row in enumerate(rows, start=2):
        text = (row.get(column) or "").strip()
        if not text:
            raise InputError(f"{path}: line {line} has an empty {column!r}")
        made = "text-" + hashlib.sha256(text.encode()).hexdigest()[:10]
        found.append(Request(row.get("prompt_id") or made, row.get("category") or "", text))
    refuse_duplicates(found, str(path))
    return found


def refuse_duplicates(requests: list[Request], place: str) -> None:
    """Raise `InputError` if two requests share an id."""
    seen: set[str] = set()
    for request in requests:
        if request.prompt_id in seen:
            raise InputError(
                f"{place}: prompt_id {request.prompt_id!r} stands twice; ids must be unique"
            )
        seen.add(request.prompt_id)
