import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import (
    adjust,
    at_least_p_values,
    equivalence_p_values,
    fewest_prompts,
    inverted_p_values,
    sign_flip,
)


@settings(max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=11))
def test_sign_flip_is_what_enumeration_gives(steps):
    d = np.array(steps) / 5
    signs = np.array(list(itertools.product((1, -1), repeat=len(d))))
    expected = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
    assert sign_flip(d) == pytest.approx(expected, abs=1e-9)


def test_sign_flip_on_fishers_darwin_data():
    """Fisher (1935), section 21: Darwin's maize, 15 pairs; 863 of 32768 one-sided, 5.267 % two-sided."""
    d = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert sign_flip(d / 2520) == pytest.approx(1726 / 32768, abs=1e-9)


def test_sign_flip_on_a_fine_lattice_is_close_to_scipys():
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1, 40)
    theirs = stats.permutation_test(
        (d,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    ).pvalue
    assert sign_flip(d, resamples=20_000) == pytest.approx(theirs, abs=0.015)


def test_sign_flip_of_many_prompts_is_exact_fast_and_never_zero():
    d = np.r_[np.full(3000, 0.2), np.full(2000, -0.2)]
    expected = 2 * stats.binom.cdf(2000, 5000, 0.5)
    assert sign_flip(d) == pytest.approx(expected, rel=1e-6, abs=1e-15)
    assert sign_flip(np.full(400, 0.1)) > 0


def test_with_one_sample_a_prompt_sign_flip_is_mcnemars_exact_test():
    for first, second in ((7, 1), (3, 3), (10, 2), (12, 2), (0, 4)):
        d = np.r_[np.ones(first), -np.ones(second), np.zeros(5)]
        theirs = their_mcnemar([[0, first], [second, 0]], exact=True).pvalue
        assert sign_flip(d) == pytest.approx(theirs)
    assert sign_flip(np.r_[np.ones(12), -np.ones(2)]) == pytest.approx(0.0129394531)  # R's binom.test


def test_differences_that_miss_zero_by_rounding_do_not_count():
    assert sign_flip([1, 1, 1, 1, 1, 0.3 - 0.1 - 0.2]) == 0.0625


@settings(max_examples=8)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_statsmodels(p):
    np.testing.assert_allclose(adjust(p), multipletests(p, method="holm")[1], atol=1e-12)


def test_adjusted_p_values_are_those_of_r():
    p = [0.001, 0.02, 0.03, 0.04, 0.5]
    np.testing.assert_allclose(adjust(p), [0.005, 0.08, 0.09, 0.09, 0.5])


def test_missing_p_values_stay_missing_and_count_for_nothing():
    adjusted = adjust([0.01, np.nan, 0.04])
    assert np.isnan(adjusted[1])
    np.testing.assert_allclose(adjusted[[0, 2]], [0.02, 0.04])


def test_an_inverted_p_value_is_that_of_the_distribution():
    estimates = np.array([0.5, -1.0, 3.0, 0.0])

    def interval(level):
        half = stats.norm.ppf((1 + level) / 2)
        return estimates - half, estimates + half

    expected = 2 * stats.norm.sf(np.abs(estimates))
    assert inverted_p_values(interval, estimates) == pytest.approx(expected, rel=1e-5)


MARGIN = 0.1


def differences(*values, repeat=1):
    return BoundedMean.of(np.tile(values, repeat), -1, 1)


def test_equivalence_is_decided_where_the_interval_of_twice_the_error_lies_within_the_margin():
    rng = np.random.default_rng(0)
    decided = 0
    for _ in range(50):
        x = BoundedMean.of(rng.choice([0, 0, 0, 0, 0.2, -0.2, 0.4], 80), -1, 1)
        low, high = x.ends(1.0, 10.0).interval(0.90)
        equivalent = bool(equivalence_p_values(x, MARGIN) <= 0.05)
        assert equivalent == (bool(low > -MARGIN) and bool(high < MARGIN))
        decided += equivalent
    assert 0 < decided < 50


@pytest.mark.parametrize("margin", [0.1, 0.05, 0.02])
def test_nothing_is_equivalent_with_fewer_prompts_than_any_test_needs(margin):
    needed = fewest_prompts(margin)
    assert (1 - margin) ** needed <= 0.05 < (1 - margin) ** (needed - 1)
    assert equivalence_p_values(differences(0, repeat=needed - 1), margin) > 0.05
    assert equivalence_p_values(differences(0, repeat=needed + needed // 10 + 1), margin) <= 0.05


@pytest.mark.parametrize("prompts", [20, 50, 100, 200])
@pytest.mark.parametrize("population", ["paid 0", "mixture", "spike"])
def test_a_gap_as_large_as_the_margin_is_rarely_declared_equivalent(prompts, population):
    """By t and bare standard errors in 9 to 36 %; R = 2000, a standard error of .005."""
    rng = np.random.default_rng(prompts)
    shape = (2000, prompts)
    if population == "paid 0":
        free, paid = rng.beta(0.1 * 0.4 / 0.6, 0.9 * 0.4 / 0.6, shape), np.zeros(shape)
    else:
        share, high, low = (0.15, 0.9, 0.9 - MARGIN / 0.15) if population == "mixture" else (0.1, 1, 0)
        active = rng.random(shape) < share
        free, paid = high * active, low * active
    x = (rng.binomial(5, free) - rng.binomial(5, paid)) / 5
    declared = equivalence_p_values(BoundedMean.of(x, -1, 1), MARGIN) <= 0.05
    assert declared.mean() <= 0.06 + 0.01
    # the test of a gap above the margin errs as rarely
    above = at_least_p_values(BoundedMean.of(x, -1, 1), MARGIN) <= 0.05
    assert above.mean() <= 0.06 + 0.01


def test_a_gap_above_a_threshold_is_found():
    rng = np.random.default_rng(1)
    x = BoundedMean.of(rng.choice([0, 0, 0.4, 1], (4, 60)), -1, 1)
    assert (at_least_p_values(x, 0.01) < 1e-3).all()
    assert (at_least_p_values(x, 0.5) > 0.5).all()


@pytest.mark.parametrize("prompts", [20, 50])
def test_a_skewed_null_misleads_sign_flips_but_not_the_p_value_of_the_gap(prompts):
    """Mean 0: 3 % of prompts at +.97, all others at -.03. What sign flips reject, that no prompt has an
    effect, is wrong indeed."""
    rng = np.random.default_rng(prompts)
    active = rng.random((300, prompts)) < 0.03
    free, paid = np.where(active, 0.97, 0), np.where(active, 0, 0.03)
    x = (rng.binomial(20, free) - rng.binomial(20, paid)) / 20
    assert (BoundedMean.of(x, -1, 1).p_value() <= 0.05).mean() <= 0.06 + 0.02
    assert np.mean([sign_flip(row, lattice=20) <= 0.05 for row in x]) > 0.15


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: equivalence_p_values(differences(0, 0.2), 0), "margin is 0"),
        (lambda: equivalence_p_values(differences(0, 0.2), 5), "margin is 5"),
        (lambda: fewest_prompts(0.1, 95), "level is 95"),
        (lambda: fewest_prompts(0), "margin is 0"),
        (lambda: at_least_p_values(differences(0, 0.2), 5), "threshold is 5"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
