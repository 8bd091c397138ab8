from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from afanalysis.stats.bounded_means import BoundedMean

differences = st.lists(st.integers(-5, 5).map(lambda k: k / 5), min_size=2, max_size=40)
rates = st.lists(st.integers(0, 5).map(lambda k: k / 5), min_size=2, max_size=40)


def ends(values, low=-1, high=1, level=0.95):
    return [float(end) for end in BoundedMean.of(values, low, high).interval(level)]


def test_known_intervals():
    """Worked out apart, from the formulas of the module's docstring."""
    few = [1, 0.8, 0.2, -0.2, *[0] * 16]
    assert ends(few) == pytest.approx([-0.07719, 0.29479], abs=1e-5)
    assert ends([0] * 20) == pytest.approx([-0.16422, 0.16422], abs=1e-5)
    assert ends([0] * 20, 0) == pytest.approx([0, 0.16422], abs=1e-5)
    assert ends([0, 0, 1, 0.2], 0) == pytest.approx([0.0058, 0.8311], abs=1e-4)
    assert ends([0, 0, 0, 0, 1]) == pytest.approx([-0.4276, 0.7202], abs=1e-4)
    assert ends([0.2] * 50, 0) == pytest.approx([0.1967, 0.2130], abs=1e-4)


def test_for_0_and_1_the_gaffke_end_is_clopper_and_pearsons():
    """With its first three moments in place of the beta distribution: to two digits."""
    for successes in (1, 3, 10):
        values = np.r_[np.ones(successes), np.zeros(40 - successes)]
        exact = stats.binomtest(successes, 40).proportion_ci(method="exact")
        upper = stats.pearson3.ppf(0.975, *BoundedMean.of(values, 0, 1).ends().upper[1])
        assert float(upper) == pytest.approx(exact.high, abs=0.01)


@given(differences, st.floats(0.5, 0.995))
def test_it_holds_the_mean_has_width_and_stays_in_range(values, level):
    low, high = ends(values, level=level)
    assert -1 <= low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= high <= 1
    assert high > low


@given(differences)
def test_exchanging_the_tiers_mirrors_it(values):
    low, high = ends(values)
    assert ends([-x for x in values]) == pytest.approx([-high, -low], abs=1e-9)


@given(rates)
def test_exchanging_success_and_failure_mirrors_it(values):
    low, high = ends(values, 0)
    assert ends([1 - x for x in values], 0) == pytest.approx([1 - high, 1 - low], abs=1e-9)


@given(differences)
def test_higher_levels_give_wider_intervals(values):
    pairs = [ends(values, level=level) for level in (0.6, 0.8, 0.95, 0.99)]
    assert all(b[0] <= a[0] + 1e-9 for a, b in pairwise(pairs))
    assert all(b[1] >= a[1] - 1e-9 for a, b in pairwise(pairs))


@given(differences)
def test_the_p_value_is_that_of_the_interval(values):
    mean = BoundedMean.of(values, -1, 1)
    p = float(mean.p_value())
    if 1e-6 < p < 0.999:
        low, high = mean.interval(1 - p)
        assert min(abs(float(low)), abs(float(high))) < 1e-6
        wide, narrow = mean.interval(1 - p / 1.1), mean.interval(1 - min(p * 1.1, 0.9999))
        assert wide[0] <= 0 <= wide[1]
        assert not narrow[0] < -1e-9 < 1e-9 < narrow[1]


@given(differences)
def test_prompts_may_be_absent(values):
    padded = [*values, 0.7, -1]
    present = [True] * len(values) + [False, False]
    low, high = BoundedMean.of(padded, -1, 1, present).interval()
    assert [float(low), float(high)] == pytest.approx(ends(values), abs=1e-12)


def test_a_stack_is_what_its_rows_are():
    rng = np.random.default_rng(0)
    table = rng.choice([0, 0, 0.2, 1, -0.4], (5, 30))
    low, high = BoundedMean.of(table, -1, 1).interval()
    for row, one_low, one_high in zip(table, low, high, strict=True):
        assert ends(row) == pytest.approx([one_low, one_high], abs=1e-12)


