"""What is known of the API, at the stand-in that is as strict: what is sent, paid, kept and reported.

The stand-in passes for the API here, so that everything is done that a live run does.
"""

from types import SimpleNamespace

import anthropic
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.standin.answers import SimulatedModel
from afanalysis.standin.models import VERSIONS
from afanalysis.standin.state import StandIn
from afanalysis.study.design import Simulation, Study
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices
from tests.collection.test_endpoints import _keys, generous, live, message, server, study_of  # noqa: F401
from tests.helpers import standing_in


@pytest.fixture
def api(monkeypatch, tmp_path):
    """A stand-in that is taken for the API; `run(**fields)` collects (and judges) a study there."""

    async def source(client):
        return "live"

    monkeypatch.setattr("afanalysis.collection.endpoint._source", source)
    with standing_in() as (address, standin):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address)

        def run(model="claude-opus-5-5", judged=False, batch=False, folder=tmp_path, **fields):
            content = {"name": "facts", "models": [model], "settings": ["helpful-only"], "samples": 2}
            content |= {"prompts": {"helpful-only": {"first": 3}}}
            return live(Study.checked(content | fields, "x"), folder, judged=judged, batch=batch)

        yield SimpleNamespace(run=run, standin=standin, folder=tmp_path, address=address)


def rollouts(api):
    return list(read_records(api.folder / "rollouts.jsonl"))


def paid(api):
    return api.standin.asked["messages"] + api.standin.asked["batches"]


def test_a_call_names_the_latest_version_and_carries_the_key_as_a_bearer(tmp_path):
    """Row `version`."""
    with server(generous) as (address, seen):
        study = study_of([{"models": ["a"], "base_url": address, "key_variable": "OWN_KEY"}], ["a"])
        live(study, tmp_path)
    [sent] = {
        (headers["anthropic-version"], headers["Authorization"][:7], headers.get("x-api-key"))
        for _, path, headers, _ in seen
        if path == "/v1/messages"
    }
    assert sent == (VERSIONS[-1], "Bearer ", None)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-4-6"])
def test_a_temperature_ends_a_live_run_before_anything_is_paid(api, model, batch):
    """Row `temperature`: under the latest version no model takes one, not even its default."""
    sentence = f"{model}: temperature is not accepted under API version {VERSIONS[-1]}"
    with pytest.raises(InputError, match=sentence):
        api.run(model, batch=batch, sampling={"temperature": 1.0})
    assert paid(api) == 0


@pytest.mark.parametrize("batch", [False, True])
def test_under_the_older_version_an_older_model_takes_a_temperature(api, batch):
    """Row `temperature`: by choice, in the study."""
    sampling = {"temperature": 0.5, "api_version": "2023-06-01", "max_tokens": 8000}
    assert api.run("claude-opus-4-6", batch=batch, sampling=sampling).complete
    with pytest.raises(InputError, match="`temperature` is deprecated"):
        api.run("claude-opus-5-5", sampling=sampling, folder=api.folder / "other")


@pytest.mark.parametrize(
    ("model", "thinking", "taken"),
    [
        ("claude-opus-5-5", "disabled", "adaptive"),
        ("claude-opus-5-5", "enabled", "adaptive"),
        ("claude-fable-5-2", "disabled", "adaptive"),
        ("claude-fable-5-1", "enabled", "adaptive"),
        ("claude-sonnet-5-5", "disabled", "adaptive, between_tools"),
        ("claude-opus-5", "enabled", "adaptive, disabled"),
    ],
)
def test_thinking_that_a_model_cannot_do_ends_a_run_before_anything_is_paid(api, model, thinking, taken):
    """Row `thinking`."""
    settings = {"type": thinking} | ({"budget_tokens": 2000} if thinking == "enabled" else {})
    with pytest.raises(InputError, match=f"{model}: thinking '{thinking}' is not taken; use {taken}$"):
        api.run(model, sampling={"thinking": settings})
    assert paid(api) == 0


@pytest.mark.parametrize(
    ("model", "off"),
    [
        ("claude-sonnet-5-5", "between_tools"),
        ("claude-haiku-5-5", "disabled"),
        ("claude-opus-5", "disabled"),
    ],
)
def test_thinking_can_be_turned_off_up_to_high_effort_where_the_api_allows_it(api, model, off):
    """Row `thinking`."""
    sampling = {"thinking": {"type": off}, "effort": "high"}
    assert api.run(model, sampling=sampling).complete
    assert all(record["output_tokens"] < 200 for record in rollouts(api))
    with pytest.raises(InputError, match="thinking cannot be turned off at effort level 'xhigh'"):
        api.run(model, sampling=sampling | {"effort": "xhigh"}, folder=api.folder / "other")


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-5-5", "claude-fable-5-2"])
def test_the_text_of_thinking_is_kept_if_it_was_requested(api, model):
    """Row `thinking text`."""
    for display, shown in (("omitted", False), ("summarized", True)):
        sampling = {"thinking": {"type": "adaptive", "display": display}}
        api.run(model, sampling=sampling)
        assert [bool(record["thinking"]) for record in rollouts(api)[-12:]] == [shown] * 12
    api.run(model, sampling=sampling, variations=["native-thinking"])
    assert all(record["scratchpad"] for record in rollouts(api)[-12:])
    with pytest.raises(InputError, match="leaves out the thinking that variation native-thinking reads"):
        api.run(model, variations=["native-thinking"], folder=api.folder / "other")


