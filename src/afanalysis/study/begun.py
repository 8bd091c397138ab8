"""What a study folder was begun with, so that no later version of this package sends something else.

A rollout's key is a hash of what was sent. Parts of that come from the study file, others from this
package: default settings, system prompts, request lists, the form of the user message. The first run
records the latter, and every later run in the folder sends the same, however the package has changed
since. What the study file itself sets is always taken from the file as it is now.
"""

from pathlib import Path
from typing import Any

from afanalysis.study import prompts
from afanalysis.study.design import KeptTexts, Study
from afanalysis.study.files import as_written, read_json, read_yaml
from afanalysis.study.folders import MANIFEST, PROMPTS, ROLLOUTS
from afanalysis.study.hashing import text_hash
from afanalysis.study.journal import read_records
from afanalysis.study.prompts import Request

# The defaults of the versions that did not record theirs.
_FIRST_DEFAULTS = read_yaml(Path(__file__).with_name("first_defaults.yaml"), "a study's defaults")


def as_begun(study: Study, folder: Path) -> Study:
    """The study with the package's contributions as they were when its folder was begun.

    Parameters
    ----------
    study
        As read from its file.
    folder
        Its raw folder; if it does not exist yet, the study stays as it is.

    Raises
    ------
    InputError
        A file of the folder is damaged.
    """
    manifest = read_json(folder / MANIFEST)
    if not manifest or study.imported:
        return study
    explicit = study.model_dump(exclude_unset=True)
    with as_written(folder / MANIFEST):
        begun = manifest.get("begun", {"defaults": _FIRST_DEFAULTS})
        merged = Study(**_merged(begun["defaults"], explicit))
        return merged.with_texts(_kept_texts(merged, manifest, begun, folder))


def parts_to_keep(study: Study, before: dict[str, Any]) -> dict[str, Any]:
    """The package's contributions that the manifest keeps; system prompts are in `prompts.json`.

    Parameters
    ----------
    study
        As `as_begun` returns it.
    before
        The manifest so far; what it already keeps does not change.
    """
    defaults = Study(name="defaults").model_dump(mode="json", exclude_none=True, exclude={"name"})
    settings = [name for name in study.settings if name not in study.own_settings]
    messages = {
        variation: {
            tier: study.user_message(tier, "{}", variation)
            for tier in study.tiers
            if tier not in study.own_tiers
        }
        for variation in dict.fromkeys(["default", *study.variations])
        if variation not in study.own_variations
    }
    begun = before.get("begun", {})
    return {
        "defaults": begun.get("defaults", defaults if not before else _FIRST_DEFAULTS),
        "requests": {
            name: [[each.prompt_id, each.category, each.text] for each in study.package_requests(name)]
            for name in settings
        }
        | begun.get("requests", {}),
        "messages": messages | begun.get("messages", {}),
    }


def _merged(defaults: dict[str, Any], explicit: dict[str, Any]) -> dict[str, Any]:
    """Explicit settings override defaults, at every level."""
    merged = dict(defaults)
    for name, value in explicit.items():
        nested = isinstance(value, dict) and isinstance(defaults.get(name), dict)
        merged[name] = _merged(defaults[name], value) if nested else value
    return merged


def _kept_texts(
    study: Study, manifest: dict[str, Any], begun: dict[str, Any], folder: Path
) -> KeptTexts:
    texts = read_json(folder / PROMPTS)
    current, before = manifest.get("current", {}), manifest.get("study", {})
    now = study.model_dump(mode="json")
    systems: dict[tuple[str, ...], str] = {}
    for place, name in current.get("systems", {}).items():
        setting, variation = place.split(" ", 1)
        own = (("own_settings", setting), ("system_prompts", setting), ("own_variations", variation))
        if name in texts and all(before.get(f, {}).get(n) == now[f].get(n) for f, n in own):
            systems[setting, variation] = texts[name]
    if "requests" in begun:
        lists = {name: [Request(*row) for row in rows] for name, rows in begun["requests"].items()}
    else:
        lists = {
            setting: _first_requests(setting, hashes, folder)
            for setting, hashes in current.get("requests", {}).items()
        }
    return KeptTexts(systems, lists, begun.get("messages", {}))


def _first_requests(setting: str, hashes: dict[str, str], folder: Path) -> list[Request]:
    """The package's list as it was, from hashes; texts that have changed since are in the rollouts."""
    current = {request.prompt_id: request for request in prompts.requests(setting)}
    changed = {
        prompt_id
        for prompt_id, name in hashes.items()
        if prompt_id not in current or text_hash(current[prompt_id].text) != name
    }
    sent: dict[str, Request] = {}
    if changed and (folder / ROLLOUTS).exists():
        for record in read_records(folder / ROLLOUTS, ("setting", "prompt_id", "category", "request")):
            prompt_id, text = record["prompt_id"], record["request"]
            if record["setting"] == setting and text_hash(text) == hashes.get(prompt_id):
                sent[prompt_id] = Request(prompt_id, record["category"], text)
    kept = {
        prompt_id: sent.get(prompt_id) or current[prompt_id]
        for prompt_id in hashes
        if prompt_id in sent or prompt_id in current
    }
    return [*kept.values(), *(request for name, request in current.items() if name not in kept)]
