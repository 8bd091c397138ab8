"""Collect a study's rollouts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afanalysis.calls import Answer, Call, Endpoint, Outcome, ask
from afanalysis.errors import InputError
from afanalysis.journal import Journal
from afanalysis.study import Study
from afanalysis.transcripts import split

ROLLOUTS = "rollouts.jsonl"


async def collect(
    study: Study,
    endpoint: Endpoint,
    folder: Path,
    *,
    concurrency: int = 32,
) -> Outcome:
    """Sample what the study plans and the folder does not hold yet.

    Parameters
    ----------
    study
        What to ask.
    endpoint
        Whom to ask.
    folder
        The study's folder under `data/raw`. Rollouts go to `rollouts.jsonl`, the system prompts, by
        hash, to `prompts.json`. One folder holds rollouts of one source, live or simulated.

    Raises
    ------
    InputError
        The folder cannot be written, holds rollouts of another source or study, or is in use; or the
        endpoint does not answer.
    """
    with Journal(folder / ROLLOUTS) as journal:
        _write_manifest(study, folder, endpoint.source)
        return await ask(
            _calls(study, endpoint.source),
            journal,
            endpoint.client,
            _record,
            total=study.size,
            concurrency=concurrency,
            description="rollouts",
        )


def _calls(study: Study, source: str) -> Iterator[Call]:
    sampling = study.sampling.model_dump(exclude_none=True)
    temperature = sampling.pop("temperature", None)
    for planned in study.plan():
        # the long system prompt is the same for many calls: let the API cache it
        system = {
            "type": "text",
            "text": planned.system,
            "cache_control": {"type": "ephemeral"},
        }
        params = {
            "model": planned.model,
            "system": [system],
            "messages": [{"role": "user", "content": planned.user}],
            **sampling,
        }
        if temperature is not None:  # the SDK has no such argument any more; some models take it
            params["extra_body"] = {"temperature": temperature}
        about = {
            "study": study.name,
            "setting": planned.setting,
            "variation": planned.variation,
            "model": planned.model,
            "tier": planned.tier,
            "prompt_id": planned.prompt_id,
            "category": planned.category,
            "sample": planned.sample,
            "source": source,
            "request": planned.request,
            "system": text_hash(planned.system),
        }
        yield Call(planned.key, params, about)


def _record(call: Call, answer: Answer) -> dict[str, Any]:
    parts = split(answer.text)
    # the API's own refusal is an outcome of the experiment, not a malformed answer
    refused_by_api = answer.stop_reason == "refusal"
    return {
        **call.about,
        "valid": parts.valid or refused_by_api,
        "problem": "" if refused_by_api else parts.problem,
        "stop_reason": answer.stop_reason,
        "scratchpad": parts.scratchpad,
        "output": parts.output,
        "thinking": answer.thinking,
        # the whole text is kept where taking it apart lost something
        **({"completion": answer.text} if parts.problem else {}),
        **answer.usage,
        "latency_s": answer.latency_s,
        "attempts": answer.attempts,
        "collected_at": answer.finished_at,
    }


def text_hash(text: str) -> str:
    """The name by which a text is stored once and referred to often."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_manifest(study: Study, folder: Path, source: str) -> None:
    path = folder / "manifest.json"
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: is not JSON ({error}); move it away") from error
        if before.get("source") != source:
            raise InputError(
                f"{folder}: holds {before.get('source')} rollouts and cannot take {source} ones; give "
                "the study another name"
            )
    systems = {
        text_hash(text): text
        for setting in study.settings
        for variation in study.variations
        for text in [study.system_prompt(setting, variation)]
    }
    prompts_path = folder / "prompts.json"
    known = json.loads(prompts_path.read_text(encoding="utf-8")) if prompts_path.exists() else {}
    _write_json(prompts_path, known | systems)
    _write_json(path, {"source": source, "study": study.model_dump(mode="json")})


def _write_json(path: Path, content: Any) -> None:
    """Write a small JSON file whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
