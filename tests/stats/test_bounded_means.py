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
        upper = BoundedMean.of(values, 0, 1).ends().upper.gaffke.quantile(0.975)
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


def test_values_that_cannot_be_are_refused_in_words():
    for values, sentence in (([2], "lie in -1 to 1"), ([np.nan], "finite"), ([], "no values")):
        with pytest.raises(ValueError, match=sentence):
            BoundedMean.of(values, -1, 1)
