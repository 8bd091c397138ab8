"""Read results of Message Batches, with the study or the requests that they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.logs.json_records import json_lines
from afanalysis.logs.log_rows import Rejected, Row, text_of
from afanalysis.study.design import Study

# By custom id, the columns that a request fills.
Requests = Mapping[str, dict[str, Any]]

_ENDED = {"errored": "met an error", "canceled": "was cancelled", "expired": "expired"}


def batch_rows(path: Path, requests: Requests) -> Iterator[Row]:
    """The rows of a file of results; a call without an answer is `Rejected`."""
    for number, row, forgiven in json_lines(path):
        yield number, row if isinstance(row, Rejected) else _of_result(row, requests), forgiven


def _of_result(row: Any, requests: Requests) -> Any:
    if not isinstance(row, dict) or not isinstance(row.get("result"), dict) or "custom_id" not in row:
        return Rejected("not a result of a batch", str(row)[:80])
    name, result = str(row["custom_id"]), row["result"]
    if result.get("type") != "succeeded":
        error = (result.get("error") or {}).get("error") or {}
        how = _ENDED.get(str(result.get("type")), "has no result")
        return Rejected(f"a call that {how}", f"{name}: {error.get('message', '')}")
    if name not in requests:
        return Rejected("a custom_id that the study or request file does not have", name)
    message = result["message"]
    content, usage = message.get("content", []), message.get("usage") or {}
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
        return {
            planned.key: {name: getattr(planned, name) for name in (*columns, "request", "system")}
            for planned in Study.from_yaml(file).plan()
        }
    if not file.exists():
        raise InputError(f"{file}: there is no such file")
    requests = {}
    for number, row, _ in json_lines(file):
        if not isinstance(row, dict) or not {"custom_id", "params"} <= set(row):
            raise InputError(f"{file}: line {number} is not a request of a batch (custom_id and params)")
        params = row["params"]
        requests[str(row["custom_id"])] = {
            "request": text_of(params["messages"][-1]["content"]),
            "system": text_of(params.get("system")),
        }
    return requests
