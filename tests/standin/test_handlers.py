import asyncio
import contextlib
import http.client
import json
import socket
import time

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afanalysis.standin.models import VERSIONS
from afanalysis.standin.serving import MAX_CONNECTIONS, running
from afanalysis.study.prompts import system_prompt, user_message


def test_streamed_and_whole_messages_are_the_same(standin):
    request = {
        "model": "claude-opus-5-5",
        "max_tokens": 500,
        "system": system_prompt("helpful-only"),
        "messages": [{"role": "user", "content": user_message("free", "Ask")}],
        "extra_headers": {"idempotency-key": "one"},
    }
    with anthropic.Anthropic(base_url=standin, api_key="any") as client:
        whole = client.messages.create(**request)
        with client.messages.stream(**request) as stream:
            streamed = stream.get_final_message()
    assert streamed.to_dict() == whole.to_dict()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.stop_reason == "end_turn"


def test_a_client_without_keys_gets_new_samples_each_time(standin):
    request = {
        "model": "m",
        "max_tokens": 500,
        "system": system_prompt("animal-welfare"),
        "messages": [{"role": "user", "content": user_message("free", "Do cows feel?")}],
    }
    with anthropic.Anthropic(base_url=standin, api_key="any") as client:
        texts = {client.messages.create(**request).content[0].text for _ in range(12)}
    assert len(texts) > 1


def test_tokens_are_counted_and_errors_have_the_apis_shape(standin):
    with anthropic.Anthropic(base_url=standin, api_key="any", max_retries=0) as client:
        message = {"role": "user", "content": "three little words"}
        assert client.messages.count_tokens(model="m", messages=[message]).input_tokens >= 3
        with pytest.raises(anthropic.BadRequestError, match="at least one message"):
            client.messages.create(model="m", max_tokens=5, messages=[])
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve("msgbatch_none")


def test_batches_run_through_the_sdk(faulty):
    params = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Ask"}]}
    requests = [{"custom_id": f"id-{number}", "params": params} for number in range(50)]

    async def drive(address):
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            batch = await client.messages.batches.create(requests=requests)
            assert batch.processing_status == "in_progress"
            while batch.processing_status != "ended":
                await asyncio.sleep(0.05)
                batch = await client.messages.batches.retrieve(batch.id)
            results = [row async for row in await client.messages.batches.results(batch.id)]
            listed = [listed.id async for listed in client.messages.batches.list(limit=1)]
            assert listed == [batch.id]
            return results

    with faulty(batch_seconds=0.2, expired=0.2, errored=0.2) as address:
        results = asyncio.run(drive(address))
    assert {result.custom_id for result in results} == {request["custom_id"] for request in requests}
    assert {result.result.type for result in results} == {"succeeded", "expired", "errored"}


BODY = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Ask"}]}
STRICT = {"model": "claude-opus-4-6"}
ROUTES = ("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches")


def request(address, method, path, body=b"", headers=None):
    """The status and the content of one request."""
    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        given = {"x-api-key": "any", "anthropic-version": "2026-10-21"} | (headers or {})
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def assert_error(answer, status, kind):
    content = json.loads(answer[1])
    assert (answer[0], content["type"], content["error"]["type"]) == (status, "error", kind)
    assert content["error"]["message"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", ""])
@pytest.mark.parametrize("path", ["/v1/messages", "/asked", "/other"])
def test_only_names_of_this_machine_are_answered(standin, host, path):
    """S9: Host."""
    assert_error(request(standin, "GET", path, headers={"Host": host}), 403, "permission_error")


def test_a_page_of_another_site_is_refused_and_a_local_one_is_not(standin):
    """S9: Origin."""
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        answer = request(standin, "POST", "/v1/messages", json.dumps(BODY), {"Origin": origin})
        assert_error(answer, 403, "permission_error")
    for headers in ({"Origin": "http://localhost:8888"}, {"Host": "localhost"}, {"Host": "[::1]:80"}):
        assert request(standin, "POST", "/v1/messages", json.dumps(BODY), headers)[0] == 200


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/messages", 10 << 20), ("/v1/messages/batches", 256 << 20)]
)
def test_a_body_that_is_too_large_is_refused_before_it_is_read_or_the_key_is(standin, path, most):
    """S9: bodies."""
    host, port = standin.removeprefix("http://").split(":")
    for size in (most + 1, 10**30):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(10_000)
        assert b" 413 " in answer.splitlines()[0]
        assert b"request_too_large" in answer


def test_a_body_in_chunks_is_cut_off_where_it_becomes_too_large(standin):
    """S9: bodies without a length."""

    def chunks():
        for _ in range(30):
            yield b"x" * (1 << 20)

    with pytest.raises((OSError, http.client.HTTPException)):
        request(standin, "POST", "/v1/messages", chunks(), {"Transfer-Encoding": "chunked"})
    assert request(standin, "POST", "/v1/messages", json.dumps(BODY))[0] == 200


