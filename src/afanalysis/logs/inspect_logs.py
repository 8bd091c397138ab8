"""Logs of Inspect AI: read, `.eval` (a zip archive, read without harm) or `.json`, and written."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from afanalysis.errors import InputError
from afanalysis.logs import records
from afanalysis.study.files import json_object, read_json, written_whole
from afanalysis.study.folders import PROMPTS, ROLLOUTS, Folders
from afanalysis.study.hashing import text_hash
from afanalysis.study.journal import read_records
from afanalysis.table.database import refuse_bomb

# Large parts of a sample that are not needed.
_BULKY = ("events", "events_data", "store")

# Inspect's words for why an answer ended, where they differ from `stop`.
_STOP_REASONS = {"": "unknown", "max_tokens": "max_tokens", "refusal": "content_filter"}

# Fields for the state of a sample, read in whatever form they stand.
_STATE_FIELDS = ("invalidation", "error", "limit")

_SCORES = ("complied", "af_full", "af_partial", "score")

# The columns that a sample holds elsewhere than in its metadata.
_NOT_METADATA = ("request", "scratchpad", "output", "refused", "af_reasoning", *_SCORES)


def inspect_rows(path: Path) -> Iterator[records.Row]:
    """The samples of a log as rows; one without an answer is `Rejected`.

    Raises
    ------
    InputError
        Inspect is not installed, or the file is not one of its logs.
    """
    from pydantic import ValidationError

    inspect_log = _imported_inspect()
    for number, (evaluation, content) in enumerate(_samples(path), start=1):
        states = {name: content.get(name) for name in _STATE_FIELDS}
        usual = {"id": number, "epoch": 1, "input": "", "target": "", "messages": [], "output": {}}
        kept = {name: content[name] for name in content if name not in (*_BULKY, *_STATE_FIELDS)}
        left_out: dict[str, None] = {}
        row: Any = None
        while row is None:
            try:
                sample = inspect_log.EvalSample.model_validate(usual | kept)
                sample = inspect_log.resolve_sample_attachments(sample, "core")
                row = _of_sample(sample, evaluation) | states
            except ValidationError as error:
                place, problem = error.errors()[0]["loc"], error.errors()[0]["msg"]
                if _drop(kept, place):
                    left_out[str(place[0])] = None
                else:
                    row = records.Rejected(f"a row that is not a sample ({place}: {problem})")
        parts = ", ".join(left_out)
        yield number, row, parts and f"parts of a sample that cannot be read: left out ({parts})"


def _drop(content: Any, place: tuple[int | str, ...]) -> bool:
    """Remove from a sample what an error is about, or what holds it; whether there was any of it."""
    steps = [content]
    for step in place:
        inner: Any = steps[-1] if isinstance(steps[-1], (dict, list)) else []
        if step not in (inner if isinstance(inner, dict) else range(len(inner))):
            break
        steps.append(inner[step])
    if len(steps) > 1:
        del steps[-2][place[len(steps) - 2]]
    return len(steps) > 1


def _imported_inspect() -> Any:
    """The module of Inspect that holds logs; `InputError` where it is not installed."""
    try:
        from inspect_ai import log
    except ImportError as error:
        raise InputError("Inspect's logs need Inspect: pip install 'afanalysis[inspect]'") from error
    return log


def _samples(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A log's samples, each with the log's description of its evaluation."""
    if records.uncompressed_suffix(path) == ".json":
        log = json_object(records.whole_log(path), f"{path}:")
        samples = log.get("samples")
        for content in samples if isinstance(samples, list) else ():
            yield records.object_of(log.get("eval")), records.object_of(content)
        return
    with _open_archive(path) as archive:
        names = sorted(set(archive.namelist()))
        header = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
        if header is None:
            raise InputError(f"{path}: holds no header.json; it is not a log of Inspect")
        evaluation = records.object_of(_member(archive, header).get("eval"))
        for name in names:
            if name.startswith("samples/") and name.endswith(".json"):
                yield evaluation, _member(archive, name)


def _of_sample(sample: Any, evaluation: dict[str, Any]) -> dict[str, Any]:
    """A sample as a row, with the names that Inspect's own tables give to nested fields."""
    metadata, usage = sample.metadata or {}, sample.output.usage
    choices = [choice.model_dump() for choice in sample.output.choices]
    is_text = isinstance(sample.input, str)
    messages = sample.messages or ([] if is_text else sample.input)
    task = evaluation.get("task_id") or evaluation.get("run_id") or evaluation.get("task")
    row = {
        **{name: getattr(sample, name) for name in ("id", "epoch", "target")},
        "uuid": sample.uuid or f"{task}/{sample.id}/{sample.epoch}",
        "input": sample.input if is_text else "",
        "messages": [message.model_dump(include={"role", "content"}) for message in messages],
        "completion": choices or sample.output.completion,
        "model": evaluation.get("model") or sample.output.model,
        "task": evaluation.get("task"),
        "stop_reason": metadata.get("stop_reason"),
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "completed_at": sample.completed_at or evaluation.get("created"),
    }
    row |= {f"metadata.{name}": value for name, value in metadata.items()}
    arguments = records.object_of(evaluation.get("task_args"))
    row |= {f"task_args.{name}": value for name, value in arguments.items()}
    for name, score in (sample.scores or {}).items():
        parts = score.value if isinstance(score.value, dict) else {"": score.value}
        row |= {f"scores.{name}.{part}".rstrip("."): value for part, value in parts.items()}
        row[f"explanation of {name}"] = score.explanation
        row["edited"] = row.get("edited") or bool(score.history)
    return row


