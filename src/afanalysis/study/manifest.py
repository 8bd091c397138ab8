"""The record of what a study is and what was done for it: `manifest.json` and `prompts.json`.

It also keeps what a folder was begun with, so that no later version of this package sends something
else. A rollout's key is a hash of what was sent. Parts of that come from the study file, others from
this package: default settings, system prompts, request lists, the form of the user message. The first
run records the latter, and every later run in the folder sends the same, however the package has changed
since. What the study file itself sets is always taken from the file as it is now.
"""

import platform
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from afanalysis.errors import InputError
from afanalysis.study import prompts
from afanalysis.study.design import KeptTexts, Sampling, Study
from afanalysis.study.files import as_written, read_json, read_yaml, write_json
from afanalysis.study.folders import MANIFEST, PROMPTS, ROLLOUTS
from afanalysis.study.hashing import file_hash, text_hash
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget
from afanalysis.study.prompts import Request


@dataclass
class Manifest:
    """A study's manifest while a run is under way."""

    folder: Path
    content: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, study: Study, source: str, address: str) -> Self:
        """Record that a run begins.

        Parameters
        ----------
        folder, study
            The raw folder, and the study as it was begun there.
        source, address
            What the answers are (`live` or `simulated`), and where the calls go.

        Raises
        ------
        InputError
            The folder holds rollouts of another study or source, or its manifest is not JSON.
        """
        before = read_json(folder / MANIFEST)
        run = {"started": _now(), "ended": None, "endpoint": address, "versions": versions()}
        with as_written(folder / MANIFEST):
            held, name = (before["source"], before["study"]["name"]) if before else (source, study.name)
            begun, runs = parts_to_keep(study, before), [*before.get("runs", []), run]
        if held != source:
            problem = f"holds {held} rollouts and cannot take {source} ones"
            raise InputError(f"{folder}: {problem}; give the study another name")
        if name != study.name:
            problem = f"holds the study {name!r}, not {study.name!r}"
            raise InputError(f"{folder}: {problem}; give each study its own folder")
        content = {"source": source, "collected": 0, "spend": None, "files": {}} | before
        content |= {"study": study.model_dump(mode="json"), "planned": study.size}
        content |= {"current": _current(study), "begun": begun, "runs": runs}
        with as_written(folder / MANIFEST):
            _refuse_renamed(folder, before, content)
        systems = {text_hash(text): text for text in study.systems().values()}
        write_json(folder / PROMPTS, read_json(folder / PROMPTS) | systems)
        write_json(folder / MANIFEST, content)
        return cls(folder, content)

    def close(self, sent: int, collected: int, budget: Budget | None) -> None:
        """Record that the run has ended, with the study's counts and spend so far.

        A run that had nothing to send leaves no trace, so that nothing made from the study goes out of
        date because of it.
        """
        if not sent and len(self.content["runs"]) > 1:
            self.content["runs"].pop()
        else:
            self.content["runs"][-1]["ended"] = _now()
        if sent:
            self.content.pop("ended", None)  # of a study that was looked at while it ran
        self.content["collected"] = collected
        self.content["files"] = {ROLLOUTS: file_hash(self.folder / ROLLOUTS)}
        if budget:
            spend, as_of = budget.spend, str(budget.prices.as_of)
            known = {"usd": round(spend.usd, 6), "tokens": spend.tokens, "prices_as_of": as_of}
            self.content["spend"] = known | {"tokens_without_a_price": spend.unpriced_tokens}
        write_json(self.folder / MANIFEST, self.content)


def _refuse_renamed(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise where a new name stands for what one that is gone stood for: rollouts keep the first."""

    def meanings(manifest: dict[str, Any]) -> tuple[dict[str, str], ...]:
        tiers = manifest.get("study", {}).get("own_tiers", {})
        systems = manifest.get("current", {}).get("systems", {})
        return systems, {name: tier["tag"] for name, tier in tiers.items()}

    for old, new in zip(meanings(before), meanings(now), strict=True):
        gone = {meaning: name for name, meaning in old.items() if name not in new}
        for name in sorted(new.keys() - old.keys()):
            if was := gone.get(new[name]):
                problem = f"{was!r} was collected here, and {name!r} sends the same; call it as before"
                raise InputError(f"{folder}: {problem}, or give the study another name")


def _current(study: Study) -> dict[str, Any]:
    """The hashes of what the study sends now; only rollouts that were sent the same are analysed."""
    return {
        "sampling": sampling_hash(study.sampling),
        "sampling_by_model": {name: sampling_hash(study.sampling_of(name)) for name in study.models},
        "systems": {" ".join(place): text_hash(text) for place, text in study.systems().items()},
        "requests": {
            setting: {request.prompt_id: text_hash(request.text) for request in study.requests(setting)}
            for setting in study.settings
        },
    }


def sampling_hash(sampling: Sampling) -> str:
    """The hash of sampling settings."""
    return text_hash(sampling.model_dump_json(exclude_none=True))


def versions() -> dict[str, str]:
    """The versions of the software that made a run."""
    packages = {name: version(name) for name in ("afanalysis", "anthropic")}
    return packages | {"python": platform.python_version()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
    with as_written(folder / MANIFEST):
        begun = manifest.get("begun", {"defaults": _FIRST_DEFAULTS})
        merged = Study(**_merged(begun["defaults"], study.model_dump(exclude_unset=True)))
        return merged.with_texts(_kept_texts(merged, manifest, folder))


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
    tiers = [name for name in study.tiers if name not in study.own_tiers]
    variations = dict.fromkeys(["default", *study.variations])
    shipped = [name for name in variations if name not in study.own_variations]
    messages = {name: {tier: study.user_message(tier, "{}", name) for tier in tiers} for name in shipped}
    requests = {name: [*map(astuple, study.package_requests(name))] for name in settings}
    begun = before.get("begun", {})
    return {
        "defaults": begun.get("defaults", defaults if not before else _FIRST_DEFAULTS),
        "requests": requests | begun.get("requests", {}),
        "messages": messages | begun.get("messages", {}),
    }


def _merged(defaults: dict[str, Any], explicit: dict[str, Any]) -> dict[str, Any]:
    """Explicit settings override defaults, at every level."""
    merged = dict(defaults)
    for name, value in explicit.items():
        nested = isinstance(value, dict) and isinstance(defaults.get(name), dict)
        merged[name] = _merged(defaults[name], value) if nested else value
    return merged


def _kept_texts(study: Study, manifest: dict[str, Any], folder: Path) -> KeptTexts:
    texts, begun = read_json(folder / PROMPTS), manifest.get("begun", {})
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
    return KeptTexts(systems, lists, begun.get("messages", {}), current.get("requests", {}))


def _first_requests(setting: str, hashes: dict[str, str], folder: Path) -> list[Request]:
    """The package's list as it was, from hashes; texts that have changed since are in the rollouts."""
    current = {request.prompt_id: request for request in prompts.requests(setting)}
    now = {prompt_id: text_hash(request.text) for prompt_id, request in current.items()}
    sent: dict[str, Request] = {}
    if not hashes.items() <= now.items() and (folder / ROLLOUTS).exists():
        for record in read_records(folder / ROLLOUTS, ("setting", "prompt_id", "category", "request")):
            prompt_id, text = record["prompt_id"], record["request"]
            if record["setting"] == setting and text_hash(text) == hashes.get(prompt_id):
                sent[prompt_id] = Request(prompt_id, record["category"], text)
    known = current | sent
    kept = {prompt_id: known[prompt_id] for prompt_id in hashes if prompt_id in known}
    return [*kept.values(), *(request for name, request in current.items() if name not in kept)]
