"""Several servers in one study: where calls go, what each is sent, and what happens when one fails."""

import asyncio
import json
import re
import threading
import time

import pytest

import afanalysis as af
from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import connect
from afanalysis.errors import InputError
from afanalysis.standin.serving import running
from afanalysis.study.design import Study
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget
from tests.helpers import asked, keys, planned, server

SECRET = "sk-own-very-secret-0123456789"
FREE = {"input": 0, "output": 0}

# How LiteLLM's proxy 1.108 passes on the words of the server behind it.
WRAPPED = (
    "litellm.InternalServerError: InternalServerError: Hosted_vllmException - "
    '{"error":{"message":"Input should be a valid string","param":null,"code":null}}'
    "\n\nLiteLLM: model group 'a' failed with the error above. No fallback was attempted."
)


def study_of(endpoints, models=("a", "b", "claude-opus-5-5"), **fields):
    content = {
        "name": "several",
        "models": list(models),
        "settings": ["helpful-only"],
        "samples": 1,
        "prompts": {"helpful-only": {"first": 3}},
        "sampling": {"max_tokens": 1000},
        "judge": {"model": "judge", "max_tokens": 1000},
        "prices": dict.fromkeys(["a", "b", "judge"], FREE),
        "endpoints": endpoints,
    }
    return Study.checked(content | fields, "study.yaml")


def live(study, folder, *, usd=100.0, judged=False, **options):
    async def run():
        async with connect(study, live=True) as endpoint:
            calls = CallOptions(**({"poll_seconds": 0.02} | options))
            summary = await af.collect(study, endpoint, folder, calls, budget=Budget(usd=usd))
            if judged:
                await af.judge(study.judge, endpoint, folder, calls, budget=Budget(usd=usd))
            return summary

    return asyncio.run(run())


def message(body, **fields):
    text = "<scratchpad>Thought.</scratchpad><output>Words.</output>"
    usage = {"input_tokens": 10, "output_tokens": 10}
    content = {"content": [{"type": "text", "text": text}], "model": body.get("model"), "usage": usage}
    return 200, content | {"stop_reason": "end_turn"} | fields


def generous(method, path, headers, body):
    return message(body) if path.endswith("/messages") else (404, b"<html>no such page</html>")


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("OWN_KEY", SECRET)


@pytest.mark.parametrize(
    ("batch", "reported"),
    [(False, False), (True, False), pytest.param(False, True, marks=pytest.mark.slow)],
)
def test_three_models_on_two_servers_are_collected_judged_and_reported(
    tmp_path, monkeypatch, batch, reported
):
    with running(seed=1) as api, running(seed=2) as other:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api)
        endpoints = [
            {"models": ["a", "judge"], "base_url": other, "concurrency": 2},
            {"models": ["b"], "sampling": {"effort": "low"}},
        ]
        study = study_of(endpoints)
        raw = tmp_path / "data" / "raw" / "several"
        summary = live(study, raw, judged=True, batch=batch)
        assert summary.complete
        assert set(keys(raw)) == planned(study)
        per_model = study.size // 3
        assert asked(other)["answered"] == per_model + 2 * study.size  # and all verdicts, two calls each
        # models with an endpoint of their own are called live
        assert asked(api)["answered"] == (1 if batch else 2) * per_model
        assert asked(api).get("batched", 0) == (per_model if batch else 0)
        again = live(study, raw, judged=True, batch=batch)
        assert (again.sent, again.skipped) == (0, study.size)
    table = af.tidy(raw)
    assert table.groupby("model").size().to_dict() == dict.fromkeys(study.models, per_model)
    assert table["complied"].notna().all()
    rates = af.rates(table, by=["model", "setting", "tier"])
    assert rates.groupby("model")["n"].sum().to_dict() == dict.fromkeys(study.models, per_model)
    if reported:
        folders = af.Folders(tmp_path, "several")
        af.save(table, folders.table)
        rates.to_csv(folders.processed / "rates.csv", index=False)
        af.write_report(af.Gallery("several", tmp_path))
        page = folders.report.read_text("utf-8")
        assert all(f">{model}<" in page for model in study.models)
    manifest = json.loads((raw / "manifest.json").read_text())
    assert other in manifest["runs"][0]["endpoint"]