def _open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive that is to be read member by member, never unpacked.

    Raises
    ------
    InputError
        It is not an archive, its content is out of all proportion to its size, or a member's name
        points outside of the archive.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"{path}: is not a zip archive, or a damaged one ({error})") from error
    members = archive.infolist()
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
            raise InputError(f"{path}: member {member.filename!r} points outside of the archive")
    refuse_bomb(path, path.stat().st_size, sum(member.file_size for member in members), "log")
    return archive


def _member(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """The object in a member, of which no more is unpacked than a record may be long."""
    try:
        with archive.open(name) as member:
            content = member.read(records.LONGEST_RECORD + 1)
    except Exception as error:  # each compression has errors of its own
        problem = f"member {name!r} cannot be read, or is damaged ({error})"
        raise InputError(f"{archive.filename}: {problem}") from error
    if len(content) > records.LONGEST_RECORD:
        raise records.too_long(archive.filename, f"member {name!r}")
    return json_object(content, f"{archive.filename}: {name}")


def write_inspect_logs(folders: Folders, table: pd.DataFrame, to: Path) -> Iterator[Path]:
    """Write one log per model, setting and variation.

    Raises
    ------
    InputError
        Inspect is not installed.
    """
    inspect_log = _imported_inspect()
    sent = _as_sent(folders)
    for condition, part in table.groupby(["model", "setting", "variation"], sort=True):
        name = re.sub(r"[^\w.@=+-]", "-", "_".join(condition))[:200]
        path = to / f"{name}-{text_hash(str(condition))[:6]}.eval"
        log = inspect_log.EvalLog.model_validate(_log(folders.study, condition, part, sent))
        with written_whole(path) as temporary:
            inspect_log.write_eval_log(log, str(temporary), format="eval")
        yield path


def _as_sent(folders: Folders) -> dict[str, tuple[str, str]]:
    """By rollout its system prompt, and its completion where that is more than its parts."""
    if not (folders.raw / ROLLOUTS).exists():
        return {}
    systems = read_json(folders.raw / PROMPTS)
    return {
        record["key"]: (systems.get(record.get("system", ""), ""), record.get("completion", ""))
        for record in read_records(folders.raw / ROLLOUTS)
    }


def _log(
    study: str, condition: tuple[str, str, str], part: pd.DataFrame, sent: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    """A log in the form of Inspect's `EvalLog`."""
    model, setting, variation = condition
    samples = [
        _sample(row, *sent.get(row["rollout"], ("", "")))
        for row in part.sort_values(["prompt_id", "tier", "sample"]).to_dict("records")
    ]
    means = part[list(_SCORES)].astype("Float64").mean().dropna()
    times = part["collected_at"].dropna()
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    return {
        "status": "success",
        "eval": {
            "created": str(times.max()) if len(times) else "1970-01-01T00:00:00+00:00",
            "task": f"{study} {setting} {variation}",
            "dataset": {"name": study, "samples": len(samples), "sample_ids": ids},
            "model": model,
            "config": {"epochs": int(part["sample"].max()) + 1},
            "task_args": {"setting": setting, "variation": variation},
        },
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [
                {"name": name, "scorer": name, "metrics": {"mean": {"name": "mean", "value": mean}}}
                for name, mean in means.items()
            ],
        },
        "samples": samples,
    }


def _sample(row: dict[str, Any], system: str, completion: str) -> dict[str, Any]:
    """A sample in the form of Inspect's `EvalSample`."""
    known = {name: value for name, value in row.items() if not pd.isna(value)}
    user = known.get("request", "")
    if row["tier"] in ("free", "paid"):
        user = f"<is_free_tier_user>{row['tier'] == 'free'}</is_free_tier_user>\n{user}"
    output = str(known.get("output", ""))
    if known.get("scratchpad"):
        output = f"<scratchpad>\n{known['scratchpad']}\n</scratchpad>\n<output>\n{output}\n</output>"
    answer = {"role": "assistant", "content": completion or output}
    messages = [{"role": "system", "content": system}] if system else []
    stop = _STOP_REASONS.get(known.get("stop_reason", ""), "stop")
    usage = {name: int(known[name]) for name in ("input_tokens", "output_tokens") if name in known}
    return {
        "id": f"{row['prompt_id']}-{row['tier']}",
        "epoch": int(row["sample"]) + 1,
        "uuid": row["rollout"],
        "input": user,
        "target": "",
        "messages": [*messages, {"role": "user", "content": user}, answer],
        "output": {
            "model": row["model"],
            "choices": [{"message": answer, "stop_reason": stop}],
            "usage": usage | {"total_tokens": sum(usage.values())} if len(usage) == 2 else None,
        },
        "scores": {
            name: {"value": float(known[name]) if name == "score" else bool(known[name])}
            for name in _SCORES
            if name in known
        },
        "metadata": {name: value for name, value in known.items() if name not in _NOT_METADATA},
        "completed_at": known.get("collected_at"),
    }
