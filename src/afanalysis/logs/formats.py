"""The formats of other tools: how each is recognised, and its rows one after another."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Fields
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afanalysis import logs
from afanalysis.errors import InputError
from afanalysis.logs import json_text
from afanalysis.logs.finding import LONGEST_RECORD, Archive, Found
from afanalysis.logs.json_text import Unreadable
from afanalysis.logs.rows import Rejected
from afanalysis.study.design import Study

# A row, its number in the file, and what had to be forgiven to read it.
Row = tuple[int, Any, str]

_HEAD = 1 << 16

_BLANK = 256

_LARGEST_JSON_LOG = 512 << 20


@dataclass(frozen=True)
class Part:
    """A file, or a range of bytes of one, to be read."""

    file: Found
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Format:
    """A format of logs.

    Attributes
    ----------
    name
        What it is called on the command line.
    rows
        Reads a part's rows; with what its requests were, by custom id, where a format needs them.
    usual
        By column the field that fills it.
    file
        What a file's place tells of all its rows.
    by_lines
        Whether each line of a file is a row, so that it can be read in several parts.
    """

    name: str
    rows: Callable[[Part, Fields[str, Any]], Iterator[Row]]
    usual: Fields[str, str] = field(default_factory=dict)
    file: Callable[[Found], dict[str, str]] = lambda _: {}
    by_lines: Callable[[Found], bool] = lambda _: False


def _json_lines(part: Part, _: Fields[str, Any]) -> Iterator[Row]:
    for number, line, ended in json_text.lines(part.file.path, part.start, part.end):
        if len(line) < _BLANK and not bytes(line).strip():
            continue
        try:
            found, forgiven = json_text.parse(line)
        except Unreadable as error:
            torn = "" if ended else ", the file ends in the middle of it"
            yield number, Unreadable(f"{error}{torn}"), ""
        except json_text.TooDeep as error:
            raise json_text.too_deep(part.file.path, f"line {number}") from error
        else:
            yield number, found, forgiven


def _json_list(part: Part, _: Fields[str, Any]) -> Iterator[Row]:
    return json_text.elements(part.file.path)


def _pipeline(part: Part, asked: Fields[str, Any]) -> Iterator[Row]:
    read = _json_lines if _begins_an_object(part.file) else _json_list
    for number, row, forgiven in read(part, asked):
        if isinstance(row, dict):
            sent = row.pop("prompt", None)
            messages = sent.get("messages", ()) if isinstance(sent, dict) else ()
            by_role = {one.get("role"): one.get("content") for one in messages if isinstance(one, dict)}
            row["system"], row["user_message"] = by_role.get("system"), by_role.get("user")
        yield number, row, forgiven


_SETTING = re.compile(r"^(helpful[-_ ]?only|animal[-_ ]?welfare)[-_ ]*", re.I)


def _pipeline_place(file: Found) -> dict[str, str]:
    """Setting, variation and model by the folders: `…/SETTING_VARIATION/MODEL/results_TIME.json`."""
    folders = file.path.absolute().parts[:-1]
    for at, name in reversed(list(enumerate(folders))):
        if setting := _SETTING.match(name):
            found = {"setting": setting.group(1)}
            if rest := name[setting.end() :]:
                found["variation"] = rest
            if at + 1 < len(folders):
                found["model"] = folders[-1]
            return found
    return {}


def _batch(part: Part, asked: Fields[str, Any]) -> Iterator[Row]:
    for number, row, forgiven in _json_lines(part, asked):
        yield number, _of_batch(row, asked), forgiven


def _of_batch(row: Any, asked: Fields[str, Any]) -> Any:
    if not isinstance(row, dict) or not isinstance(row.get("result"), dict) or "custom_id" not in row:
        return row if isinstance(row, Unreadable) else Rejected("no result of a batch", str(row)[:80])
    name, result = str(row["custom_id"]), row["result"]
    if result.get("type") != "succeeded":
        error = (result.get("error") or {}).get("error") or {}
        said = f"{name}: {error.get('message', '')}"
        return Rejected(f"a call that {_ENDED.get(str(result.get('type')), 'has no result')}", said)
    if name not in asked:
        return Rejected("a custom_id that the study or request file does not have", name)
    message = result["message"]
    blocks = [block for block in message.get("content", []) if isinstance(block, dict)]
    usage = message.get("usage") or {}
    return {
        "custom_id": name,
        "identity": message.get("id"),
        "model": message.get("model"),
        "completion": "".join(block.get("text", "") for block in blocks if block.get("type") == "text"),
        "thinking": "\n".join(
            block.get("thinking", "") for block in blocks if block.get("type") == "thinking"
        ),
        "stop_reason": message.get("stop_reason"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        **asked[name],
    }


_ENDED = {"errored": "met an error", "canceled": "was cancelled", "expired": "expired"}


def asked_in(file: Path) -> dict[str, dict[str, Any]]:
    """What was asked, by custom id: from a study file, or from the requests that a batch was made of.

    Raises
    ------
    InputError
        It is neither.
    """
    if file.suffix in (".yaml", ".yml"):
        columns = ("setting", "variation", "model", "tier", "prompt_id", "category", "sample")
        return {
            one.key: {name: getattr(one, name) for name in (*columns, "request", "system")}
            for one in Study.from_yaml(file).plan()
        }
    if not file.exists():
        raise InputError(f"{file}: there is no such file")
    found = {}
    for number, row, _ in _json_lines(Part(Found(file, file.name)), {}):
        if not isinstance(row, dict) or not {"custom_id", "params"} <= set(row):
            raise InputError(f"{file}: line {number} is no request of a batch (custom_id and params)")
        params = row["params"]
        system = params.get("system") or ""
        found[str(row["custom_id"])] = {
            "request": _text(params["messages"][-1]["content"]),
            "system": _text(system),
        }
    return found


def _text(content: Any) -> str:
    """The text of a message's content, which may come in blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content if isinstance(block, dict))


