import asyncio
import json
import urllib.request

import anthropic
import pytest

from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.forecasting import forecast
from afanalysis.collection.rollouts import collect
from afanalysis.errors import InputError
from afanalysis.judging.model import judge
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget, Prices
from tests.helpers import put

USAGE = {"input_tokens": 1_000_000, "output_tokens": 100_000}


def spend(study, folder, address, budget, concurrency=8):
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            live = Endpoint(client, "live")
            return await collect(study, live, folder, CallOptions(concurrency), budget=budget)

    return asyncio.run(ask())


def test_prices_are_dated_and_computed():
    prices = Prices.load()
    assert str(prices.as_of) >= "2026"
    assert prices.cost("claude-opus-5-5", USAGE) == pytest.approx(4 + 2)
    assert prices.cost("claude-opus-5-5", USAGE, batch=True) == pytest.approx(3)
    cached = {"cache_read_tokens": 1_000_000, "cache_write_tokens": 1_000_000}
    assert prices.cost("claude-opus-5-5", cached) == pytest.approx(0.4 + 5)
    assert prices.cost("somebody-elses-model", USAGE) is None


def test_users_can_add_and_correct_prices(tmp_path):
    own = tmp_path / "prices.yaml"
    own.write_text("as_of: 2027-01-01\nmodels:\n  mine: {input: 1, output: 2}\n")
    prices = Prices.load(own)
    assert prices.cost("mine", USAGE) == pytest.approx(1.2)
    assert prices.cost("claude-opus-5-5", USAGE) is not None
    own.write_text("models: {mine: {input: cheap, output: 2}}")
    with pytest.raises(InputError, match=r"prices\.yaml: models.mine.input is 'cheap'"):
        Prices.load(own)


def test_a_budget_stops_the_run_and_overshoots_by_what_is_under_way(small_study, faulty, tmp_path):
    one = 503 * 4 / 1e6 + 70 * 20 / 1e6  # about what an answer costs
    limit = 20 * one
    with faulty(latency=0.01) as address:
        outcome = spend(small_study, tmp_path, address, Budget(usd=limit))
        asked = json.load(urllib.request.urlopen(f"{address}/asked"))["answered"]
        assert "is spent" in outcome.stopped
        paid = list(read_records(tmp_path / "rollouts.jsonl"))
        assert len(paid) == asked
        cost = sum(Prices.load().cost("claude-opus-5-5", record) for record in paid)
        assert limit <= cost <= limit + 8 * 1.3 * one
        # the same budget buys nothing more, a larger one the rest
        again = spend(small_study, tmp_path, address, Budget(usd=limit))
        assert again.sent == 0
        rest = spend(small_study, tmp_path, address, Budget(usd=100))
        assert rest.sent == small_study.size - len(paid)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["spend"]["usd"] > cost
    assert manifest["collected"] == small_study.size
    assert len(manifest["runs"]) == 2  # the second had nothing to send


def test_tokens_can_be_limited_where_no_price_is_known(small_study, standin, tmp_path):
    unknown = small_study.model_copy(update={"models": ["somebody-elses-model"]})
    with pytest.raises(InputError, match=r"no price is known for somebody-elses-model; set --budget"):
        spend(unknown, tmp_path, standin, Budget(usd=5))
    outcome = spend(unknown, tmp_path, standin, Budget(tokens=10_000))
    assert "10,000 tokens" in outcome.stopped
    assert spend(unknown, tmp_path, standin, Budget(any_price=True)).stopped is None


def test_a_live_run_without_a_budget_is_refused(small_study, standin, tmp_path):
    with pytest.raises(InputError, match="a live run needs a budget"):
        spend(small_study, tmp_path, standin, None)
    with pytest.raises(InputError, match="sets no limit"):
        spend(small_study, tmp_path, standin, Budget())
    with pytest.raises(InputError, match="must be above 0"):
        Budget(usd=0)
    assert not (tmp_path / "rollouts.jsonl").exists()


def test_judging_counts_against_the_same_budget(small_study, standin, tmp_path):
    budget = Budget(usd=100)
    spend(small_study, tmp_path, standin, budget)
    before = budget.spend.usd

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=standin, api_key="any") as client:
            return await judge(
                small_study.judge, Endpoint(client, "live"), tmp_path, budget=Budget(usd=before)
            )

    outcome = asyncio.run(ask())
    assert outcome.sent == 0
    assert "is spent" in outcome.stopped


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
