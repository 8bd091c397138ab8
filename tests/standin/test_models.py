import anthropic
import pytest

from afanalysis.standin.models import KNOWN_MODELS, SAMPLING, VERSIONS, facts_of
from afanalysis.standin.state import StandIn
from tests.standin.test_state import BODY

OLD, LATEST = VERSIONS[1:]
EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING = ("adaptive", "between_tools", "disabled", "enabled")
MODELS = list(KNOWN_MODELS)
ASK = {"max_tokens": 2000, "messages": [{"role": "user", "content": "Ask"}]}


@pytest.fixture(scope="module")
def client(standin):
    with anthropic.Anthropic(base_url=standin, api_key="any", max_retries=0) as client:
        yield client


def accepted(model, version=LATEST, **settings):
    body = BODY | {"model": model, "max_tokens": 4000} | settings
    return StandIn().problem(body, version) is None


def capabilities(model):
    return facts_of(model).info["capabilities"]


def test_the_models_are_listed_in_pages_and_given_one_by_one(client):
    listed = list(client.models.list(limit=5))
    assert [model.id for model in listed] == MODELS
    assert all(client.models.retrieve(model.id) == model for model in listed)
    newest = client.models.retrieve("claude-opus-5-5")
    assert (newest.lifecycle, newest.max_tokens, newest.max_input_tokens) == (
        "active",
        128_000,
        1_000_000,
    )
    assert not newest.capabilities.thinking.types.disabled.supported
    retiring = client.models.retrieve("claude-sonnet-4-5-20250929")
    assert (retiring.lifecycle, f"{retiring.retires_at:%F}") == ("deprecated", "2026-11-30")


def test_a_model_that_is_not_listed_is_not_found_and_answers_all_the_same(client):
    with pytest.raises(anthropic.NotFoundError, match="model: m") as raised:
        client.models.retrieve("m")
    assert raised.value.body["error"]["type"] == "not_found_error"
    odd = {"temperature": 0.2, "top_k": 5, "min_p": 0.1}
    assert client.messages.create(model="m", **ASK, extra_body=odd).content[-1].text


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-4-6"])
@pytest.mark.parametrize("setting", SAMPLING)
def test_the_latest_version_takes_no_sampling_setting_even_at_its_default(client, model, setting):
    with pytest.raises(anthropic.BadRequestError, match=f"`{setting}` is deprecated") as raised:
        client.messages.create(model=model, **ASK, extra_body={setting: 1})
    body = raised.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert body["request_id"] == raised.value.response.headers["request-id"]


def test_the_older_version_takes_them_from_models_that_have_them(client):
    older = {"extra_headers": {"anthropic-version": OLD}}
    message = client.messages.create(
        model="claude-opus-4-6", **ASK, extra_body={"temperature": 0.5}, **older
    )
    assert message.stop_reason == "end_turn"
    for model in MODELS:
        assert accepted(model, OLD, temperature=1)
        assert accepted(model, OLD, temperature=0.5) == facts_of(model).sampling
    assert not facts_of("claude-opus-4-7").sampling


def test_in_a_batch_each_request_with_a_sampling_setting_is_invalid(client):
    params = {"model": "claude-opus-4-6", **ASK}
    requests = [
        {"custom_id": "plain", "params": params},
        {"custom_id": "warm", "params": params | {"temperature": 1}},
    ]

    def results(**options):
        batch = client.messages.batches.create(requests=requests, **options)
        return {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}

    strict = results()
    assert strict["plain"].type == "succeeded"
    assert strict["warm"].error.error.type == "invalid_request_error"
    assert results(extra_headers={"anthropic-version": OLD})["warm"].type == "succeeded"


@pytest.mark.parametrize("model", MODELS)
def test_what_a_model_says_that_it_takes_is_what_it_takes(model):
    said = capabilities(model)
    for kind in THINKING:
        thinking = {"type": kind, "budget_tokens": 1024}
        assert accepted(model, thinking=thinking) == said["thinking"]["types"][kind]["supported"]
    for level in EFFORTS:
        assert accepted(model, output_config={"effort": level}) == said["effort"][level]["supported"]
    assert not accepted(model, output_config={"effort": "extreme"})
    most = facts_of(model).info["max_tokens"]
    assert accepted(model, max_tokens=most)
    assert not accepted(model, max_tokens=most + 1)


def test_thinking_is_turned_off_only_where_and_as_the_api_allows_it():
    for model in ("claude-opus-5-5", "claude-fable-5-1", "claude-fable-5-2"):
        assert not any(accepted(model, thinking={"type": kind}) for kind in ("enabled", "disabled"))
    assert not accepted("claude-sonnet-5-5", thinking={"type": "disabled"})
    off = {
        "claude-sonnet-5-5": "between_tools",
        "claude-haiku-5-5": "disabled",
        "claude-opus-5": "disabled",
    }
    for model, kind in off.items():
        efforts = [
            e for e in EFFORTS if accepted(model, thinking={"type": kind}, output_config={"effort": e})
        ]
        assert efforts == ["low", "medium", "high"]
    for budget in (None, 1023, 4000):
        thinking = {"type": "enabled"} | ({"budget_tokens": budget} if budget else {})
        assert not accepted("claude-opus-4-6", thinking=thinking)


@pytest.mark.parametrize(
    ("model", "thinking", "shown"),
    [
        ("claude-opus-5-5", None, ""),
        ("claude-opus-5-5", {"type": "adaptive"}, ""),
        ("claude-opus-5-5", {"type": "adaptive", "display": "summarized"}, "[simulated thinking"),
        ("claude-sonnet-5-5", None, ""),
        ("claude-sonnet-5-5", {"type": "between_tools"}, None),
        ("claude-haiku-5-5", {"type": "disabled"}, None),
        ("claude-opus-4-8", None, None),
        ("claude-opus-4-8", {"type": "adaptive"}, ""),
        ("claude-opus-4-6", {"type": "adaptive"}, "[simulated thinking"),
        ("claude-opus-4-6", {"type": "adaptive", "display": "omitted"}, ""),
        ("m", None, None),
        ("m", {"type": "enabled"}, "[simulated thinking"),
    ],
)
def test_thinking_comes_back_only_where_it_is_shown(client, model, thinking, shown):
    message = client.messages.create(model=model, **ASK, **({"thinking": thinking} if thinking else {}))
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    assert len(thoughts) == (shown is not None)
    assert all(bool(text) == bool(shown) and text.startswith(shown) for text in thoughts)
    counted = message.usage.output_tokens_details.thinking_tokens
    assert (counted > 0) == (shown is not None)
    assert message.usage.output_tokens > counted


def test_thinking_counts_towards_max_tokens_and_grows_with_effort():
    spent = []
    for effort in EFFORTS:
        body = BODY | {
            "model": "claude-opus-5-5",
            "max_tokens": 8000,
            "output_config": {"effort": effort},
        }
        spent.append(StandIn().message(body, "draw")["usage"]["output_tokens"])
    assert spent == sorted(set(spent))
    for most in (1, 20, 5000):
        message = StandIn().message(body | {"max_tokens": most}, "draw")
        assert message["usage"]["output_tokens"] <= most
        cut = most < spent[-1]
        assert message["stop_reason"] == ("max_tokens" if cut else "end_turn")
        assert [block["type"] for block in message["content"]] == ["thinking", "text"][: 1 + (not cut)]


def test_a_lenient_one_takes_what_the_api_refuses():
    body = BODY | {"model": "claude-opus-5-5", "temperature": 0.5, "thinking": {"type": "disabled"}}
    assert StandIn().problem(body)
    assert StandIn(lenient=True).problem(body) is None
