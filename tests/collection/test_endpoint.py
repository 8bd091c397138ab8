import asyncio

import pytest

from afanalysis.collection.endpoint import connect
from afanalysis.errors import InputError
from afanalysis.study.design import Study


def source(**options):
    async def run():
        async with connect(Study(name="small"), **options) as endpoint:
            return endpoint.source, str(endpoint.client.base_url)

    return asyncio.run(run())


def test_without_live_the_answers_are_simulated_and_need_no_key(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    kind, address = source()
    assert kind == "simulated"
    assert address.startswith("http://127.0.0.1:")


def test_a_live_run_needs_a_key(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(InputError, match="ANTHROPIC_API_KEY is not set; a live run needs a key"):
        source(live=True)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert source(live=True, base_url="http://127.0.0.1:9") == ("live", "http://127.0.0.1:9")