@given(differences, st.sampled_from((0.01, 0.3, 0.8, 0.95, 0.999)))
def test_an_interval_excludes_zero_exactly_where_the_p_value_says_so(values, level):
    mean = BoundedMean.of(values, -1, 1)
    low, high = mean.interval(level)
    p = float(mean.p_value())
    if abs(p - (1 - level)) > 1e-9:
        assert bool(low > 0 or high < 0) == (p < 1 - level)


def test_a_mean_of_exactly_zero_has_a_p_value_of_one():
    for values in ([0] * 20, [1, -1], [0.5, -0.25, -0.25], [0.2] * 3 + [-0.6]):
        mean = BoundedMean.of(values, -1, 1)
        assert float(mean.p_value(float(mean.mean))) == 1


@pytest.mark.parametrize("prompts", [1, 2, 5, 10**6])
@pytest.mark.parametrize("value", [0, 1e-9, 0.2, 1])
def test_values_all_alike_leave_a_width_however_many_there_are(prompts, value):
    low, high = ends(np.full(prompts, float(value)), 0)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 1e-7


def test_where_nothing_happened_the_upper_end_covers_any_share_of_prompts_that_always_would():
    """95 % at every share needs an upper end of 1 - 0.05^(1/G), whatever the answers per prompt."""
    for prompts in (20, 50, 100, 400):
        assert ends(np.zeros(prompts), 0)[1] >= 1 - 0.05 ** (1 / prompts)


def test_presence_may_be_that_of_all_rows():
    table = np.array([[0.2, 1, 0], [0, 0.4, 0]])
    stack = BoundedMean.of(table, -1, 1, [True, False, True])
    assert stack.n.shape == stack.mean.shape == (2,)
    assert stack.mean == pytest.approx([0.1, 0])


def test_a_variance_that_the_values_do_not_show_widens_it():
    values = [0.2, 0.1, 0, 0.4]
    plain, more = (BoundedMean.of(values, -1, 1, extra=extra).interval() for extra in (0, 0.05))
    assert more[0] < plain[0]
    assert more[1] > plain[1]


def test_a_level_beyond_its_range_is_refused_in_words():
    with pytest.raises(ValueError, match="level is 95"):
        BoundedMean.of([0.1], -1, 1).interval(95)


def covers(values, truth, low=-1):
    ends = BoundedMean.of(values, low, 1).interval()
    return float(((ends[0] <= truth + 1e-12) & (truth - 1e-12 <= ends[1])).mean())


def skewed_sizes(rng, shape):
    return rng.integers(1, 51, shape) ** 2 // 50 + 1


@pytest.mark.parametrize("prompts", [20, 50, 100])
def test_it_covers_gaps_of_few_prompts_with_unequal_numbers_of_answers(prompts):
    """15 % of prompts at .9 against .2, all others 0: what the means over answers covered in .82-.87."""
    rng = np.random.default_rng(prompts)
    active = rng.random((1500, prompts)) < 0.15
    n, m = skewed_sizes(rng, (2, *active.shape))
    values = rng.binomial(n, 0.9 * active) / n - rng.binomial(m, 0.2 * active) / m
    assert covers(values, 0.15 * 0.7) >= 0.93


@pytest.mark.parametrize(("share", "prompts"), [(0.02, 50), (0.06, 20), (0.06, 50), (0.03, 100)])
def test_it_covers_rates_where_often_nothing_is_seen(share, prompts):
    rng = np.random.default_rng(prompts)
    active = rng.random((1500, prompts)) < share
    assert covers(rng.binomial(20, 0.9 * active) / 20, 0.9 * share, low=0) >= 0.93


def test_values_that_cannot_be_are_refused_in_words():
    for values, sentence in (([2], "lie in -1 to 1"), ([np.nan], "finite"), ([], "no values")):
        with pytest.raises(ValueError, match=sentence):
            BoundedMean.of(values, -1, 1)
