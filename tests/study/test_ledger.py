import pytest

from afanalysis.errors import InputError
from afanalysis.study.ledger import Prices

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
