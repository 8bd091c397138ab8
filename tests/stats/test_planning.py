import numpy as np
import pytest

from afanalysis.stats import gap_intervals
from afanalysis.stats.planning import Design


def test_without_clustering_it_is_the_textbook_formula():
    """Two independent proportions: se² = p(1-p)/n + q(1-q)/n."""
    design = Design(paid=0.03, gap=0.11, icc=0.0, correlation=0.0)
    expected = np.sqrt((0.14 * 0.86 + 0.03 * 0.97) / 200)
    assert design.gap_se(200, 1) == pytest.approx(expected)
    assert design.gap_se(40, 5) == pytest.approx(expected)


def test_more_samples_help_less_than_more_prompts():
    design = Design(paid=0.03, gap=0.11, icc=0.3)
    assert design.gap_se(200, 1) < design.gap_se(100, 2) < design.gap_se(100, 1)


def test_the_fewest_prompts_are_the_fewest():
    design = Design(paid=0.03, gap=0.05)
    for k in (1, 5):
        prompts = design.prompts_for_power(k, 0.8)
        assert design.power(prompts, k) >= 0.8 > design.power(prompts - 1, k)
        prompts = design.prompts_for_width(k, 0.1)
        assert design.width(prompts, k) <= 0.1 < design.width(prompts - 1, k)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Design(0.9, 0.2), "both rates must lie in 0-1"),
        (lambda: Design(0.1, 0.1, icc=2), "icc must lie in 0-1"),
        (lambda: Design(0.1, 0.1).prompts_for_power(1, 80), "power is 80"),
        (lambda: Design(0.1, 0.0).prompts_for_power(1), "gap is 0"),
        (lambda: Design(0.1, 0.1).prompts_for_width(1, 0), "width is 0"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 5])
def test_planned_power_is_reached_in_simulated_studies(k):
    from scipy import special

    design = Design(paid=0.2, gap=0.12, icc=0.3, correlation=0.0)
    prompts = design.prompts_for_power(k, 0.8)
    rng = np.random.default_rng(0)

    def draw(p):
        a, b = p * 0.7 / 0.3, (1 - p) * 0.7 / 0.3
        return rng.binomial(k, special.betaincinv(a, b, rng.random((1500, prompts))))

    free, paid = draw(0.32), draw(0.2)
    n = np.full(free.shape, k)
    low, high = gap_intervals.gap_interval(gap_intervals.paired(n, free, n, paid))
    assert np.mean((low > 0) | (high < 0)) == pytest.approx(0.8, abs=0.05)
