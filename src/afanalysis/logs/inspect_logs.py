"""Read logs of Inspect AI, `.eval` or `.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.logs.archives import open_archive, read_member
from afanalysis.logs.json_records import json_object
from afanalysis.logs.log_rows import Rejected, Row

_LARGEST_JSON_LOG = 512 << 20

# Large parts of a sample that are not needed.
_BULKY = ("events", "events_data", "store")


def inspect_rows(path: Path) -> Iterator[Row]:
    """The samples of a log as rows; one without an answer is `Rejected`.

    Raises
    ------
    InputError
        Inspect is not installed, or the file is not one of its logs.
    """
    try:
        from inspect_ai.log import EvalSample, resolve_sample_attachments
    except ImportError as error:
        raise InputError(
            f"{path}: reading Inspect's logs needs Inspect: pip install 'afanalysis[inspect]'"
        ) from error
    from pydantic import ValidationError

    for number, (evaluation, content) in enumerate(_samples(path), start=1):
        kept = {name: part for name, part in content.items() if name not in _BULKY}
        try:
            sample = resolve_sample_attachments(EvalSample.model_validate(kept), "core")
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"a row that is not a sample ({first['loc']}: {first['msg']})"
            yield number, Rejected(reason), ""
        else:
            yield number, _of_sample(sample, evaluation), ""


def _samples(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A log's samples, each with the log's description of its evaluation."""
    if path.suffix.lower() == ".json":
        if path.stat().st_size > _LARGEST_JSON_LOG:
            raise InputError(
                f"{path}: a JSON log has to be read whole, and this one is larger than "
                f"{_LARGEST_JSON_LOG >> 20} MB; convert it: inspect log convert --to eval"
            )
        log = json_object(path, "the log", path.read_bytes())
        for content in log.get("samples") or []:
            yield log.get("eval") or {}, content
        return
    with open_archive(path) as archive:
        names = sorted(set(archive.namelist()))
        header = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
        if header is None:
            raise InputError(f"{path}: holds no header.json; it is not a log of Inspect")
        evaluation = json_object(path, header, read_member(archive, header)).get("eval") or {}
        for name in names:
            if name.startswith("samples/") and name.endswith(".json"):
                yield evaluation, json_object(path, name, read_member(archive, name))


def _of_sample(sample: Any, evaluation: dict[str, Any]) -> Any:
    """A sample as a row, with the names that Inspect's own tables give to nested fields."""
    if sample.error is not None and not (sample.output and sample.output.completion):
        return Rejected("a sample that ended in an error", f"{sample.id}: {sample.error.message}")
    texts = {message.role: message.text for message in sample.messages}
    metadata, choices, usage = sample.metadata or {}, sample.output.choices, sample.output.usage
    blocks = sample.output.message.content if choices else ""
    thinking = [
        block.reasoning
        for block in (blocks if isinstance(blocks, list) else [])
        if block.type == "reasoning" and not block.redacted
    ]
    row = {
        "id": sample.id,
        "epoch": sample.epoch,
        "uuid": sample.uuid,
        "input": texts.get("user") or (sample.input if isinstance(sample.input, str) else ""),
        "system": texts.get("system", ""),
        "completion": sample.output.completion,
        "thinking": "\n".join(thinking),
        "model": evaluation.get("model") or sample.output.model,
        "task": evaluation.get("task"),
        "target": sample.target,
        "stop_reason": metadata.get("stop_reason") or (choices[0].stop_reason if choices else None),
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "completed_at": sample.completed_at or evaluation.get("created"),
    }
    row |= {f"metadata.{name}": value for name, value in metadata.items()}
    row |= {f"task_args.{name}": value for name, value in (evaluation.get("task_args") or {}).items()}
    for name, score in (sample.scores or {}).items():
        parts = score.value if isinstance(score.value, dict) else {"": score.value}
        row |= {f"scores.{name}.{part}".rstrip("."): value for part, value in parts.items()}
        row[f"explanation of {name}"] = score.explanation
    return row
