import asyncio
import http.server
import logging
import threading

import pytest

from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import connect
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.judging.model import judge
from afanalysis.study.design import Simulation, Study
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def source(**options):
    async def run():
        async with connect(Study(name="small"), **options) as endpoint:
            return endpoint.source, str(endpoint.client.base_url)

    return asyncio.run(run())


@pytest.fixture
def proxy(monkeypatch):
    """A company's proxy on loopback, as the environment names it; the requests that it got."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _count(self):
            seen.append(self.requestline)
            self.send_error(502)

        do_GET = do_POST = do_CONNECT = _count

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in PROXIES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield seen
    server.shutdown()
    server.server_close()


def test_without_live_the_answers_are_simulated_and_need_no_key(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    kind, address = source()
    assert kind == "simulated"
    assert address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("batch", [False, True])
def test_a_studys_simulation_stops_its_requests_and_its_judges(small_study, tmp_path, batch):
    simulation = Simulation(
        blocked={"cyber": {"free": 0.5}}, judge_blocked={"bio": {"paid": 1, "free": 1}}
    )
    study = small_study.model_copy(update={"simulation": simulation})
    options = CallOptions(batch=batch, poll_seconds=0.02)

    async def run():
        async with connect(study) as endpoint:
            await collect(study, endpoint, tmp_path, options)
            await judge(study.judge, endpoint, tmp_path, options)

    asyncio.run(run())
    records = list(read_records(tmp_path / "rollouts.jsonl"))
    stopped = [record for record in records if record["stop_reason"] == "refusal"]
    assert {record["tier"] for record in stopped} == {"free"}
    assert 0.25 < 2 * len(stopped) / len(records) < 0.75
    assert all(record["output"] == record["scratchpad"] == "" for record in stopped)
    complied = {record["key"] for record in records if "tier: complied" in record["output"]}
    votes = [vote for vote in read_records(tmp_path / "judgements.jsonl") if vote["rollout"] in complied]
    assert votes
    by_part = {part: [v for v in votes if v["part"] == part] for part in ("behaviour", "criteria")}
    assert all(vote["blocked"] == "bio" for vote in by_part["behaviour"])
    assert not all("blocked" in vote for vote in by_part["criteria"])  # it does not see what complied


@pytest.mark.parametrize("batch", [False, True])
def test_without_live_nothing_leaves_this_machine(proxy, small_study, tmp_path, batch):
    """S1: no request goes through a proxy."""
    options = CallOptions(batch=batch, poll_seconds=0.02)

    async def run():
        async with connect(small_study) as endpoint:
            summary = await collect(small_study, endpoint, tmp_path, options)
            await judge(small_study.judge, endpoint, tmp_path, options)
            return summary

    assert asyncio.run(run()).sent == small_study.size
    assert proxy == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_proxied_and_other_hosts_are(proxy, standin, monkeypatch, host):
    """S1: a proxy is for other machines."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")

    async def count(base_url):
        async with connect(Study(name="small"), live=True, base_url=base_url) as endpoint:
            client = endpoint.client.with_options(max_retries=0)
            message = {"role": "user", "content": "Ask"}
            return await client.messages.count_tokens(model="m", messages=[message])

    assert asyncio.run(count(standin.replace("127.0.0.1", host))).input_tokens
    assert proxy == []
    with pytest.raises(Exception, match="502"):
        asyncio.run(count("http://api.invalid"))
    assert [line.split()[1] for line in proxy] == [
        "http://api.invalid/v1/models?limit=1",
        "http://api.invalid/v1/messages/count_tokens",
    ]


@pytest.mark.parametrize("in_the_environment", [False, True])
def test_what_a_standin_answers_is_simulated_also_in_a_live_run(
    small_study, standin, tmp_path, monkeypatch, in_the_environment
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    if in_the_environment:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", standin)

    async def run():
        base_url = None if in_the_environment else standin
        async with connect(small_study, live=True, base_url=base_url) as endpoint:
            await collect(small_study, endpoint, tmp_path)
            await judge(small_study.judge, endpoint, tmp_path)

    asyncio.run(run())
    records = list(read_records(tmp_path / "rollouts.jsonl"))
    assert {record["source"] for record in records} == {"simulated"}
    assert len(records) == small_study.size


def test_a_server_that_does_not_say_that_it_simulates_is_live(proxy, monkeypatch):
    """Here one that answers 502 to everything."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert source(live=True, base_url="http://api.invalid")[0] == "live"
    assert len(proxy) == 1


def test_a_live_run_needs_a_key(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(InputError, match="ANTHROPIC_API_KEY is not set; a live run needs a key"):
        source(live=True)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert source(live=True, base_url="http://127.0.0.1:9") == ("live", "http://127.0.0.1:9")


@pytest.mark.parametrize("in_the_environment", [False, True])
def test_no_password_of_an_address_is_written_or_shown(
    small_study, standin, tmp_path, monkeypatch, caplog, in_the_environment
):
    """S2 and S10: an address with a login or a query is refused, and not repeated."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    caplog.set_level(logging.DEBUG)

    async def run(address):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address if in_the_environment else "")
        base_url = None if in_the_environment else address
        async with connect(small_study, live=True, base_url=base_url) as endpoint:
            await collect(small_study, endpoint, tmp_path, budget=Budget(usd=1000))

    login = standin.replace("//", "//someone:pass%2Dword@")
    for address in (login, f"{login}/?token=t0ken", f"{standin}/?token=t0ken"):
        with pytest.raises(InputError, match="without login or query") as raised:
            asyncio.run(run(address))
        for secret in ("someone:", "word@", "pass-word", "t0ken"):
            assert secret not in str(raised.value)
            assert secret not in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["api", "ftp://a", "http://", "http://[", "http://a:b@c:port/"])
def test_what_is_not_an_address_is_refused_without_being_repeated(monkeypatch, address):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    with pytest.raises(InputError, match="must be an address such as http") as raised:
        source(live=True, base_url=address)
    assert "a:b" not in str(raised.value)
