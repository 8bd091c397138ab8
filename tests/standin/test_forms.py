"""What the stand-in sends has the form of the SDK's own types: nothing missing, and nothing besides."""

import json

import anthropic
import pytest
from anthropic.types import Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.shared import ErrorResponse
from pydantic import BaseModel, TypeAdapter

from afanalysis.standin.handlers import STANDIN_HEADER
from afanalysis.standin.models import ERROR_TYPES, KNOWN_MODELS, VERSIONS
from afanalysis.standin.state import StandIn, error_body
from afanalysis.study.design import Simulation
from afanalysis.study.prompts import system_prompt
from tests.helpers import standing_in
from tests.standin.test_state import BODY

HEADERS = {"x-api-key": "any", "anthropic-version": VERSIONS[-1]}
REFUSING = Simulation(blocked={"cyber": 1.0})
SHOWN = {"type": "adaptive", "display": "summarized"}


def connection(address):
    """The SDK's HTTP client, with nothing between a response and the test."""
    return anthropic.DefaultHttpxClient(base_url=address, headers=HEADERS)


def assert_is(kind, content):
    value = TypeAdapter(kind).validate_python(content, strict=False)
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, BaseModel):
            assert not part.model_extra, part
            parts += [getattr(part, name) for name in type(part).model_fields]
        elif isinstance(part, list):
            parts += part


def test_the_check_finds_what_is_missing_and_what_is_besides():
    message = StandIn().message(BODY, "draw")
    for wrong in (
        message | {"mood": "good"},
        message | {"usage": {}},
        message | {"stop_reason": "tired"},
    ):
        with pytest.raises((AssertionError, ValueError)):
            assert_is(Message, wrong)


@pytest.mark.parametrize(
    ("simulation", "change", "stop"),
    [
        (Simulation(), {}, "end_turn"),
        (Simulation(), {"model": "claude-opus-5-5", "max_tokens": 4000}, "end_turn"),
        (Simulation(), {"model": "claude-opus-5-5", "max_tokens": 4000, "thinking": SHOWN}, "end_turn"),
        (Simulation(), {"model": "claude-opus-5-5", "max_tokens": 9}, "max_tokens"),
        (Simulation(), {"max_tokens": 9}, "max_tokens"),
        (REFUSING, {}, "refusal"),
    ],
)
def test_every_kind_of_message(simulation, change, stop):
    message = StandIn(simulation=simulation).message(BODY | change, "draw")
    assert_is(Message, message)
    assert message["stop_reason"] == stop


def test_models_and_errors():
    for name, facts in KNOWN_MODELS.items():
        assert_is(ModelInfo, {"id": name} | facts.info)
    for status in ERROR_TYPES:
        if status != 413:  # request_too_large, which the SDK's types leave out
            assert_is(ErrorResponse, error_body(status, "words"))


def test_what_goes_over_the_wire():
    with standing_in(expired=0.2, errored=0.2) as (address, standin):
        standin.model = type(standin.model)(simulation=Simulation(blocked={"bio": 0.2}))
        with connection(address) as client:

            def post(path, content):
                response = client.post(f"/v1/messages{path}", json=content)
                assert response.headers[STANDIN_HEADER]
                assert response.headers["request-id"].startswith("req_")
                return response

            response = post("", BODY)
            assert_is(Message, response.json())
            for kind in ("requests", "input-tokens", "output-tokens"):
                for part in ("limit", "remaining", "reset"):
                    assert response.headers[f"anthropic-ratelimit-{kind}-{part}"]
            assert_is(MessageTokensCount, post("/count_tokens", BODY).json())
            error = post("", BODY | {"messages": []})
            assert_is(ErrorResponse, error.json())
            assert error.json()["request_id"] == error.headers["request-id"]

            requests = [{"custom_id": f"a{number}", "params": BODY} for number in range(60)]
            requests.append({"custom_id": "wrong", "params": {}})
            batch = post("/batches", {"requests": requests}).json()
            assert_is(MessageBatch, batch)
            lines = client.get(f"/v1/messages/batches/{batch['id']}/results").text.splitlines()
            results = [json.loads(line) for line in lines]
            for result in results:
                assert_is(MessageBatchIndividualResponse, result)
            assert {row["result"]["type"] for row in results} == {"succeeded", "errored", "expired"}


@pytest.mark.parametrize("simulation", [Simulation(), REFUSING])
def test_every_event_of_a_stream_and_what_the_sdk_makes_of_them(simulation):
    body = BODY | {"model": "claude-opus-5-5", "max_tokens": 4000, "thinking": SHOWN}
    headers = {"idempotency-key": "one"}
    with standing_in() as (address, standin):
        standin.model = type(standin.model)(simulation=simulation)
        with anthropic.Anthropic(base_url=address, api_key="any") as client:
            whole = client.messages.create(**body, extra_headers=headers)
            with client.messages.stream(**body, extra_headers=headers) as stream:
                assert stream.get_final_message().to_dict() == whole.to_dict()
        with connection(address) as client:
            raw = client.post("/v1/messages", json=body | {"stream": True})
        for line in raw.text.splitlines():
            if line.startswith("data: "):
                assert_is(RawMessageStreamEvent, json.loads(line.removeprefix("data: ")))


def test_faults_say_who_sent_them_too():
    with standing_in(server_error=1.0) as (address, _), connection(address) as client:
        response = client.post("/v1/messages", json=BODY)
    assert response.status_code == 500
    assert response.headers[STANDIN_HEADER]
    assert_is(ErrorResponse, response.json())
    assert response.json()["request_id"] == response.headers["request-id"]


def test_the_words_of_a_refusal_come_without_any_content():
    body = BODY | {"system": system_prompt("helpful-only")}
    message = StandIn(simulation=REFUSING).message(body, "draw")
    assert (message["content"], message["usage"]["output_tokens"]) == ([], 0)
    details = message["stop_details"]
    assert (details["type"], details["category"]) == ("refusal", "cyber")
    assert details["explanation"]
