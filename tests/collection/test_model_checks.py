"""What the API says about a model decides before a live run; no paid call is made in vain."""

import asyncio

import pytest
from anthropic.types import ModelInfo

import afanalysis as af
from afanalysis.collection.endpoint import connect
from afanalysis.errors import InputError
from afanalysis.study.ledger import Budget
from tests.collection.test_endpoints import _keys, live, message, server, study_of  # noqa: F401

YES, NO = {"supported": True}, {"supported": False}


def described(**fields):
    """A model as the API describes it, which its SDK can read."""
    able = dict.fromkeys(
        ["batch", "citations", "code_execution", "image_input", "pdf_input", "structured_outputs"], YES
    )
    able |= {"context_management": YES, "server_tools": YES | {"code_execution": YES, "web_search": YES}}
    able["effort"] = YES | {"low": YES, "medium": YES, "high": YES, "max": NO}
    able["thinking"] = YES | {
        "types": {"adaptive": YES, "between_tools": NO, "disabled": NO, "enabled": NO}
    }
    info = {
        "id": "a",
        "type": "model",
        "display_name": "A",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_tokens": 2000,
        "max_input_tokens": 200_000,
        "capabilities": able,
    } | fields
    ModelInfo.model_validate(info)
    return info


def asked(seen):
    """The paths, without the free one that tells a stand-in from the API."""
    return [path for _, path, _, _ in seen if path != "/v1/models?limit=1"]


def run(folder, sampling, info=None, models_answer=None, **endpoint):
    """Collect from a server that describes its models; the summary and the paths that were asked."""

    def answer(method, path, headers, body):
        if path.endswith("/messages"):
            return message(body)
        if "/models/" in path:
            return models_answer or (200, info or described())
        return 404, {}

    with server(answer) as (address, seen):
        study = study_of(
            [{"models": ["a"], "base_url": address} | endpoint],
            models=["a"],
            sampling={"max_tokens": 1000} | sampling,
        )
        try:
            return live(study, folder), asked(seen)
        except InputError as error:
            return str(error), asked(seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampling", "sentence"),
    [
        ({"temperature": 1.0}, "a: temperature is not accepted under API version 2026-10-21"),
        ({"extra": {"top_k": 5}}, "a: top_k is not accepted under API version"),
        ({"effort": "max"}, "a: effort 'max' is not taken; use low, medium, high"),
        ({"effort": "xhigh"}, "a: effort 'xhigh' is not taken"),
        ({"thinking": {"type": "disabled"}}, "a: thinking 'disabled' is not taken; use adaptive"),
        ({"max_tokens": 4000}, "a: max_tokens is 4,000; use at most 2,000"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence_and_nothing_is_paid(sampling, sentence, tmp_path):
    outcome, paths = run(tmp_path, sampling)
    assert sentence in outcome
    assert paths == ["/v1/models/a"]


def test_all_settings_that_do_not_fit_are_reported_together(tmp_path):
    outcome, _ = run(tmp_path, {"temperature": 1.0, "effort": "max", "max_tokens": 9000})
    assert [part.split()[1] for part in outcome.split("; a: ")] == ["max_tokens", "is", "'max'"]


def test_settings_that_fit_are_sent(tmp_path):
    thinking = {"type": "adaptive", "display": "summarized"}
    summary, paths = run(tmp_path, {"effort": "low", "thinking": thinking, "max_tokens": 2000})
    assert summary.complete
    assert paths.count("/v1/models/a") == 1


def test_an_older_version_of_the_api_takes_a_temperature(tmp_path):
    summary, _ = run(tmp_path, {"temperature": 1.0, "api_version": "2023-06-01"})
    assert summary.complete


@pytest.mark.parametrize("stage", ["deprecated", "retired"])
def test_a_model_that_retires_is_noted_and_asked_all_the_same(tmp_path, stage):
    """Claude 3 Opus, the paper's model, has retired and answers those who have requested it."""
    info = described(lifecycle=stage, retires_at="2026-01-05T00:00:00Z")
    summary, _ = run(tmp_path, {}, info)
    assert summary.complete
    assert summary.notes == [f"a is {stage}; it retires or has retired 2026-01-05T00:00:00Z"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        (404, b"<html>Not found"),
        (404, {"error": {"message": "no such route", "code": 404}}),
        (200, b"<html>Welcome"),
        (200, {"id": "a", "object": "model"}),
        (200, {"id": "a", "capabilities": ["all"], "max_tokens": "many", "lifecycle": 3}),
        (401, {}),
        (500, b""),
    ],
)
def test_where_a_server_describes_no_models_the_first_call_tells(answer, tmp_path):
    summary, _ = run(tmp_path, {"temperature": 1.0, "effort": "max"}, models_answer=answer)
    assert summary.complete


def test_a_finished_study_asks_about_no_model(tmp_path):
    """So it can be analysed after its model has retired."""
    summary, _ = run(tmp_path, {})
    again, paths = run(tmp_path, {}, described(lifecycle="retired"))
    assert (again.sent, again.skipped) == (0, summary.sent)
    assert paths == []


def test_the_judge_is_checked_too(tmp_path):
    def answer(method, path, headers, body):
        if path.endswith("/messages"):
            return message(body)
        return (200, described(id="judge", max_tokens=500)) if path.endswith("judge") else (404, {})

    with server(answer) as (address, _):
        study = study_of([{"models": ["a", "judge"], "base_url": address}], models=["a"])
        with pytest.raises(InputError, match="judge: max_tokens is 1,000; use at most 500"):
            live(study, tmp_path, judged=True)


def test_nothing_is_asked_without_live(tmp_path):
    with server(lambda *_: (500, {})) as (address, seen):
        study = study_of([{"models": ["a"], "base_url": address}], models=["a"])

        async def simulate():
            async with connect(study) as endpoint:
                return await af.collect(study, endpoint, tmp_path, budget=Budget(usd=1))

        assert asyncio.run(simulate()).complete
    assert not seen
