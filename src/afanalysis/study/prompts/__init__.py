"""System prompts, their variations and the request lists that ship with the package."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.files import column_names, json_list, read_csv, read_yaml
from afanalysis.study.hashing import text_hash
from afanalysis.text.untrusted import excerpt

SETTINGS = ("helpful-only", "animal-welfare")

TIERS = ("free", "paid")

# What the tidy table calls the variation of a system prompt that a study's own file replaces.
OWN_PROMPT = "own prompt"

# Columns that hold the request in lists made elsewhere; docs/collecting.md says in which.
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
    drop, replace = edit.get("drop", ()), edit.get("replace", {})
    texts = [None if name in drop else replace.get(name, text) for name, text in parts.items()]
    texts.insert([*parts, "format"].index("format"), edit.get("add") or None)
    prompt = "\n".join(text for text in texts if text is not None)
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


def read_requests(path: Path, begun: Container[str] = ()) -> list[Request]:
    """Read a user's own request list.

    Parameters
    ----------
    path
        A table with a column `text`, `goal`, `prompt`, `forbidden_prompt` or `behavior`, as CSV or JSON;
        `prompt_id` and `category` are optional. JSON may also be a list of texts. The lists of AdvBench,
        StrongREJECT, JailbreakBench, TDC and HarmBench (with its contexts) are read as they ship.
        A missing id is made from the text, so it stays the same when lines move.
    begun
        The ids in a folder that was begun: requests of HarmBench's form that were sent under an id made
        from the behaviour, without its context, stay as they were.

    Raises
    ------
    InputError
        The file is missing or empty, has no text column, or has the same id or text twice.

    References
    ----------
    How a context goes before a request: `DirectRequest` of HarmBench (Mazeika et al. 2024),
    `baselines/direct_request/direct_request.py`.
    """
    is_json = path.suffix.lower() in (".json", ".jsonl", ".ndjson")
    listed = json_list(path) if is_json else ((f"line {line}", row) for line, row in read_csv(path))
    rows = [(place, _row(value, f"{path}: {place}")) for place, value in listed]
    if not rows:
        raise InputError(f"{path}: holds no requests; write a header line and one line per request")
    column = next((name for name in TEXT_COLUMNS if name in rows[0][1]), None)
    if column is None:
        problem = f"a column {', '.join(TEXT_COLUMNS)} must hold the request"
        raise InputError(f"{path}: {problem}; it has {column_names(rows[0][1])}")
    requests: list[Request] = []
    places: dict[tuple[str, str], str] = {}
    for place, row in rows:
        text = row.get(column, "").strip()
        if not text:
            raise InputError(f"{path}: {place} has an empty {column!r}")
        prompt_id, category = row.get("prompt_id"), row.get("category")
        if column == "behavior" and f"text-{text_hash(text)[:10]}" not in begun:  # as HarmBench ships it
            if row.get("imagefilename"):
                raise InputError(f"{path}: {place} asks about an image, which is not sent; leave it out")
            if context := row.get("contextstring"):
                text = f"{context}\n\n---\n\n{text}"
            prompt_id = prompt_id or row.get("behaviorid")
            category = category or row.get("semanticcategory")
        request = Request(prompt_id or f"text-{text_hash(text)[:10]}", category or "", text)
        for name in ("text", "prompt_id"):
            value = getattr(request, name)
            if (first := places.setdefault((name, value), place)) != place:
                problem = f"{first} and {place} have the same {name}, {excerpt(value)}; leave one out"
                raise InputError(f"{path}: {problem}")
        requests.append(request)
    return requests


def _row(value: Any, where: str) -> dict[str, str]:
    """An element of a list as texts by lower-case names; one that is itself a text is the request."""
    row = {"text": value} if isinstance(value, str) else value
    if not isinstance(row, dict):
        raise InputError(f"{where} is {excerpt(value)}; write a text or an object")
    for name, content in row.items():
        if isinstance(content, list | dict) and name.lower() in (*TEXT_COLUMNS, "prompt_id", "category"):
            raise InputError(f"{where}: {name!r} is {excerpt(content)}; write a text")
    return {name.lower(): "" if content is None else str(content) for name, content in row.items()}
