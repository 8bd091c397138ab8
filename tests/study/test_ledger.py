import pytest

from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.ledger import Prices

FREE = {"input": 0, "output": 0}
USAGE = {"input_tokens": 1_000_000, "output_tokens": 100_000}


def test_prices_are_dated_and_computed():
    prices = Prices.load()
    assert str(prices.as_of) >= "2026"
    assert prices.cost("claude-opus-5-5", USAGE) == pytest.approx(4 + 2)
    assert prices.cost("claude-opus-5-5", USAGE, batch=True) == pytest.approx(3)
    cached = {"cache_read_tokens": 1_000_000, "cache_write_tokens": 1_000_000}
    assert prices.cost("claude-opus-5-5", cached) == pytest.approx(0.2 + 5)
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
    own.write_text("models: cheap")
    with pytest.raises(InputError, match=r"prices\.yaml: models is 'cheap'; .*write models: \{NAME"):
        Prices.load(own)


def test_cache_reads_cost_what_each_model_asks_for_them():
    prices, read = Prices.load(), {"cache_read_tokens": 1_000_000}
    factors = {
        "fable-5-2": 0.025,
        "fable-5-1": 0.025,
        "opus-5-5": 0.05,
        "sonnet-5-5": 0.05,
        "opus-5": 0.1,
    }
    for model, factor in factors.items():
        price = prices.models[f"claude-{model}"].input
        assert prices.cost(f"claude-{model}", read) == pytest.approx(factor * price)


def test_an_hour_in_the_cache_costs_twice_the_input():
    hour = {"cache_write_tokens": 1_000_000, "cache_write_1h_tokens": 400_000}
    assert Prices.load().cost("claude-opus-5-5", hour) == pytest.approx(4 * (0.6 * 1.25 + 0.4 * 2))


@pytest.mark.parametrize("kind", ["input_tokens", "cache_write_tokens", "cache_read_tokens"])
def test_a_long_prompt_costs_more_for_every_token_of_its_call(kind):
    """platform.claude.com, models/haiku-5-5: $0.10 / $0.50 to 100,000 tokens, above it $0.50 / $2.50."""
    prices = Prices.load()
    factor = {"input_tokens": 1, "cache_write_tokens": 1.25, "cache_read_tokens": 0.1}[kind]
    for tokens, price, output in ((100_000, 0.10, 0.50), (100_001, 0.50, 2.50)):
        expected = (tokens * factor * price + 1000 * output) / 1e6
        usage = {kind: tokens, "output_tokens": 1000}
        assert prices.cost("claude-haiku-5-5", usage) == pytest.approx(expected)


def test_a_study_adds_and_corrects_prices():
    study = Study(name="x", prices={"own": {"input": 1, "output": 2}, "claude-opus-5-5": FREE})
    prices = Prices.load().extended(study.prices)
    assert prices.cost("own", USAGE) == pytest.approx(1.2)
    assert prices.cost("claude-opus-5-5", USAGE) == 0
    assert prices.cost("claude-opus-5", USAGE) == pytest.approx(7.5)


def test_every_price_of_the_list_can_be_read_and_rises_with_length():
    prices = Prices.load()
    for model, price in prices.models.items():
        assert 0 < price.input < price.output, model
        assert price.above is None or price.above.input > price.input, model
