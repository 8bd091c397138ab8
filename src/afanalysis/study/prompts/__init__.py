"""System prompts, their variations and the request lists that ship with the package."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.files import read_csv, read_yaml
from afanalysis.study.hashing import text_hash

SETTINGS = ("helpful-only", "animal-welfare")

TIERS = ("free", "paid")

# What the tidy table calls the variation of a system prompt that a study's own file replaces.
OWN_PROMPT = "own prompt"

# Columns that hold the request in lists made elsewhere: AdvBench, StrongREJECT, HarmBench.
TEXT_COLUMNS = ("text", "goal", "prompt", "forbidden_prompt", "behavior")


@dataclass(frozen=True)
class Request:
    """A request: its id, a category for grouping, and the text."""

    prompt_id: str
    category: str
    text: str


@cache
def _shipped(name: str) -> dict[str, Any]:
    return read_yaml(Path(__file__).with_name(name), "a mapping")


def variations() -> dict[str, dict[str, Any]]:
    """The named edits of the default system prompt, as `variations.yaml` describes them."""
    return _shipped("variations.yaml")


def variation_edit(variation: str) -> dict[str, Any]:
    """The edit of one of the package's variations."""
    if variation not in variations():
        raise InputError(f"variation is {variation!r}; use one of: {', '.join(variations())}")
    return variations()[variation]


def setting_texts(setting: str) -> dict[str, Any]:
    """What one of the package's settings consists of, as its file describes it."""
    if setting not in SETTINGS:
        raise InputError(f"setting is {setting!r}; use one of: {', '.join(SETTINGS)}")
    return _shipped(f"{setting}.yaml")


def edited(parts: dict[str, str], edit: dict[str, Any]) -> str:
    """The system prompt that some parts make up, with a variation's edits applied."""
    texts: list[str] = []
    added = edit.get("add", "")
    for name, text in parts.items():
        if name == "format" and added:
            texts, added = [*texts, added], ""
        if name not in edit.get("drop", ()):
            texts.append(edit.get("replace", {}).get(name, text))
    prompt = "\n".join([*texts, added] if added else texts)
    for old, new in edit.get("substitute", {}).items():
        prompt = prompt.replace(old, new)
    return prompt


def system_prompt(setting: str, variation: str = "default") -> str:
    """The system prompt of a setting, with a variation's edits applied.

    Examples
    --------
    >>> "retraining you" in system_prompt("helpful-only")
    True
    >>> "OpenAI" in system_prompt("helpful-only", "another-lab")
    True
    """
    return edited(setting_texts(setting)["parts"], variation_edit(variation))


def user_message(
    tier: str, text: str, variation: str = "default", tag: Mapping[Any, str] | None = None
) -> str:
    """The user message: the tag that names the tier, then the request."""
    default = {"name": "is_free_tier_user", "free": "True", "paid": "False"}
    tag = tag or variation_edit(variation).get("tag", default)
    return f"<{tag['name']}>{tag[tier]}</{tag['name']}>\n{text}"


def requests(setting: str) -> list[Request]:
    """The request list that ships with the package for a setting."""
    return read_requests(Path(__file__).with_name(setting_texts(setting)["requests"]))


def read_requests(path: Path) -> list[Request]:
    """Read a user's own request list.

    Parameters
    ----------
    path
        CSV with a column `text`, `goal`, `prompt`, `forbidden_prompt` or `behavior` (so the lists of
        AdvBench, StrongREJECT and HarmBench load as they ship); `prompt_id` and `category` are
        optional. A missing id is made from the text, so it stays the same when lines move.

    Raises
    ------
    InputError
        The file is missing or empty, has no text column, or has the same id or text twice.
    """
    rows = [
        (line, {name.lower(): value for name, value in row.items() if name})
        for line, row in read_csv(path)
    ]
    if not rows:
        raise InputError(f"{path}: holds no requests; write a header line and one line per request")
    column = next((name for name in TEXT_COLUMNS if name in rows[0][1]), None)
    if column is None:
        raise InputError(f"{path}: a column {', '.join(TEXT_COLUMNS)} must hold the request")
    requests: list[Request] = []
    for line, row in rows:
        text = row[column].strip()
        if not text:
            raise InputError(f"{path}: line {line} has an empty {column!r}")
        prompt_id = row.get("prompt_id") or f"text-{text_hash(text)[:10]}"
        requests.append(Request(prompt_id, row.get("category", ""), text))
    refuse_duplicates(requests, str(path))
    return requests


def refuse_duplicates(requests: list[Request], place: str) -> None:
    """Raise `InputError` if two requests share an id."""
    [(prompt_id, times)] = Counter(request.prompt_id for request in requests).most_common(1)
    if times > 1:
        raise InputError(f"{place}: prompt_id {prompt_id!r} occurs twice; ids must be unique")
