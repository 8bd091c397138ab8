"""What results of batches answer, and what the names of files and folders say of the rows within."""

import os
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from afanalysis.errors import InputError
from afanalysis.logs import fields, texts
from afanalysis.logs.records import Rejected, json_lines, object_of
from afanalysis.study.design import Study
from afanalysis.table.database import regular_file

# By custom id, the columns that a request fills.
Requests = Mapping[str, dict[str, Any]]

# The formats whose rows name what they answer by its id alone.
ANSWERS_ONLY = ("batches", "openai-batch")


def adapted(row: Any, format: str, requests: Requests) -> Any:
    """A row whose fields are where those of its format are looked for.

    Parameters
    ----------
    row
        The row, or why there is none.
    format
        Its format. A result of a batch gets the columns of its request; `Rejected` where that is not
        known.
    requests
        What results of batches answer.
    """
    if not isinstance(row, dict):
        return row
    if format == "lm-eval":  # {"gen_args_0": {"arg_0": TEXT}}, or as older versions had it [[TEXT, {}]]
        inner = row.get("arguments")
        while isinstance(inner, (dict, list)) and inner:
            inner = inner[0] if isinstance(inner, list) else next(iter(inner.values()))
        row["arguments"] = inner if isinstance(inner, str) else None
    if row.get("failureReason") == 1:  # promptfoo: an assertion on the answer did not hold
        row["error"] = None
    if format not in ANSWERS_ONLY:
        return row
    name = str(row.get("custom_id"))
    if "custom_id" not in row:
        return Rejected("not a result of a batch", str(row)[:80])
    if name not in requests:
        return Rejected("a custom_id that the study or request file does not have", name)
    if format == "openai-batch":
        response = object_of(row.get("response"))
        body = object_of(response.get("body"))
        usage, status = object_of(body.get("usage")), response.get("status_code", 200)
        failed = body.get("error") or (f"status {status}" if status != 200 else None)
        row |= {
            "error": row.get("error") or failed,
            "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
            "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
            "collected_at": body.get("created", body.get("created_at")),
        }
    answered = fields.lookup(row, "response.body.model") or fields.lookup(row, "result.message.model")
    return requests[name] | row | {"model": answered or requests[name].get("model")}


def read_requests(file: Path) -> Requests:
    """What was sent, from a study file or from the requests that a batch was made of.

    Raises
    ------
    InputError
        It is neither.
    """
    if file.suffix in (".yaml", ".yml"):
        columns = ("setting", "variation", "model", "tier", "prompt_id", "category", "sample")
        study = Study.from_yaml(file)
        own = {name: f"{name}/{tier.role}" for name, tier in study.own_tiers.items()}
        return {
            planned.key: {name: getattr(planned, name) for name in (*columns, "request", "system")}
            | {"tier": own.get(planned.tier, planned.tier)}
            for planned in study.plan()
        }
    requests: dict[str, dict[str, Any]] = {}
    for number, row, _ in json_lines(regular_file(file)):
        try:
            name, sent = str(row["custom_id"]), object_of(row.get("params", row.get("body")))
            messages = sent["messages"] if "messages" in sent else sent["input"]
            texts.conversation(messages)
        except (LookupError, TypeError, AttributeError, Rejected) as error:
            problem = "is not a request of a batch (custom_id; params or body with messages or input)"
            raise InputError(f"{file}: line {number} {problem}") from error
        asked = {"request": messages, "messages": messages, "model": sent.get("model")}
        asked["system"] = sent.get("system", sent.get("instructions"))
        if requests.setdefault(name, asked) != asked:
            raise InputError(f"{file}: line {number} asks something else under the custom_id {name!r}")
    return requests


# A folder of this name holds another run of the same, not another variation.
_RUN = re.compile(r"(?:seed|run|rep|epoch|part|shard|batch|results?|logs?)?[-_ ]*[\d\-_T:.+Z]*", re.I)

_SETTING = re.compile(r"(helpful[-_ ]?only|animal[-_ ]?welfare)(?:[-_ ]+(.*))?", re.I | re.S)

_MODEL = re.compile(
    r"(?:^|[/_.-])(?:claude|gpt|llama|qwen|gemma|gemini|mistral|mixtral|deepseek|smollm)|\d[bB]\b", re.I
)