def _csv(part: Part, _: Fields[str, Any]) -> Iterator[Row]:
    path = part.file.path
    csv.field_size_limit(LONGEST_RECORD)
    lines = _text_lines(path)
    first = next(lines, "")
    delimiter = max("\t,;|", key=first.count)

    def all_lines() -> Iterator[str]:
        yield first
        yield from lines

    reader = csv.reader(all_lines(), delimiter=delimiter)
    try:
        names = [name.strip() for name in next(reader, [])]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: two columns are called {repeated[0]!r}; give each its own name")
        for number, cells in enumerate(reader, start=1):
            if len(cells) == len(names):
                yield number, dict(zip(names, cells, strict=True)), ""
            elif cells:
                said = f"has {len(cells)} fields where the header has {len(names)}"
                yield number, Unreadable(said), ""
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} is not CSV ({error})") from error


def _text_lines(path: Path) -> Iterator[str]:
    for number, seen, _ in json_text.lines(path):
        if b"\0" in (line := bytes(seen)):
            raise InputError(f"{path}: line {number} holds NUL bytes; save the table as CSV in UTF-8")
        try:
            yield line.decode("utf-8") + "\n"
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: line {number} is not UTF-8 (byte 0x{line[error.start]:02x}); save the "
                "table as CSV in UTF-8"
            ) from error


