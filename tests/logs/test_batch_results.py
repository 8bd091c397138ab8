"""Results of Message Batches, as the SDK fetches them, with the study or the requests that asked."""

import asyncio
import json

import anthropic
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.rollouts import request_of
from afanalysis.errors import InputError
from afanalysis.logs.importing import import_logs, read_logs
from afanalysis.study.design import Study


@pytest.fixture(scope="module")
def batch(standin, tmp_path_factory):
    """A study, its requests and their results as files, and the same collected here."""
    folder = tmp_path_factory.mktemp("batch")
    study = Study(
        name="asked", settings=["helpful-only"], prompts={"helpful-only": {"first": 5}}, seed=7
    )
    (folder / "study.yaml").write_text(
        "name: asked\nsettings: [helpful-only]\nprompts: {helpful-only: {first: 5}}\nseed: 7\n"
    )
    requests = [{"custom_id": one.key, "params": request_of(one, study)} for one in study.plan()]

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            sent = await client.messages.batches.create(requests=requests)
            while (await client.messages.batches.retrieve(sent.id)).processing_status != "ended":
                await asyncio.sleep(0.1)
            with (folder / "results.jsonl").open("w") as file:
                async for result in await client.messages.batches.results(sent.id):
                    file.write(result.model_dump_json() + "\n")
            await af.collect(study, Endpoint(client, "simulated"), folder / "collected")

    asyncio.run(ask())
    (folder / "requests.jsonl").write_text("".join(json.dumps(one) + "\n" for one in requests))
    return folder


def test_results_with_the_study_are_what_would_have_been_collected(batch):
    table, report = read_logs([batch / "results.jsonl"], asked=batch / "study.yaml")
    assert report.kept == 50
    collected = af.tidy(batch / "collected", unjudged=True)
    same = ["setting", "variation", "model", "tier", "prompt_id", "category", "sample", "request"]
    same += ["scratchpad", "output", "valid", "problem", "stop_reason", "input_tokens", "source"]
    pd.testing.assert_frame_equal(table[same], collected[same])


def test_results_with_the_requests_that_were_sent(batch):
    table, _ = read_logs([batch / "results.jsonl"], asked=batch / "requests.jsonl")
    assert len(table) == 50
    assert table.groupby("prompt_id").tier.nunique().eq(2).all()
    assert table.prompt_id.nunique() == 5
    assert not table.request.str.contains("is_free_tier_user").any()


def test_calls_without_an_answer_are_set_aside_with_the_reason(batch, tmp_path):
    lines = (batch / "results.jsonl").read_text().splitlines()
    names = [json.loads(line)["custom_id"] for line in lines]
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    results = [
        {"type": "errored", "error": error},
        {"type": "expired"},
        {"type": "canceled"},
    ]
    lines[:3] = [
        json.dumps({"custom_id": name, "result": result})
        for name, result in zip(names[:3], results, strict=True)
    ]
    lines[3] = lines[3].replace(names[3], "somebody-elses")
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    _, report = read_logs([tmp_path / "results.jsonl"], asked=batch / "study.yaml")
    assert report.kept == 46
    assert report.set_aside.counts == {
        "a call that ended in an error": 1,
        "a call that was cancelled or expired": 2,
        "a custom_id that the study or request file does not have": 1,
    }
    assert "too long" in report.set_aside.examples["a call that ended in an error"][0][2]


def test_results_alone_do_not_say_what_was_asked(batch, tmp_path):
    with pytest.raises(InputError, match="--asked FILE"):
        import_logs([batch / "results.jsonl"], tmp_path / "study")
    with pytest.raises(InputError, match="is not a request of a batch"):
        read_logs([batch / "results.jsonl"], asked=batch / "results.jsonl")
