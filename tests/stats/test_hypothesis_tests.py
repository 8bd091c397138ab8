import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from afanalysis.stats.hypothesis_tests import adjust, sign_flip


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


def test_sign_flip_on_a_fine_lattice_is_close_to_scipys(monkeypatch):
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


def test_with_one_sample_per_prompt_sign_flip_is_mcnemars_exact_test():
    for first, second in ((7, 1), (3, 3), (10, 2)):
        d = np.r_[np.ones(first), -np.ones(second), np.zeros(5)]
        theirs = their_mcnemar([[0, first], [second, 0]], exact=True).pvalue
        assert sign_flip(d) == pytest.approx(theirs)
    assert sign_flip(np.zeros(5)) == 1


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_statsmodels(p):
    for ours, theirs in (("holm", "holm"), ("bh", "fdr_bh")):
        np.testing.assert_allclose(adjust(p, ours), multipletests(p, method=theirs)[1], atol=1e-12)


def test_missing_p_values_stay_missing_and_count_for_nothing():
    found = adjust([0.01, np.nan, 0.04])
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[[0, 2]], [0.02, 0.04])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sign_flip([]), "at least one"),
        (lambda: sign_flip([np.nan]), "finite"),
        (lambda: adjust([0.1], "bonferroni"), "use 'holm' or 'bh'"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
