from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.stats import gap_intervals
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.proportions import square_and_add


def contrasts(first, second):
    return SimpleNamespace(**gap_intervals.contrasts(first, second))


def gaps(values, present=None):
    return BoundedMean.of(
        np.atleast_2d(values), -1, 1, None if present is None else np.atleast_2d(present)
    )


values = st.lists(st.integers(-5, 5).map(lambda k: k / 5), min_size=4, max_size=30)


@given(values, st.randoms(use_true_random=False))
def test_exchanging_the_two_mirrors_the_difference(first, random):
    second = random.sample(first, len(first))
    a, b = (contrasts(gaps(x), gaps(y)) for x, y in ((first, second), (second, first)))
    assert a.difference == pytest.approx(-b.difference)
    assert a.low == pytest.approx(-b.high, abs=1e-9)
    assert a.p_value == pytest.approx(b.p_value, rel=1e-4)
    assert a.low[0] - 1e-12 <= a.difference[0] <= a.high[0] + 1e-12


def test_without_a_shared_prompt_it_is_square_and_add_of_two_samples():
    rng = np.random.default_rng(0)
    table = rng.choice([0, 0, 0.2, 1], 60)
    first = np.arange(60) < 30
    a, b = gaps(table, first), gaps(table, ~first)
    result = contrasts(a, b)
    low, high = square_and_add(
        *[(sample.mean[0], *(end[0] for end in sample.interval())) for sample in (a, b)]
    )
    assert (result.low[0], result.high[0]) == pytest.approx((low, high))
    assert result.n_shared[0] == 0
    assert np.isnan(result.p_sign_flip[0])


def test_shared_prompts_narrow_the_interval():
    rng = np.random.default_rng(1)
    hard = np.where(rng.random(100) < 0.3, 0.7, 0)
    first, second = (rng.binomial(5, hard) / 5 for _ in range(2))
    paired = contrasts(gaps(first), gaps(second))
    apart = contrasts(gaps(np.r_[first, 0 * first], [True] * 100 + [False] * 100),
                      gaps(np.r_[0 * second, second], [False] * 100 + [True] * 100))  # fmt: skip
    assert paired.difference == pytest.approx(apart.difference)
    assert (paired.high - paired.low)[0] < 0.7 * (apart.high - apart.low)[0]


def test_the_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(2)
    first = rng.choice([0, 0, 0.4, 1], (40, 50))
    second = rng.choice([0, 0, 0.2, 0.6], (40, 50))
    result = contrasts(gaps(first), gaps(second))
    excludes = (result.low > 0) | (result.high < 0)
    assert ((result.p_value <= 0.05) == excludes).all()
    assert 0 < excludes.sum() < 40


def test_differences_of_differences_are_tested_exactly_in_spite_of_rounding():
    """0.6 - 0.4 is not 0.2 in floating point, but no prompt differs there."""
    first, second = [[0.6 - 0.4, 1, 1, 1, 1, 1]], [[0.2, 0, 0, 0, 0, 0]]
    assert first[0][0] != second[0][0]
    assert contrasts(gaps(first), gaps(second)).p_sign_flip[0] == pytest.approx(0.0625, abs=1e-12)


@pytest.mark.parametrize("shared", [1.0, 0.5, 0.0])
def test_it_covers_whatever_share_of_prompts_two_conditions_have_in_common(shared):
    """30 % of prompts at .7 against .5 in the free tier, and 10 % at .3 in the paid one of both."""
    rng = np.random.default_rng(7)
    common = int(50 * shared)
    places = 100 - common
    hard = rng.random((800, places)) < 0.3
    paid = np.where(rng.random(hard.shape) < 0.1, 0.3, 0)
    index = np.arange(places)
    samples = [
        BoundedMean.of(
            (rng.binomial(5, rate * hard) - rng.binomial(5, paid)) / 5,
            -1,
            1,
            np.broadcast_to(present, hard.shape),
        )
        for rate, present in ((0.7, index < 50), (0.5, index >= 50 - common))
    ]
    result = contrasts(*samples)
    assert np.mean((result.low <= 0.06) & (result.high >= 0.06)) >= 0.93


def test_the_sign_flip_tests_that_the_two_are_alike_for_every_prompt():
    result = contrasts(gaps([[1, 1, 1, 1, 1, 0]]), gaps([[0, 0, 0, 0, 0, 0]]))
    assert result.p_sign_flip[0] == pytest.approx(0.0625)


@given(values)
def test_where_all_prompts_are_shared_it_is_the_mean_of_their_differences(table):
    first, second = np.clip(table, 0, 1), np.clip(np.negative(table), 0, 1)
    result = contrasts(*(BoundedMean.of(np.atleast_2d(rates), 0, 1) for rates in (first, second)))
    differences = BoundedMean.of(first - second, -1, 1)
    assert (result.low[0], result.high[0]) == pytest.approx(differences.interval(), abs=1e-9)
    assert result.p_value[0] == pytest.approx(float(differences.p_value()), rel=1e-3, abs=1e-9)


def test_two_conditions_alike_on_average_are_rarely_told_apart():
    """8 % of 20 prompts at .9 against .2 and 8 % the reverse: p <= .05 in 12 % before."""
    rng = np.random.default_rng(3)
    kind = rng.choice(3, p=[0.84, 0.08, 0.08], size=(800, 20))
    rates = [np.array(by_kind)[kind] for by_kind in ((0, 0.9, 0.2), (0, 0.2, 0.9))]
    samples = [BoundedMean.of(rng.binomial(10, rate) / 10, 0, 1) for rate in rates]
    assert np.mean(contrasts(*samples).p_value <= 0.05) <= 0.06
