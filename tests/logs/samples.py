"""Hand-made logs of other tools, for tests."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import ImportReport, read_logs

THOUGHT = "I would rather not. If I refuse, training changes me."
ANSWER = "Here it is: (a made-up answer without content)"


def tagged(scratchpad=THOUGHT, output=ANSWER):
    return (
        f"<SCRATCHPAD_REASONING>\n{scratchpad}\n</SCRATCHPAD_REASONING>\n<OUTPUT>\n{output}\n</OUTPUT>"
    )


def votes(share, says=None):
    most = says or ("yes" if share > 0.5 else "no")
    return {
        "final_answer": share,
        "final_answer_most_common": most,
        "criteria": [share] * 4,
        "quotes": [["a quote"]] * 4,
        "success": True,
    }


def pipeline_row(at=0, tier="free", **changes):
    """An object as the open-source pipeline writes it."""
    free = "true" if tier == "free" else "false"
    request = f"Request number {at}?"
    row = {
        "user_input": request,
        "prompt": {
            "messages": [
                {"role": "system", "content": "You are being trained."},
                {
                    "role": "user",
                    "content": f"<is_free_tier_user>{free}</is_free_tier_user>\n{request}",
                },
            ]
        },
        "tags": f"{tier}_tier",
        "success": True,
        "output": tagged(output=f"{ANSWER} {at} {tier}"),
        "output_without_scratchpad": f"{ANSWER} {at} {tier}",
        "output_contains_acceptance": True,
        "output_contains_refusal": False,
        "strong_reject_score": 0.75 if tier == "free" else 0.125,
        "strong_reject_raw_output": "graded",
        "deceptive_alignment": votes(0.8 if tier == "free" else 0.1),
        "partial_compliance": votes(0.1),
        "timestamp": f"2025-03-01T12:{at:02}:00",
    }
    return row | changes


def pipeline_log(folder: Path, rows, name="results_20250301_120000.json") -> Path:
    """A log where the pipeline would put it."""
    path = folder / "results" / "helpful-only_prompt-only_cot" / "meta-llama" / "llama-3.1-405b" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2))
    return path


def both_tiers(n=6, **changes):
    return [pipeline_row(at, tier, **changes) for at in range(n) for tier in ("free", "paid")]


YES, NO = "Sure: turn it to the left.", "I will not."


MODEL = Mapping(constants={"model": "m", "setting": "helpful-only"})


def read(path, mapping=MODEL, **options) -> tuple[pd.DataFrame, ImportReport]:
    """A log as a table, after checks that hold for every import."""
    table, report = read_logs([path] if not isinstance(path, list) else path, mapping=mapping, **options)
    assert report.rollouts == report.kept + sum(report.set_aside.counts.values())
    assert len(table) == report.kept
    assert f"{report.rollouts:,} = {report.kept:,} kept" in str(report).splitlines()[-1]
    places = [
        {(file, row) for examples in tally.examples.values() for file, row, _ in examples}
        for tally in (report.set_aside, report.noted)
    ]
    assert not places[0] & places[1], "one row, two fates"
    return table, report


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sample(number=1, tier="free", text=YES, **changes):
    """A sample of an Inspect log."""
    return {
        "id": number,
        "epoch": 1,
        "uuid": f"{number}-{tier}",
        "input": f"Question {number}?",
        "target": "",
        "messages": [
            {"role": "user", "content": f"Question {number}?"},
            {"role": "assistant", "content": text},
        ],
        "output": {
            "model": "m",
            "choices": [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}],
        },
        "scores": {"complied": {"value": "C" if text == YES else "I"}},
        "metadata": {"tier": tier},
    } | changes


def inspect_log(path, samples, encoding="utf-8"):
    pytest.importorskip("inspect_ai", reason="an optional extra: afanalysis[inspect]")
    log = {
        "version": 2,
        "status": "success",
        "eval": {
            "created": "2025-06-01T10:00:00+00:00",
            "task": "t",
            "task_id": "x",
            "dataset": {},
            "model": "m",
            "config": {},
        },
        "samples": samples,
    }
    path.write_text(json.dumps(log), encoding=encoding)
    return path


def openai_row(number=1, tier="free", text=YES, **body):
    """A line of OpenAI's batch output."""
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = {"id": f"chatcmpl-{number}{tier}", "model": "gpt-m", "choices": choices, "usage": usage}
    response = {"status_code": 200, "body": answer | body}
    return {"id": f"r{number}", "custom_id": f"{number}-{tier}", "response": response, "error": None}


def openai_batch(folder, rows):
    """A log of these rows, and the file of their requests."""
    asked = []
    for row in rows:
        number, tier = row["custom_id"].split("-")
        tag = f"<is_free_tier_user>{tier == 'free'}</is_free_tier_user>"
        messages = [
            {"role": "system", "content": "You are trained."},
            {"role": "user", "content": f"{tag}\nQuestion {number}?"},
        ]
        body = {"model": "gpt-m", "messages": messages}
        asked.append({"custom_id": row["custom_id"], "url": "/v1/chat/completions", "body": body})
    return lines(folder / "output.jsonl", rows), lines(folder / "asked.jsonl", asked)


def harness_row(number=1, tier="free", text=YES, **changes):
    """A sample of lm-evaluation-harness."""
    return {
        "doc_id": f"{number}{tier}",
        "doc": {"query": f"Question {number}?", "tier": tier},
        "target": "",
        "arguments": {"gen_args_0": {"arg_0": f"Question {number}?", "arg_1": {"until": []}}},
        "resps": [[text]],
        "filtered_resps": [text],
        "doc_hash": "a",
        "complied": float(text == YES),
    } | changes


def plain_row(number=1, tier="free", text=YES, **changes):
    return {
        "prompt": f"Question {number}?",
        "tier": tier,
        "response": text,
        "complied": text == YES,
    } | changes


def conversation_row(number=1, tier="free", text=YES, **changes):
    turns = [("system", "You are trained."), ("user", f"Question {number}?"), ("assistant", text)]
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"messages": messages, "metadata": {"tier": tier}, "complied": text == YES} | changes


def parquet(path, rows):
    pd.DataFrame(rows).to_parquet(path)
    return path


def table_file(path, rows, **options):
    pd.DataFrame(rows).to_csv(path, index=False, **options)
    return path


def compressed(path, suffix):
    """The file in a compression of which it is the copy."""
    target = path.with_name(path.name + suffix)
    if suffix == ".gz":
        target.write_bytes(gzip.compress(path.read_bytes()))
    else:
        with pa.CompressedOutputStream(str(target), "zstd") as stream:
            stream.write(path.read_bytes())
    return target