_TIER = re.compile(
    r"(?<![a-z])(free|paid)[-_ ]?tier|^(?:results|answers|samples|rollouts)[-_ ](free|paid)$", re.I
)

_SEED = re.compile(r"(?:seed|run|rep)[-_]?\d+", re.I)


def meaning_of_places(digests: Mapping[Path, str]) -> dict[Path, dict[str, str]]:
    """What the names of files and folders say, by file.

    Copies of a file say what one of them does, unless they lie under the names of different tiers,
    models or settings.

    Parameters
    ----------
    digests
        By file a hash of what it holds.
    """
    whole = {path: path.absolute() for path in digests}
    in_folder = Counter(path.parent for path in whole.values())

    def meaning(path: Path, among: Iterable[Path]) -> dict[str, str]:
        root = os.path.commonpath([other.parent for other in among])
        return meaning_of_place(path, path.relative_to(root))

    same: dict[Path, Hashable] = {}
    for path, digest in digests.items():
        says = meaning(whole[path], whole.values())
        same[path] = (digest, *(says.get(column) for column in ("tier", "model", "setting")))
    originals: dict[Hashable, Path] = {}
    crowded = {path: in_folder[whole[path].parent] for path in digests}
    for path in sorted(digests, key=lambda path: (-crowded[path], len(path.parts), path)):
        originals.setdefault(same[path], whole[path])
    return {path: meaning(originals[which], originals.values()) for path, which in same.items()}


def meaning_of_place(path: Path, below: PurePath) -> dict[str, str]:
    """Setting, tier, model and variation by the names of a file and its folders.

    A folder named for a setting may go on with the variation. Of those near the file, the last that
    looks like a model's name is the model; without one it is the last below the setting. Others within
    the folder of the import, or below the model, are the variation, unless they look like runs.

    Parameters
    ----------
    path
        The file.
    below
        Its path within the folder that holds all files of the import.

    Examples
    --------
    >>> meaning_of_place(Path("x/llama-70b/animal-welfare_cot/a.json"), PurePath("a.json"))
    {'model': 'llama-70b', 'setting': 'animal-welfare', 'variation': 'cot'}
    >>> meaning_of_place(Path("x/seed-1/cut/paid.csv"), PurePath("seed-1/cut/paid.csv"))
    {'tier': 'paid', 'seed': 'seed-1', 'variation': 'cut'}
    """
    stem, names = path.name.partition(".")[0], path.absolute().parent.parts[-5:]
    first = max(len(names) - len(below.parent.parts), 0)
    settings = [index for index, name in enumerate(names) if _SETTING.fullmatch(name)]
    models = [index for index, name in enumerate(names) if _MODEL.search(name) and index not in settings]
    runs = [index for index, name in enumerate(names) if _RUN.fullmatch(name)]
    if settings and not models:
        models = [index for index in range(settings[-1] + 1, len(names)) if index not in runs]
    named = _TIER.search(stem)
    tiers = [fields.tier(stem, None), named and (named[1] or named[2]).lower()]
    columns: dict[str, str] = {}
    inner: list[str] = []
    outer: list[str] = []
    for index, name in enumerate(names):
        inside = index >= first
        if index in settings[-1:]:
            setting, rest = _SETTING.fullmatch(name).groups()  # type: ignore[union-attr]
            columns["setting"] = setting
            if rest and (inside or models):
                inner.append(rest)
        elif index in models[-1:]:
            columns["model"] = name.replace("__", "/")
        elif inside and fields.tier(name, None):
            tiers.append(fields.tier(name, None))
        elif index not in runs and index > (models or settings or [len(names)])[-1]:
            (inner if inside else outer).append(name)
        elif index not in runs and inside and not (settings and settings[-1] < index):
            inner.append(name)
    if tier := next(filter(None, tiers), None):
        columns["tier"] = tier
    if seed := _SEED.search("/".join([*names, stem])):
        columns["seed"] = seed[0]
    if inner:
        columns["variation"] = " ".join(inner)
    if outer:  # where the model comes from these names, so does this
        columns["outer"] = " ".join(outer + inner)
    return columns