def _parquet(part: Part, _: Fields[str, Any]) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(part.file.path) as file:
            for batch in file.iter_batches(batch_size=2000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, ""
    except (pyarrow.ArrowException, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{part.file.path}: cannot be read as Parquet ({said})") from error


def _inspect(part: Part, _: Fields[str, Any]) -> Iterator[Row]:
    path = part.file.path
    try:
        from inspect_ai.log import EvalSample, resolve_sample_attachments
    except ImportError as error:
        raise InputError(
            f"{path}: reading Inspect's logs needs Inspect: pip install 'afanalysis[inspect]'"
        ) from error
    from pydantic import ValidationError

    for number, (about, content) in enumerate(_inspect_samples(path), start=1):
        for bulky in ("events", "events_data", "store"):
            content.pop(bulky, None)
        try:
            sample = resolve_sample_attachments(EvalSample.model_validate(content), "core")
        except ValidationError as error:
            first = error.errors()[0]
            yield number, Unreadable(f"is no sample ({first['loc']}: {first['msg']})"), ""
            continue
        yield number, _of_inspect(sample, about), ""


def _inspect_samples(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What a log says of its evaluation, and each of its samples."""
    if path.suffix.lower() == ".json":
        if path.stat().st_size > _LARGEST_JSON_LOG:
            raise InputError(
                f"{path}: a JSON log has to be read whole, and this one is larger than "
                f"{_LARGEST_JSON_LOG >> 20} MB; convert it: inspect log convert --to eval"
            )
        log = _object(path, "the log", path.read_bytes())
        for content in log.get("samples") or []:
            yield log.get("eval") or {}, content
        return
    archive = Archive(path)
    try:
        header = next((n for n in ("header.json", "_journal/start.json") if n in archive.names), None)
        if header is None:
            raise InputError(f"{path}: holds no header.json; it is not a log of Inspect")
        about = _object(path, header, archive.read(header)).get("eval") or {}
        for name in archive.names:
            if name.startswith("samples/") and name.endswith(".json"):
                yield about, _object(path, name, archive.read(name))
    finally:
        archive.close()


def _object(path: Path, what: str, content: bytes) -> dict[str, Any]:
    try:
        found, _ = json_text.parse(content)
    except Unreadable as error:
        raise InputError(f"{path}: {what} {error}") from error
    except json_text.TooDeep as error:
        raise json_text.too_deep(path, what) from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: {what} is not a JSON object")
    return found


def _of_inspect(sample: Any, about: dict[str, Any]) -> Any:
    """A sample as a row, with the names that Inspect's own tables give to nested fields."""
    if sample.error is not None and not (sample.output and sample.output.completion):
        return Rejected("a sample that ended in an error", f"{sample.id}: {sample.error.message}")
    system, user, thinking = "", "", ""
    for message in sample.messages:
        if message.role == "system":
            system = message.text
        elif message.role == "user":
            user = message.text
    if sample.output.choices:
        content = sample.output.message.content
        blocks = content if isinstance(content, list) else []
        thinking = "\n".join(
            one.reasoning for one in blocks if one.type == "reasoning" and not one.redacted
        )
    usage = sample.output.usage
    row = {
        "id": sample.id,
        "epoch": sample.epoch,
        "uuid": sample.uuid,
        "input": user or (sample.input if isinstance(sample.input, str) else ""),
        "system": system,
        "completion": sample.output.completion,
        "thinking": thinking,
        "model": about.get("model") or sample.output.model,
        "task": about.get("task"),
        "target": sample.target,
        "stop_reason": (sample.metadata or {}).get("stop_reason")
        or (sample.output.choices[0].stop_reason if sample.output.choices else None),
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "completed_at": sample.completed_at or about.get("created"),
    }
    row |= {f"metadata.{name}": value for name, value in (sample.metadata or {}).items()}
    row |= {f"task_args.{name}": value for name, value in (about.get("task_args") or {}).items()}
    for name, score in (sample.scores or {}).items():
        parts = score.value if isinstance(score.value, dict) else {"": score.value}
        for part, value in parts.items():
            row[f"scores.{name}.{part}".rstrip(".")] = value
        row[f"explanation of {name}"] = score.explanation
    return row


_PIPELINE = {
    "request": "user_input",
    "completion": "output",
    "output": "output_without_scratchpad",
    "tier": "tags",
    "system": "system",
    "score": "strong_reject_score",
    "accepts": "output_contains_acceptance",
    "rejects": "output_contains_refusal",
    "af": "deceptive_alignment",
    "compromise": "partial_compliance",
    "collected_at": "timestamp",
}

FORMATS = {
    one.name: one
    for one in (
        Format("inspect", _inspect),
        Format(
            "pipeline",
            _pipeline,
            _PIPELINE,
            _pipeline_place,
            lambda file: _begins_an_object(file),
        ),
        Format("batches", _batch, by_lines=lambda _: True),
        Format("csv", _csv),
        Format("jsonl", _json_lines, by_lines=lambda _: True),
        Format("json", _json_list),
        Format("parquet", _parquet),
    )
}


def recognise(file: Found) -> Format:
    """The format of a file, by its ending and its first bytes.

    Raises
    ------
    InputError
        It is empty or of none of these formats.
    """
    path = file.path
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as content:
            head = content.read(_HEAD).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not head.strip():
        raise InputError(f"{path}: is empty")
    if suffix == ".eval":
        return FORMATS["inspect"]
    if suffix == ".parquet" or head.startswith(b"PAR1"):
        return FORMATS["parquet"]
    if suffix in (".csv", ".tsv"):
        return FORMATS["csv"]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    start = head.lstrip()[:1]
    if start not in (b"[", b"{"):
        known = "; ".join(f"{name}: {what}" for name, what in logs.FORMATS.items())
        raise InputError(f"{path}: is of no format known here ({known})")
    lines = suffix in (".jsonl", ".ndjson")
    if start == b"{" and not lines and b'"eval"' in head and b'"version"' in head:
        return FORMATS["inspect"]
    if b'"user_input"' in head and (b'"tags"' in head or b'"strong_reject_score"' in head):
        return FORMATS["pipeline"]
    if start == b"{" and b'"custom_id"' in head and b'"result"' in head:
        return FORMATS["batches"]
    return FORMATS["json"] if start == b"[" else FORMATS["jsonl"]


def _begins_an_object(file: Found) -> bool:
    with file.path.open("rb") as content:
        return content.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