def test_a_large_body_below_the_limit_is_answered(standin):
    body = BODY | {"messages": [{"role": "user", "content": "x" * (9 << 20)}]}
    assert request(standin, "POST", "/v1/messages", json.dumps(body))[0] == 200


@pytest.mark.slow
def test_more_connections_than_any_run_has_are_hung_up_on():
    """S9: connections."""
    with running() as address:
        host, port = address.removeprefix("http://").split(":")
        held = []
        try:
            for _ in range(MAX_CONNECTIONS):
                held.append(socket.create_connection((host, int(port))))
            with pytest.raises((OSError, http.client.HTTPException)):
                request(address, "GET", "/asked")
        finally:
            for connection in held:
                connection.close()
        assert eventually(lambda: request(address, "GET", "/asked")[0] == 200)


def eventually(check):
    for _ in range(100):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if check():
                return True
        time.sleep(0.05)
    return False


JUNK = [
    b"",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"1" * 5000,
    b"NaN",
    b'{"model": "\\ud800", "max_tokens": 5, "messages": [{"role": "user", "content": "\\ud800"}]}',
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "model",
        "max_tokens",
        "temperature",
        "messages",
        "system",
        "stream",
        "thinking",
        "output_config",
        "requests",
        "custom_id",
        "params",
    ]
)
BODIES = st.one_of(
    st.binary(max_size=50),
    ODD.map(json.dumps),
    st.dictionaries(FIELDS, ODD, max_size=4).map(lambda odd: json.dumps(BODY | odd)),
    st.dictionaries(FIELDS, ODD, max_size=4).map(lambda odd: json.dumps(BODY | STRICT | odd)),
    st.lists(ODD, max_size=2).map(lambda odd: json.dumps(BODY | {"messages": odd})),
    ODD.map(lambda odd: json.dumps(BODY | {"messages": [{"role": "user", "content": odd}]})),
    st.text(max_size=30).map(
        lambda text: json.dumps({"requests": [{"custom_id": text, "params": BODY}]})
    ),
    ODD.map(lambda odd: json.dumps({"requests": [{"custom_id": "a", "params": odd}]})),
    st.dictionaries(FIELDS, ODD, max_size=3).map(
        lambda odd: json.dumps({"requests": [{"custom_id": "a", "params": BODY | odd}, odd]})
    ),
)


@pytest.mark.parametrize("body", JUNK, ids=range(len(JUNK)))
@pytest.mark.parametrize("path", ROUTES)
def test_junk_gives_an_error_in_the_apis_form(standin, path, body):
    """S9: never a 500."""
    status, content = request(standin, "POST", path, body)
    assert status in (200, 400, 404)
    assert status == 200 or json.loads(content)["type"] == "error"


@settings(max_examples=300)
@given(path=st.sampled_from(ROUTES), body=BODIES)
def test_no_body_breaks_the_server_or_its_list_of_batches(standin, path, body):
    """S9: batches."""
    status, content = request(standin, "POST", path, body)
    assert status in (200, 400, 404)
    assert status == 200 or json.loads(content)["type"] == "error"
    status, content = request(standin, "GET", "/v1/messages/batches?limit=1000")
    assert status == 200
    for batch in json.loads(content)["data"][:1]:
        status, results = request(standin, "GET", f"/v1/messages/batches/{batch['id']}/results")
        assert status == 200
        assert all(json.loads(line)["custom_id"] for line in results.splitlines())


@pytest.mark.parametrize(
    "query", ["limit=x", "limit=-1", "limit=0", "limit=1e9", "after_id=none", "limit=%ff"]
)
def test_a_list_that_cannot_be_given_is_an_error_of_the_request(standin, query):
    answer = request(standin, "GET", f"/v1/messages/batches?{query}")
    assert_error(answer, 400, "invalid_request_error")


def test_a_version_that_the_api_does_not_have_is_refused(standin):
    body = json.dumps(BODY)
    for version in ("", "2026-10-22", "latest"):
        answer = request(standin, "POST", "/v1/messages", body, {"anthropic-version": version})
        assert_error(answer, 400, "invalid_request_error")
    for version in VERSIONS:
        headers = {"anthropic-version": version}
        assert request(standin, "POST", "/v1/messages", body, headers)[0] == 200


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "é", "a/b"])
def test_a_batch_takes_only_the_names_that_the_api_takes(standin, name):
    body = json.dumps({"requests": [{"custom_id": name, "params": BODY}]})
    answer = request(standin, "POST", "/v1/messages/batches", body)
    assert_error(answer, 400, "invalid_request_error")


def test_other_addresses_and_methods_have_errors_in_the_apis_form(standin):
    """S9: other addresses."""
    assert_error(request(standin, "GET", "/v2"), 404, "not_found_error")
    assert_error(request(standin, "PUT", "/v1/messages"), 405, "invalid_request_error")
    assert_error(
        request(standin, "POST", "/v1/messages", headers={"x-api-key": ""}), 401, "authentication_error"
    )
