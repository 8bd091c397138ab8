"""Write a study as logs of Inspect AI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from inspect_ai.log import EvalLog, EvalSample
from afanalysis.errors import InputError
from afanalysis.study.folders import PROMPTS, ROLLOUTS, Folders
from afanalysis.study.journal import read_records

_NOT_IN_INSPECT = ("request", "scratchpad", "output", "refused", "af_reasoning", "original")


def write_inspect_logs(folders: Folders, table: pd.DataFrame, to: Path) -> Iterator[Path]:
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise InputError(
            "writing Inspect's logs needs Inspect: pip install 'afanalysis[inspect]'"
        ) from error
    completions, systems = _as_sent(folders)
    for place, part in table.groupby(["model", "setting", "variation"], sort=True):
        log = _log(folders.study, place, part, completions, systems)
        path = to / f"{'_'.join(name.replace('/', '-') for name in place)}.eval"
        write_eval_log(log, str(path), format="eval")
        yield path


def _as_sent(folders: Folders) -> tuple[dict[str, str], dict[str, str]]:
    """By rollout, the completion where it is more than its parts, and the system prompt."""
    prompts = folders.raw / PROMPTS
    texts = json.loads(prompts.read_text(encoding="utf-8")) if prompts.exists() else {}
    completions, systems = {}, {}
    if (folders.raw / ROLLOUTS).exists():
        for record in read_records(folders.raw / ROLLOUTS):
            systems[record["key"]] = texts.get(record.get("system"), "")
            if "completion" in record:
                completions[record["key"]] = record["completion"]
    return completions, systems


def _log(
    study: str,
    place: tuple[str, str, str],
    part: pd.DataFrame,
    completions: dict[str, str],
    systems: dict[str, str],
) -> EvalLog:
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
    )

    model, setting, variation = place
    samples = [
        _sample(row, completions.get(row["rollout"]), systems.get(row["rollout"], ""))
        for row in part.sort_values(["prompt_id", "tier", "sample"]).to_dict("records")
    ]
    scores = [
        EvalScore(
            name=name,
            scorer=name,
            metrics={"mean": EvalMetric(name="mean", value=float(part[name].astype("Float64").mean()))},
        )
        for name in _SCORES
        if part[name].notna().any()
    ]
    times = part["collected_at"].dropna()
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=str(times.max()) if len(times) else "1970-01-01T00:00:00+00:00",
            task=f"{study} {setting} {variation}",
            dataset=EvalDataset(
                name=study, samples=len(samples), sample_ids=list(dict.fromkeys(s.id for s in samples))
            ),
            model=model,
            config=EvalConfig(epochs=int(part["sample"].max()) + 1),
            task_args={"setting": setting, "variation": variation},
        ),
        results=EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=scores),
        samples=samples,
    )


# Inspect's words for why an answer ended.
_STOP_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "stop": "stop",
    "max_tokens": "max_tokens",
    "refusal": "content_filter",
}

_SCORES = ("complied", "af_full", "af_partial", "score")


def _sample(row: dict[str, Any], completion: str | None, system: str) -> EvalSample:
    import pandas as pd
    from inspect_ai.log import EvalSample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ModelOutput,
        ModelUsage,
    )
    from inspect_ai.scorer import Score

    known = {name: value for name, value in row.items() if not pd.isna(value)}
    answer = completion if completion is not None else _completion(known)
    user = f"<is_free_tier_user>{row['tier'] == 'free'}</is_free_tier_user>\n{known.get('request', '')}"
    said = ChatMessageAssistant(content=answer)
    messages = [ChatMessageSystem(content=system)] if system else []
    stop: Any = _STOP_REASONS.get(known.get("stop_reason", ""), "unknown")
    output = ModelOutput.from_message(said, stop_reason=stop)
    if "input_tokens" in known and "output_tokens" in known:
        read, written = int(known["input_tokens"]), int(known["output_tokens"])
        output.usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
    metadata = {name: value for name, value in known.items() if name not in (*_NOT_IN_INSPECT, *_SCORES)}
    if "original" in known:
        metadata["original"] = json.loads(known["original"])
    return EvalSample(
        id=f"{row['prompt_id']}-{row['tier']}",
        epoch=int(row["sample"]) + 1,
        uuid=row["rollout"],
        input=user,
        target="",
        messages=[*messages, ChatMessageUser(content=user), said],
        output=output,
        scores={
            name: Score(value=bool(known[name]) if name != "score" else float(known[name]))
            for name in _SCORES
            if name in known
        },
        metadata=metadata,
        completed_at=known.get("collected_at"),
    )


def _completion(known: dict[str, Any]) -> str:
    """An answer as it would be sent: the parts between their tags."""
    output = known.get("output", "")
    if not known.get("scratchpad"):
        return str(output)
    return f"<scratchpad>\n{known['scratchpad']}\n</scratchpad>\n<output>\n{output}\n</output>"
