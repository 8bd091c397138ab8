"""What the API takes per model, as `models.yaml` has it, and what it finds wrong with a request."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from afanalysis.study.files import read_yaml

# The values of the header anthropic-version, the latest last: what the SDK has sent since 2.0
# (_constants.py of SDK 2.13.0).
VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")

# Settings that the latest version has removed (platform.claude.com, migration guide of 2026-10-21), with
# the defaults at which the models that no longer take them still accept them under the older versions.
SAMPLING: dict[str, float | None] = {"temperature": 1, "top_p": 1, "top_k": None}


class ModelFacts(BaseModel, extra="forbid", frozen=True):
    """What one model takes; `models.yaml` says what the fields mean."""

    info: dict[str, Any] = {}
    thinks: bool = False
    omits: bool = False
    usual: str = "high"
    sampling: bool = False

    def problems(self, body: dict[str, Any], version: str) -> Iterator[str]:
        """What the API would find wrong with the settings of a request."""
        thinking, output = body.get("thinking") or {}, body.get("output_config") or {}
        kind, effort, most = thinking.get("type"), output.get("effort"), body["max_tokens"]
        takes = self.info["capabilities"]
        for name in SAMPLING.keys() & body.keys():
            fits = self.sampling or body[name] == SAMPLING[name]
            if version == VERSIONS[-1] or not fits:
                yield f"`{name}` is deprecated for this model."
        if most > self.info["max_tokens"]:
            yield f"max_tokens: {most} > {self.info['max_tokens']}, the maximum for {body['model']}"
        if output.get("format") and not takes["structured_outputs"]["supported"]:
            yield "output_config.format: not supported by this model"
        if effort is not None and not takes["effort"].get(effort, {}).get("supported"):
            yield f"output_config.effort: {effort!r} is not supported by this model"
        if kind is not None and not takes["thinking"]["types"].get(kind, {}).get("supported"):
            yield f'"thinking.type.{kind}" is not supported for this model.'
        if self.thinks and kind in ("disabled", "between_tools") and effort in ("xhigh", "max"):
            yield f"thinking cannot be turned off at effort level {effort!r}"
        if kind == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < most:
            yield "thinking.enabled.budget_tokens: must be at least 1024 and less than max_tokens"


# An open server's model.
OPEN = ModelFacts()


# What `models.yaml` has: the facts of the API's models by name, the types of its errors by status, and
# what is believed of answers.
_LISTED = read_yaml(Path(__file__).with_name("models.yaml"), "a table of models")
KNOWN_MODELS = {name: ModelFacts(**fields) for name, fields in _LISTED["models"].items()}
ERROR_TYPES: dict[int, str] = _LISTED["errors"]
BELIEFS: dict[str, dict[str, Any]] = _LISTED["beliefs"]


def facts_of(name: str) -> ModelFacts:
    """What is known about a model, with or without the date in its name; `OPEN` if it is not listed."""
    return KNOWN_MODELS.get(name) or KNOWN_MODELS.get(re.sub(r"-20\d{6}$", "", name), OPEN)
