"""The record of what a study is and what was done for it: `manifest.json` and `prompts.json`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.study.begun import parts_to_keep
from afanalysis.study.design import Sampling, Study
from afanalysis.study.files import as_written, read_json, write_json
from afanalysis.study.folders import MANIFEST, PROMPTS, ROLLOUTS
from afanalysis.study.hashing import file_hash, text_hash
from afanalysis.study.ledger import Budget


@dataclass
class Manifest:
    """A study's manifest while a run is under way."""

    folder: Path
    content: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, study: Study, source: str, address: str) -> Manifest:
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
        content = {
            "source": source,
            "study": study.model_dump(mode="json"),
            "planned": study.size,
            "collected": before.get("collected", 0),
            "current": _current(study),
            "begun": begun,
            "spend": before.get("spend"),
            "runs": runs,
            "files": before.get("files", {}),
        }
        if "ended" in before:
            content["ended"] = before["ended"]  # of a study that was looked at while it ran
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
            self.content.pop("ended", None)
        self.content["collected"] = collected
        self.content["files"] = {ROLLOUTS: file_hash(self.folder / ROLLOUTS)}
        if budget:
            spend = budget.spend
            self.content["spend"] = {
                "usd": round(spend.usd, 6),
                "tokens": spend.tokens,
                "tokens_without_a_price": spend.unpriced_tokens,
                "prices_as_of": str(budget.prices.as_of),
            }
        write_json(self.folder / MANIFEST, self.content)


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