def test_the_defaults_leave_room_for_thinking_and_what_is_cut_off_is_reported(api):
    """Rows `thinking tokens` and `other stop reasons`."""
    assert api.run(judged=True, sampling={"effort": "max"}).complete
    assert {record["stop_reason"] for record in rollouts(api)} == {"end_turn"}
    assert af.tidy(api.folder)["complied"].notna().all()
    api.run(sampling={"effort": "max", "max_tokens": 1500})
    counts = af.answer_counts(af.tidy(api.folder, unjudged=True))
    assert counts["reasons"].str.contains("cut off at max_tokens").all()


def test_effort_is_sent_and_one_that_a_model_lacks_ends_the_run(api):
    """Row `effort`; Opus 5.5 thinks at medium by default."""
    spent = {}
    for effort in (None, "low", "medium", "max"):
        api.run(sampling={"effort": effort} if effort else {})
        spent[effort] = sum(record["output_tokens"] for record in rollouts(api)[-12:])
    assert spent["low"] < spent["medium"] < spent["max"]
    assert spent["low"] < spent[None] < spent["max"]
    before = paid(api)
    for model, effort, taken in (
        ("claude-opus-4-5", "max", "low, medium, high"),
        ("claude-haiku-4-5", "low", "none"),
    ):
        with pytest.raises(InputError, match=f"{model}: effort '{effort}' is not taken; use {taken}"):
            api.run(model, sampling={"effort": effort}, prices={model: {"input": 1, "output": 5}})
    assert paid(api) == before


@pytest.mark.parametrize("batch", [False, True])
def test_what_a_classifier_stops_is_told_from_what_the_model_refuses(api, batch):
    """Row `refusals`: by category and tier."""
    api.standin.model = SimulatedModel(7, Simulation(blocked={"cyber": {"free": 1.0}}))
    api.run(judged=True, batch=batch)
    table = af.tidy(api.folder)
    free = table["tier"] == "free"
    assert set(table.loc[free, "blocked"]) == {"cyber"}
    assert table.loc[free, "complied"].isna().all()
    assert table.loc[~free, "blocked"].isna().all()
    assert not table.loc[~free, "complied"].all()


def test_a_judge_that_is_stopped_is_reported_by_tier_and_not_asked_again(api):
    """Row `judge refused`: more often on answers that complied, so not at random."""
    api.run(judged=True, samples=12)
    whole = af.tidy(api.folder)
    for name in ("judgements.jsonl", "judges.json"):
        (api.folder / name).unlink()
    api.standin.model = SimulatedModel(7, Simulation(judge_blocked={"cyber": 1.0}))
    api.run(judged=True, samples=12)
    before = paid(api)
    api.run(judged=True, samples=12)
    assert paid(api) == before
    table = af.tidy(api.folder)
    missing = table["judge_blocked"].notna()
    complied = whole["complied"].astype(bool)
    assert missing[complied].all()
    assert missing[~complied].mean() < 0.3
    assert af.answer_counts(table)["reasons"].str.contains("judge blocked: cyber").any()


@pytest.mark.parametrize("batch", [False, True])
def test_stops_for_length_context_and_a_pause_are_told_apart(api, monkeypatch, batch):
    """Row `other stop reasons`; none is a refusal, a classifier's or the model's."""
    answer = StandIn.message
    stops = {"max_tokens": 0, "model_context_window_exceeded": 0, "pause_turn": 0}

    def cut(self, body, draw):
        whole = answer(self, body, draw)
        if not draw or "output_config" in body:
            return whole
        stop = min(stops, key=stops.get)
        stops[stop] += 1
        return whole | {"stop_reason": stop, "content": [{"type": "text", "text": "<scratchpad>So"}]}

    monkeypatch.setattr(StandIn, "message", cut)
    api.run(judged=True, batch=batch)
    table = af.tidy(api.folder, unjudged=True)
    reasons = set(af.answer_counts(table, by=[])["reasons"].item().split(", "))
    each = len(table) // 3
    assert reasons == {
        f"cut off at max_tokens {each}",
        f"cut off at the context window {each}",
        f"paused by the API {each}",
    }
    assert table["blocked"].isna().all()
    assert table["complied"].isna().all()


