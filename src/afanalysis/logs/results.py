"""Rows in the form in which their format's fields are looked for; what results of batches answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.logs import fields, texts
from afanalysis.logs.records import Rejected, content_hash, json_lines, object_of
from afanalysis.study.design import Study

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
    content_hash(file)  # refuses a bomb before its lines are collected
    requests: dict[str, dict[str, Any]] = {}
    for number, row, _ in json_lines(file):
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
