from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afanalysis.stats import rate_intervals
from afanalysis.stats.proportions import wilson
from afanalysis.stats.resampling import bootstrap, proportion

CLOSED = ("bounded", "wilson", "clopper-pearson", "jeffreys", "cluster-t", "naive")
BOUNDARY_SAFE = ("bounded", "wilson", "clopper-pearson", "jeffreys", "naive")


def measured(n, s, weighting="prompts", method=None, **options):
    """One study: its counts, the ends of the interval, and the warning."""
    found = rate_intervals.clustered(n, s, weighting)
    low, high = map(float, rate_intervals.interval(found, method=method, **options))
    method = method or rate_intervals.default_method(weighting)
    warning = rate_intervals.small_sample_warning(found.prompts, found.events, method)
    return SimpleNamespace(counts=found, low=low, high=high, warning=warning)


@st.composite
def counts(draw, least=2):
    g = draw(st.integers(least, 40))
    n = draw(st.lists(st.integers(1, 12), min_size=g, max_size=g))
    s = [draw(st.integers(0, k)) for k in n]
    return np.array(n), np.array(s)


@given(counts(), st.sampled_from(CLOSED), st.floats(0.5, 0.99))
def test_the_interval_holds_the_estimate_and_stays_in_range(data, method, level):
    result = measured(*data, method=method, level=level)
    assert 0 <= result.low <= result.counts.rate <= result.high <= 1


@given(counts(), st.sampled_from(BOUNDARY_SAFE))
def test_the_interval_has_width(data, method):
    result = measured(*data, method=method)
    assert result.high > result.low


@given(counts(), st.sampled_from(CLOSED))
def test_swapping_success_and_failure_mirrors_the_interval(data, method):
    n, s = data
    a, b = measured(n, s, method=method), measured(n, n - s, method=method)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low), abs=1e-9)