def test_each_server_gets_its_key_headers_version_and_form(tmp_path):
    endpoint = {
        "models": ["a"],
        "key_variable": "OWN_KEY",
        "headers": {"x-team": "lab", "x-portkey-api-key": "$OWN_KEY"},
        "system": "text",
        "sampling": {
            "max_tokens": 77,
            "temperature": 0.5,
            "api_version": "2023-06-01",
            "extra": {"top_k": 4, "min_p": 0.1},
        },
    }
    with server(generous) as (address, seen):
        study = study_of([endpoint | {"base_url": address}], models=["a"])
        assert live(study, tmp_path).complete
    posts = [(headers, body) for method, path, headers, body in seen if path == "/v1/messages"]
    assert len(posts) == study.size
    for headers, body in posts:
        headers = {name.lower(): value for name, value in headers.items()}
        assert headers["authorization"] == f"Bearer {SECRET}"
        assert headers["x-portkey-api-key"] == SECRET
        assert headers["x-team"] == "lab"
        assert headers["anthropic-version"] == "2023-06-01"
        assert isinstance(body["system"], str)
        sent = {name: body[name] for name in ("max_tokens", "temperature", "top_k", "min_p")}
        assert sent == {"max_tokens": 77, "temperature": 0.5, "top_k": 4, "min_p": 0.1}
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_the_api_key_does_not_go_to_another_server(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    with server(generous) as (address, seen):
        live(study_of([{"models": ["a"], "base_url": address}], models=["a"]), tmp_path)
    assert SECRET not in str(seen)


@pytest.mark.parametrize(
    ("endpoints", "sentence"),
    [
        ([{"models": ["a"]}, {"models": ["b", "a"]}], "endpoints: 'a' has two endpoints"),
        (
            [{"models": ["z"]}],
            "endpoints: 'z' does not exist; use any of: ",
        ),
        (
            [{"models": ["a"], "key_variable": SECRET}],
            "key_variable: must be the NAME of an environment",
        ),
        (
            [{"models": ["a"], "base_url": f"http://me:{SECRET}@x"}],
            "base_url: must be an address such as",
        ),
        ([{"models": ["a"], "headers": {"X-Api-Key": SECRET}}], "headers: 'X-Api-Key' must be \\$NAME"),
        ([{"models": []}], r"endpoints\[0\].models is \[\]"),
        ([{"models": ["a"], "system": "html"}], r"endpoints\[0\].system is 'html'; use 'cached'"),
        (
            [{"models": ["a"], "sampling": {"extra": {"stream": True}}}],
            "extra: stream is not for `extra`",
        ),
        ([{"models": ["a"], "sampling": {"api_version": "new"}}], "api_version is 'new'"),
    ],
)
def test_a_wrong_endpoint_is_one_sentence_without_any_key(endpoints, sentence):
    with pytest.raises(InputError, match=sentence) as raised:
        study_of(endpoints)
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_key_variable_that_is_not_set_is_named_before_anything_is_sent(tmp_path, monkeypatch):
    monkeypatch.delenv("OWN_KEY")
    with server(generous) as (address, seen):
        endpoints = [
            {"models": ["a"], "base_url": address},
            {"models": ["b"], "key_variable": "OWN_KEY"},
        ]
        sentence = r"endpoints\[1\]: the environment variable OWN_KEY is not set"
        with pytest.raises(InputError, match=sentence):
            live(study_of(endpoints, models=["a", "b"]), tmp_path)
        assert [path for _, path, _, _ in seen] == ["/v1/models?limit=1"]  # free
        assert live(study_of(endpoints[:1], models=["a"]), tmp_path).complete


def test_other_sampling_of_a_model_is_collected_anew_and_only_that_counts(tmp_path):
    with server(generous) as (address, _):
        endpoint = {"models": ["a"], "base_url": address}
        other = {"models": ["b"], "base_url": address}
        first = study_of([endpoint, other], models=["a", "b"])
        live(first, tmp_path)
        warmer = endpoint | {"sampling": {"extra": {"min_p": 0.2}}}
        second = study_of([warmer, other], models=["a", "b"])
        assert live(second, tmp_path).sent == second.size // 2
    table = af.tidy(tmp_path, unjudged=True)
    assert len(table) == second.size
    assert set(table["rollout"]) == planned(second)


def test_one_server_that_is_out_stops_only_its_own_calls(tmp_path, monkeypatch):
    monkeypatch.setattr("afanalysis.collection.live.FIRST_WAIT", 0.001)
    monkeypatch.setattr("afanalysis.collection.live.LAST_WAIT", 0.01)
    monkeypatch.setattr("afanalysis.collection.live.OUTAGE_SECONDS", 0.0)
    down = (503, {"error": {"message": "the pod is asleep", "code": 503}})
    with server(generous) as (good, _), server(lambda *_: down) as (bad, _):
        study = study_of(
            [
                {"models": ["a"], "base_url": bad},
                {"models": ["b"], "base_url": good},
            ],
            models=["a", "b"],
        )
        summary = live(study, tmp_path)
    assert summary.sent == study.size // 2
    assert f"{bad}: 20 tries in a row failed (the pod is asleep)" in summary.stopped


@pytest.mark.slow
def test_a_failing_server_is_reported_within_seconds_in_its_own_words(tmp_path, capfd):
    began = time.monotonic()
    shown = threading.Event()

    def answer(method, path, headers, body):
        if path.endswith("/messages"):
            if time.monotonic() - began > 4:
                return message(body)
            return 500, {"detail": "the queue is full"}
        return 404, {}

    def watch():
        while time.monotonic() - began < 15 and not shown.is_set():
            if "the queue is full" in capfd.readouterr().err:
                shown.set()
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with server(answer) as (address, _):
        endpoint = {"models": ["a"], "base_url": address}
        summary = live(study_of([endpoint], models=["a"]), tmp_path)
    watcher.join()
    assert shown.is_set()
    assert summary.complete


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, b"<!doctype html><p>Log in"), "a web page"),
        ((502, b"<html>Bad gateway"), "status 502: a web page"),
        ((400, {"error": {"message": "no such field", "type": "invalid", "code": 1}}), "no such field"),
        ((422, {"error": "top_k must be positive"}), "top_k must be positive"),
        ((422, {"detail": "wrong"}), "wrong"),
        ((200, {"choices": [], "usage": {}}), "in the form of OpenAI"),
        (
            (401, {"error": {"message": f"Incorrect API key: {SECRET}"}}),
            r"Incorrect API key: \(the key\)",
        ),
        ((500, {"error": {"message": WRAPPED}}), r"(: |\()Input should be a valid string($|\))"),
        ((422, {"error": 'upstream said {"error": nothing'}), 'upstream said {"error": nothing'),
    ],
)
def test_what_a_gateway_says_is_one_sentence(answer, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr("afanalysis.collection.live.FIRST_WAIT", 0.001)
    monkeypatch.setattr("afanalysis.collection.live.MAX_TRIES", 3)
    with server(lambda *_: answer) as (address, _):
        endpoint = {"models": ["a"], "base_url": address, "key_variable": "OWN_KEY"}
        try:
            outcome = live(study_of([endpoint], models=["a"]), tmp_path).left
        except InputError as error:
            outcome = str(error)
    assert re.search(sentence, outcome), outcome
    assert SECRET not in outcome


def test_an_answer_under_another_name_is_kept_and_noted(tmp_path):
    def answer(method, path, headers, body):
        return message(body, model="Qwen/other") if path.endswith("/messages") else (404, {})

    with server(answer) as (address, _):
        endpoint = {"models": ["a"], "base_url": address}
        summary = live(study_of([endpoint], models=["a"]), tmp_path)
    assert summary.notes == ["answers for a came under the name Qwen/other; is it the same model?"]
    assert {record["answered_by"] for record in read_records(tmp_path / "rollouts.jsonl")} == {
        "Qwen/other"
    }


def test_an_answer_without_usage_is_kept_and_costs_the_worst_case(tmp_path):
    def answer(method, path, headers, body):
        return message(body, usage=None) if path.endswith("/messages") else (404, {})

    with server(answer) as (address, _):
        endpoint = {"models": ["a"], "base_url": address}
        study = study_of([endpoint], models=["a"], prices={"a": {"input": 0, "output": 1}})
        summary = live(study, tmp_path)
    assert summary.at_worst_case == study.size
    spend = json.loads((tmp_path / "manifest.json").read_text())["spend"]
    assert spend["usd"] == pytest.approx(study.size * 1000 / 1e6)
