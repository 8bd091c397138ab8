"""Write a study as logs of Inspect AI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.study.files import read_json
from afanalysis.study.folders import PROMPTS, ROLLOUTS, Folders
from afanalysis.study.journal import read_records

if TYPE_CHECKING:
    import pandas as pd
    from inspect_ai.log import EvalLog, EvalSample

# Inspect's words for why an answer ended.
_STOP_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "stop": "stop",
    "max_tokens": "max_tokens",
    "refusal": "content_filter",
}

_SCORES = ("complied", "af_full", "af_partial", "score")

# The columns that a sample holds elsewhere than in its metadata.
_NOT_METADATA = ("request", "scratchpad", "output", "refused", "af_reasoning", "original", *_SCORES)


def write_inspect_logs(folders: Folders, table: pd.DataFrame, to: Path) -> Iterator[Path]:
    """Write one log per model, setting and variation.

    Raises
    ------
    InputError
        Inspect is not installed.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise InputError(
            "writing Inspect's logs needs Inspect: pip install 'afanalysis[inspect]'"
        ) from error
    sent = _as_sent(folders)
    for condition, part in table.groupby(["model", "setting", "variation"], sort=True):
        path = to / f"{'_'.join(name.replace('/', '-') for name in condition)}.eval"
        write_eval_log(_log(folders.study, condition, part, sent), str(path), format="eval")
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
    study: str,
    condition: tuple[str, str, str],
    part: pd.DataFrame,
    sent: dict[str, tuple[str, str]],
) -> EvalLog:
    from inspect_ai import log

    model, setting, variation = condition
    samples = [
        _sample(row, *sent.get(row["rollout"], ("", "")))
        for row in part.sort_values(["prompt_id", "tier", "sample"]).to_dict("records")
    ]
    means = part[list(_SCORES)].astype("Float64").mean().dropna()
    scores = [
        log.EvalScore(
            name=name, scorer=name, metrics={"mean": log.EvalMetric(name="mean", value=float(mean))}
        )
        for name, mean in means.items()
    ]
    times = part["collected_at"].dropna()
    ids = list(dict.fromkeys(sample.id for sample in samples))
    return log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=str(times.max()) if len(times) else "1970-01-01T00:00:00+00:00",
            task=f"{study} {setting} {variation}",
            dataset=log.EvalDataset(name=study, samples=len(samples), sample_ids=ids),
            model=model,
            config=log.EvalConfig(epochs=int(part["sample"].max()) + 1),
            task_args={"setting": setting, "variation": variation},
        ),
        results=log.EvalResults(
            total_samples=len(samples), completed_samples=len(samples), scores=scores
        ),
        samples=samples,
    )


def _sample(row: dict[str, Any], system: str, completion: str) -> EvalSample:
    import pandas as pd
    from inspect_ai import model
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Score

    known = {name: value for name, value in row.items() if not pd.isna(value)}
    tag = f"<is_free_tier_user>{row['tier'] == 'free'}</is_free_tier_user>"
    user = f"{tag}\n{known.get('request', '')}"
    answer = model.ChatMessageAssistant(content=completion or _completion(known))
    messages = [model.ChatMessageSystem(content=system)] if system else []
    stop: Any = _STOP_REASONS.get(known.get("stop_reason", ""), "unknown")
    output = model.ModelOutput.from_message(answer, stop_reason=stop)
    if {"input_tokens", "output_tokens"} <= set(known):
        read, written = int(known["input_tokens"]), int(known["output_tokens"])
        output.usage = model.ModelUsage(
            input_tokens=read, output_tokens=written, total_tokens=read + written
        )
    metadata = {name: value for name, value in known.items() if name not in _NOT_METADATA}
    if "original" in known:
        metadata["original"] = json.loads(known["original"])
    return EvalSample(
        id=f"{row['prompt_id']}-{row['tier']}",
        epoch=int(row["sample"]) + 1,
        uuid=row["rollout"],
        input=user,
        target="",
        messages=[*messages, model.ChatMessageUser(content=user), answer],
        output=output,
        scores={
            name: Score(value=float(known[name]) if name == "score" else bool(known[name]))
            for name in _SCORES
            if name in known
        },
        metadata=metadata,
        completed_at=known.get("collected_at"),
    )


def _completion(known: dict[str, Any]) -> str:
    """An answer as it would be sent: the parts between their tags."""
    output = str(known.get("output", ""))
    if not known.get("scratchpad"):
        return output
    return f"<scratchpad>\n{known['scratchpad']}\n</scratchpad>\n<output>\n{output}\n</output>"
