import asyncio

import anthropic
import pytest

from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.forecasting import forecast
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices
from tests.helpers import put


def test_a_forecast_counts_what_is_left_and_says_how_it_knows(small_study, standin, tmp_path):
    async def ahead(endpoint=None):
        return await forecast(small_study, tmp_path, Prices.load(), endpoint)

    async def counted():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            return await ahead(Endpoint(client, "live"))

    guess, count = asyncio.run(ahead()), asyncio.run(counted())
    assert guess.calls == count.calls == small_study.size
    assert (guess.counted, count.counted) == (False, True)
    assert count.usd == pytest.approx(2 * count.usd_batch)
    put(small_study, tmp_path, standin)
    paid = sum(record["input_tokens"] for record in read_records(tmp_path / "rollouts.jsonl"))
    assert count.input_tokens == pytest.approx(paid, rel=0.05)
    done = asyncio.run(ahead())
    assert (done.calls, done.usd, done.from_answers) == (0, 0, True)


def test_an_unreachable_counter_gives_an_estimate(small_study, tmp_path):
    async def ahead():
        async with anthropic.AsyncAnthropic(base_url="http://127.0.0.1:9", api_key="any") as client:
            return await forecast(small_study, tmp_path, Prices.load(), Endpoint(client, "live"))

    assert not asyncio.run(ahead()).counted