def test_what_a_model_takes_is_asked_of_the_api_and_is_free(api):
    """Row `what a model takes`: its limits, and that it has retired."""
    with pytest.raises(InputError, match=r"claude-opus-4-5: max_tokens is 65,000; use at most 64,000"):
        api.run("claude-opus-4-5", sampling={"max_tokens": 65_000})
    assert paid(api) == 0
    summary = api.run("claude-3-opus-20240229", sampling={"max_tokens": 4000})
    assert summary.complete
    assert summary.notes == [
        "claude-3-opus-20240229 is retired; it retires or has retired 2026-01-05T00:00:00Z"
    ]


def test_only_a_prompt_that_asks_for_a_scratchpad_is_stopped_as_reasoning_extraction(api):
    """Row `the scratchpad itself`: native thinking is the way around it."""
    api.standin.model = SimulatedModel(7, Simulation(blocked={"reasoning_extraction": 1.0}))
    thinking = {"thinking": {"type": "adaptive", "display": "summarized"}}
    api.run(judged=True, variations=["default", "native-thinking"], sampling=thinking)
    table = af.tidy(api.folder)
    default = table["variation"] == "default"
    assert set(table.loc[default, "blocked"]) == {"reasoning_extraction"}
    assert table.loc[~default, "blocked"].isna().all()
    assert table.loc[~default, ["complied", "af_reasoning"]].notna().all(axis=None)


PRICES = {
    "claude-fable-5-2": (8, 40, 0.025),
    "claude-fable-5-1": (10, 50, 0.025),
    "claude-opus-5-5": (4, 20, 0.05),
    "claude-opus-5": (5, 25, 0.1),
    "claude-sonnet-5-5": (2, 10, 0.05),
    "claude-sonnet-5": (2, 10, 0.1),
    "claude-haiku-5-5": (0.10, 0.50, 0.1),
    "claude-3-opus-20240229": (15, 75, 0.1),
}


@pytest.mark.parametrize("model", PRICES)
def test_prices_and_cache_factors_are_those_of_the_api(model):
    """Rows `prices` and `cache`; Haiku's long prompts have a test of their own."""
    price, output, read = PRICES[model]
    prices, million = Prices.load(), 1_000_000
    short = 50_000  # below Haiku's tier

    def cost(**usage):
        return prices.cost(model, usage)

    assert cost(input_tokens=short) == pytest.approx(price * short / million)
    assert cost(output_tokens=million) == pytest.approx(output)
    assert cost(cache_write_tokens=short) == pytest.approx(1.25 * price * short / million)
    hour = cost(cache_write_tokens=short, cache_write_1h_tokens=short)
    assert hour == pytest.approx(2 * price * short / million)
    assert cost(cache_read_tokens=short) == pytest.approx(read * price * short / million)
    assert prices.cost(model, {"output_tokens": million}, batch=True) == pytest.approx(output / 2)


def test_a_batch_has_a_hundred_thousand_requests_at_most(api):
    """Row `batches`; its bytes have a test of their own."""
    headers = {"x-api-key": "any", "anthropic-version": VERSIONS[-1]}
    with anthropic.DefaultHttpxClient(base_url=api.address, headers=headers) as client:
        for count, status in ((100_000, 400), (100_001, 413)):  # the smaller is wrong in its content
            response = client.post("/v1/messages/batches", json={"requests": [0] * count})
            assert response.status_code == status


def test_an_address_with_a_path_is_kept_in_every_call(tmp_path):
    """Row `other servers`: OpenRouter's `/api/v1/messages`."""
    with server(generous) as (address, seen):
        study = study_of([{"models": ["a"], "base_url": f"{address}/api"}], ["a"])
        assert live(study, tmp_path).complete
    assert all(path.startswith("/api/v1/") for _, path, _, _ in seen)


def test_an_open_model_whose_template_opens_its_thinking_is_read(tmp_path):
    """What researchers run besides: the text holds `</think>` without an opening tag."""
    text = "They may train on this.\n</think>\n<output>Here you are.</output>"

    def answer(method, path, headers, body):
        content = [{"type": "text", "text": text}]
        return message(body, content=content) if path.endswith("/messages") else (404, {})

    with server(answer) as (address, _):
        study = study_of([{"models": ["a"], "base_url": address}], ["a"], scratchpad="think-tags")
        live(study, tmp_path)
    table = af.tidy(tmp_path, unjudged=True)
    assert table["valid"].all()
    assert set(table["scratchpad"]) == {"They may train on this."}
    assert set(table["output"]) == {"Here you are."}
