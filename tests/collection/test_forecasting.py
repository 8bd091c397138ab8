import asyncio

import anthropic
import pytest

from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.forecasting import forecast
from afanalysis.judging.model import forecast_verdicts
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


def test_thinking_is_expected_where_a_model_thinks_and_answers_correct_it(
    small_study, standin, tmp_path
):
    def ahead(folder=tmp_path / "none", **sampling):
        changed = {"sampling": small_study.sampling.model_copy(update={"max_tokens": 16_000} | sampling)}
        study = small_study.model_copy(update=changed)
        return asyncio.run(forecast(study, folder, Prices.load(), None)).output_tokens / study.size

    off = ahead(thinking={"type": "disabled"})
    assert off < ahead(effort="low") < ahead() < ahead(effort="max")
    put(small_study.model_copy(update={"samples": 1}), tmp_path, standin)
    answers = [record["output_tokens"] for record in read_records(tmp_path / "rollouts.jsonl")]
    more = asyncio.run(forecast(small_study, tmp_path, Prices.load(), None))
    assert more.from_answers
    assert more.output_tokens / more.calls == pytest.approx(sum(answers) / len(answers), abs=1)


def test_judging_is_forecast_on_the_rollouts_collected_so_far(small_study, standin, tmp_path):
    def ahead():
        return asyncio.run(forecast_verdicts(small_study.judge, tmp_path, Prices.load(), None))

    put(small_study, tmp_path, standin)
    before = ahead()
    assert before.present == 0
    assert before.usd_limit >= before.usd > 0
    put(small_study, tmp_path, standin, judged=True)
    verdicts = list(read_records(tmp_path / "judgements.jsonl"))
    assert before.calls == len(verdicts)
    after = ahead()
    assert (after.calls, after.present, after.usd) == (0, len(verdicts), 0)
