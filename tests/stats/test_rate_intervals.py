import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afanalysis.stats import rate_intervals
from afanalysis.stats.proportions import wilson
from afanalysis.stats.resampling import bootstrap, proportion

CLOSED = ("wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive")
BOUNDARY_SAFE = ("wilson", "clopper-pearson", "jeffreys", "naive")


@st.composite
def counts(draw, least=2):
    g = draw(st.integers(least, 40))
    n = draw(st.lists(st.integers(1, 12), min_size=g, max_size=g))
    s = [draw(st.integers(0, k)) for k in n]
    return np.array(n), np.array(s)


@given(counts(), st.sampled_from(CLOSED), st.floats(0.5, 0.99))
def test_the_interval_holds_the_estimate_and_stays_in_range(data, method, level):
    found = rate_intervals.rate(*data, method=method, level=level)
    assert 0 <= found.low <= found.rate <= found.high <= 1


@given(counts(), st.sampled_from(BOUNDARY_SAFE))
def test_the_interval_has_width(data, method):
    found = rate_intervals.rate(*data, method=method)
    assert found.high > found.low


@given(counts(), st.sampled_from(CLOSED))
def test_swapping_success_and_failure_mirrors_the_interval(data, method):
    n, s = data
    a, b = rate_intervals.rate(n, s, method=method), rate_intervals.rate(n, n - s, method=method)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low), abs=1e-9)


@given(counts(), st.randoms())
def test_the_order_of_prompts_does_not_matter(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    a, b = rate_intervals.rate(*data), rate_intervals.rate(data[0][order], data[1][order])
    assert (a.low, a.high, a.icc) == pytest.approx((b.low, b.high, b.icc), abs=1e-12)


@given(counts(4), st.sampled_from(("wilson", "clopper-pearson", "jeffreys")))
def test_ten_times_the_prompts_give_a_narrower_interval(data, method):
    n, s = data
    once, more = (
        rate_intervals.rate(n, s, method=method),
        rate_intervals.rate(np.tile(n, 10), np.tile(s, 10), method=method),
    )
    assert more.high - more.low < once.high - once.low


def test_one_sample_a_prompt_is_wilson_with_a_t_quantile():
    from scipy import stats

    found = rate_intervals.rate(np.ones(50), np.r_[np.ones(6), np.zeros(44)])
    low, high = wilson(0.12, 50, stats.t.ppf(0.975, 49))
    assert (found.low, found.high) == pytest.approx((float(low), float(high)))


def test_answers_all_alike_within_prompts_count_once():
    """Ten identical answers to a prompt are worth one: the design effect is ten."""
    ones = np.r_[np.ones(30), np.zeros(70)]
    found = rate_intervals.rate(np.full(100, 10), 10 * ones)
    assert found.icc == 1
    assert found.deff == pytest.approx(10)
    assert found.n_effective == pytest.approx(1000 / (1 + 9 * (30 / 31 + 0.3 / 31)))


def test_the_design_effect_of_a_known_case():
    """Kish: deff = 1 + (k - 1) icc; simulated prompts with icc 0.3."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.3 * 0.7 / 0.3, 0.7 * 0.7 / 0.3, 20_000)
    found = rate_intervals.rate(np.full(20_000, 10), rng.binomial(10, p))
    assert found.icc == pytest.approx(0.3, abs=0.01)
    assert found.deff == pytest.approx(3.7, abs=0.1)


def test_a_stack_of_studies_gives_what_each_gives_alone():
    rng = np.random.default_rng(1)
    s = rng.binomial(5, 0.1, (7, 30))
    stack = rate_intervals.interval(rate_intervals.clustered(np.full(s.shape, 5), s))
    for at in range(7):
        one = rate_intervals.rate(np.full(30, 5), s[at])
        assert (stack[0][at], stack[1][at]) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize(
    ("n", "s", "options", "sentence"),
    [
        ([], [], {}, "no samples"),
        ([0, 0], [0, 0], {}, "no samples"),
        ([2, 2], [1, 3], {}, "between 0 and the number of samples"),
        ([2, 2], [1, np.nan], {}, "NaN"),
        ([2, 2], [1, 1], {"level": 95}, r"level is 95; it must lie in \(0, 1\)"),
        ([2, 2], [1, 1], {"method": "wald"}, "method is 'wald'; use one of: wilson"),
    ],
)
def test_bad_input_is_refused_in_words(n, s, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        rate_intervals.rate(n, s, **options)


@pytest.mark.parametrize("s", [0, 10])
def test_one_prompt_all_alike_says_that_it_knows_little(s):
    found = rate_intervals.rate([10], [s])
    assert found.high - found.low > 0.5
    assert "too few prompts (1" in found.warning


def test_few_events_are_said():
    assert "too few events" in rate_intervals.rate(np.ones(100), np.r_[1, np.zeros(99)]).warning
    assert rate_intervals.rate(np.ones(100), np.r_[np.ones(5), np.zeros(95)]).warning == ""


@settings(max_examples=20)
@given(counts(5))
def test_the_bootstrap_method_is_the_bootstrap(data):

    n, s = data
    found = rate_intervals.rate(n, s, method="bootstrap", resamples=200)
    again = bootstrap(np.column_stack([s, n]), proportion(0, 1), resamples=200)
    assert (found.low, found.high) == (again.low, again.high)


@pytest.mark.slow
@pytest.mark.parametrize("icc", [0.0, 0.3])
@pytest.mark.parametrize("p", [0.03, 0.12, 0.5])
def test_coverage_from_100_prompts_on(p, icc):
    rng = np.random.default_rng(5)
    pi = (
        np.full((4000, 100), p)
        if icc == 0
        else rng.beta(p * (1 - icc) / icc, (1 - p) * (1 - icc) / icc, (4000, 100))
    )
    s = rng.binomial(10, pi)
    low, high = rate_intervals.interval(rate_intervals.clustered(np.full(s.shape, 10), s))
    assert 0.925 <= np.mean((low <= p) & (p <= high)) <= 0.985
