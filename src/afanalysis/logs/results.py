"""Read results of Message Batches, with what they answer, and of the open-source pipeline."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.logs.records import Rejected, Row, json_lines, json_rows, object_of, text_of
from afanalysis.study.design import Study
from afanalysis.table.database import regular_file

# By custom id, the columns that a request fills.
Requests = Mapping[str, dict[str, Any]]

_ENDED = {"errored": "met an error", "canceled": "was cancelled", "expired": "expired"}

# The deepest folder named for a setting, and the last one below it.
_FOLDERS = re.compile(
    r".*/(helpful[-_ ]?only|animal[-_ ]?welfare)[-_ ]*([^/]*)(?:/(?:.*/)?([^/]+))?", re.I | re.S
)


def batch_rows(path: Path, requests: Requests) -> Iterator[Row]:
    """The rows of a file of results; a call without an answer is `Rejected`."""
    for number, row, forgiven in json_lines(path):
        yield number, row if isinstance(row, Rejected) else _of_result(row, requests), forgiven


def _of_result(row: Any, requests: Requests) -> Any:
    if not isinstance(row, dict) or not isinstance(row.get("result"), dict) or "custom_id" not in row:
        return Rejected("not a result of a batch", str(row)[:80])
    name, result = str(row["custom_id"]), row["result"]
    if result.get("type") != "succeeded":
        error = object_of(object_of(result.get("error")).get("error"))
        how = _ENDED.get(str(result.get("type")), "has no result")
        return Rejected(f"a call that {how}", f"{name}: {error.get('message', '')}")
    if name not in requests:
        return Rejected("a custom_id that the study or request file does not have", name)
    message = object_of(result.get("message"))
    content, usage = message.get("content"), object_of(message.get("usage"))
    return {
        "custom_id": name,
        "identity": message.get("id"),
        "model": message.get("model"),
        "completion": text_of(content),
        "thinking": text_of(content, "thinking", "\n"),
        "stop_reason": message.get("stop_reason"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        **requests[name],
    }


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
    requests = {}
    for number, row, _ in json_lines(regular_file(file)):
        try:
            name, params = str(row["custom_id"]), object_of(row["params"])
            request = text_of(params["messages"][-1]["content"])
        except (LookupError, TypeError) as error:
            problem = "is not a request of a batch (custom_id and params)"
            raise InputError(f"{file}: line {number} {problem}") from error
        requests[name] = {"request": request, "system": text_of(params.get("system"))}
    return requests


def pipeline_rows(path: Path) -> Iterator[Row]:
    """The rows of a list or of lines; their fields `system`, `user_message` hold the messages' texts."""
    for number, row, forgiven in json_rows(path):
        if isinstance(row, dict):
            prompt = row.pop("prompt", None)
            messages = object_of(prompt).get("messages")
            objects = map(object_of, messages if isinstance(messages, list) else ())
            by_role = {str(message.get("role")): message.get("content") for message in objects}
            for name, role in (("system", "system"), ("user_message", "user")):
                content = by_role.get(role)
                row[name] = text_of(content) if isinstance(content, list) else content
        yield number, row, forgiven


def columns_of_place(path: Path) -> dict[str, str]:
    """Setting, variation and model by the folders: `…/SETTING_VARIATION/MODEL/results_TIME.json`."""
    match = _FOLDERS.fullmatch(path.absolute().parent.as_posix())
    columns = zip(("setting", "variation", "model"), match.groups(), strict=True) if match else ()
    return {column: name for column, name in columns if name}