@given(counts(), st.randoms())
def test_the_order_of_prompts_does_not_matter(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    a, b = measured(*data), measured(data[0][order], data[1][order])
    assert (a.low, a.high, a.counts.icc) == pytest.approx((b.low, b.high, b.counts.icc), abs=1e-12)


@given(counts(4), st.sampled_from(("bounded", "wilson", "clopper-pearson", "jeffreys")))
def test_ten_times_the_prompts_give_a_narrower_interval(data, method):
    n, s = data
    once, more = (
        measured(n, s, method=method),
        measured(np.tile(n, 10), np.tile(s, 10), method=method),
    )
    assert more.high - more.low < once.high - once.low


def test_one_sample_a_prompt_is_wilson_with_a_t_quantile():
    from scipy import stats

    result = measured(np.ones(50), np.r_[np.ones(6), np.zeros(44)], method="wilson")
    low, high = wilson(0.12, 50, stats.t.ppf(0.975, 49))
    assert (result.low, result.high) == pytest.approx((float(low), float(high)))


def test_answers_all_alike_within_prompts_count_once():
    """Ten identical answers to a prompt are worth one: the design effect is ten."""
    ones = np.r_[np.ones(30), np.zeros(70)]
    result = measured(np.full(100, 10), 10 * ones)
    assert result.counts.icc == 1
    assert result.counts.deff == pytest.approx(10)
    assert result.counts.n_effective == pytest.approx(1000 / (1 + 9 * (30 / 31 + 0.3 / 31)))


def test_the_design_effect_of_a_known_case():
    """Kish: deff = 1 + (k - 1) icc; simulated prompts with icc 0.3."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.3 * 0.7 / 0.3, 0.7 * 0.7 / 0.3, 20_000)
    result = measured(np.full(20_000, 10), rng.binomial(10, p))
    assert result.counts.icc == pytest.approx(0.3, abs=0.01)
    assert result.counts.deff == pytest.approx(3.7, abs=0.1)


def test_a_stack_of_studies_gives_what_each_gives_alone():
    rng = np.random.default_rng(1)
    s = rng.binomial(5, 0.1, (7, 30))
    stack = rate_intervals.interval(rate_intervals.clustered(np.full(s.shape, 5), s))
    for study in range(7):
        alone = measured(np.full(30, 5), s[study])
        assert (stack[0][study], stack[1][study]) == pytest.approx((alone.low, alone.high))


@pytest.mark.parametrize(
    ("n", "s", "options", "sentence"),
    [
        ([], [], {}, "no samples"),
        ([0, 0], [0, 0], {}, "no samples"),
        ([2, 2], [1, 3], {}, "between 0 and the number of samples"),
        ([2, 2], [1, np.nan], {}, "NaN"),
        ([2, 2], [1, 1], {"weighting": "rows"}, "weighting is 'rows'; use 'prompts' or 'answers'"),
        ([2, 2], [1, 1], {"weighting": "answers", "method": "bounded"}, "needs weighting 'prompts'"),
        ([2, 2], [1, 1], {"level": 95}, r"level is 95; it must lie in \(0, 1\)"),
        ([2, 2], [1, 1], {"method": "wald"}, "method is 'wald'; use one of: bounded"),
    ],
)
def test_bad_input_is_refused_in_words(n, s, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        measured(n, s, **options)


@pytest.mark.parametrize("s", [0, 10])
def test_one_prompt_all_alike_says_that_it_knows_little(s):
    result = measured([10], [s])
    assert result.high - result.low > 0.5
    assert "too few prompts (1" in result.warning


def test_few_events_are_reported_for_the_methods_that_need_them():
    few, enough = np.r_[1, np.zeros(99)], np.r_[np.ones(5), np.zeros(95)]
    assert "too few events (1" in measured(np.ones(100), few, method="wilson").warning
    assert measured(np.ones(100), enough, method="wilson").warning == ""
    assert measured(np.ones(100), few).warning == ""


@settings(max_examples=20)
@given(counts(5), st.sampled_from(("prompts", "answers")))
def test_the_bootstrap_method_is_the_bootstrap_whatever_absent_prompts_stand_between(data, weighting):
    n, s = data
    cells = np.column_stack([s, n] if weighting == "answers" else [s / n, np.ones(n.size)])
    again = bootstrap(cells, proportion(0, 1))
    options = {"method": "bootstrap", "weighting": weighting}
    if weighting == "answers" or np.unique(n).size > 1:
        result = measured(n, s, **options)
        assert (result.low, result.high) == again
        padded = measured(np.r_[n, 0, 0], np.r_[s, 0, 0], **options)
        assert (padded.low, padded.high) == (result.low, result.high)


def test_rate_and_standard_error_are_those_of_r_survey():
    """tests/stats/known_answers.R: `svymean` with prompts as clusters, by both weightings."""
    n, s = [5, 1, 20, 3, 8, 2], [2, 0, 11, 3, 1, 0]
    for weighting, rate, se in (("prompts", 0.3458333, 0.15922), ("answers", 0.4358974, 0.10965)):
        result = measured(n, s, weighting=weighting)
        assert result.counts.rate == pytest.approx(rate, abs=5e-8)
        assert result.counts.se == pytest.approx(se, abs=5e-6)


def test_intervals_on_the_effective_size_are_nearly_those_of_r_survey():
    """`svyciprop` has no pull towards a prior ICC, which here weighs one prompt against 30."""
    n, s = np.full(40, 10), np.tile([0, 2, 7, 10], 10)
    for method, low, high, within in (
        ("clopper-pearson", 0.342889281, 0.609724434, 1e-3),
        ("cluster-t", 0.346715528, 0.603284472, 1e-9),
        ("bounded", 0.342889281, 0.609724434, 5e-3),
    ):
        result = measured(n, s, method=method)
        assert (result.low, result.high) == pytest.approx((low, high), abs=within)


def test_every_prompt_weighs_alike_unless_answers_are_to():
    n, s = [50, 1, 1, 1], [50, 0, 0, 0]
    assert measured(n, s).counts.rate == pytest.approx(1 / 4)
    assert measured(n, s, weighting="answers").counts.rate == pytest.approx(50 / 53)


def test_a_rate_of_few_prompts_with_unequal_numbers_of_answers_is_covered():
    """12 % of answers comply, all of prompts at .9, 1 to 50 answers each: by answers .871."""
    rng = np.random.default_rng(8)
    active = rng.random((1500, 100)) < 0.12 / 0.9
    n = np.minimum(rng.geometric(0.08, active.shape), 50)
    s = rng.binomial(n, 0.9 * active)
    covered = {}
    for weighting in ("prompts", "answers"):
        low, high = rate_intervals.interval(rate_intervals.clustered(n, s, weighting))
        covered[weighting] = np.mean((low <= 0.12) & (high >= 0.12))
    assert covered["prompts"] >= 0.93 > covered["answers"]


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
