import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from afanalysis.stats.interrater import agreement, cohen_kappa, confusion, gwet_ac1

tables = (
    st.integers(2, 4)
    .flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 30), min_size=k, max_size=k), min_size=k, max_size=k)
    )
    .filter(lambda t: np.sum(t) >= 2)
)


def test_kappa_of_fleiss_levin_and_paik():
    """Fleiss, Levin & Paik (2003), table 18.1: kappa = 0.676."""
    table = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    assert float(cohen_kappa(table)) == pytest.approx(0.676, abs=5e-4)
    found, theirs = agreement(table), cohens_kappa(np.array(table))
    # the large-sample interval, 0.676 ± 1.96 · 0.088
    assert found.kappa_low == pytest.approx(theirs.kappa_low, abs=0.06)
    assert found.kappa_high == pytest.approx(theirs.kappa_upp, abs=0.06)


def test_kappas_paradox_and_ac1():
    """The skewed table of Gwet (2008): 94.4 % agreement, kappa -0.023, AC1 0.941."""
    table = [[118, 5], [2, 0]]
    assert float(cohen_kappa(table)) == pytest.approx(-0.0234, abs=1e-4)
    assert float(gwet_ac1(table)) == pytest.approx(0.9408, abs=1e-4)


@given(tables)
def test_intervals_hold_their_estimates_and_have_width(table):
    found = agreement(table)
    for value, low, high in (
        (found.agreed, found.agreed_low, found.agreed_high),
        (found.kappa, found.kappa_low, found.kappa_high),
        (found.ac1, found.ac1_low, found.ac1_high),
    ):
        assert -1 <= low <= value <= high <= 1
        assert high > low


@given(tables)
def test_exchanging_the_labellers_changes_nothing(table):
    t = np.array(table)
    assert float(cohen_kappa(t)) == pytest.approx(float(cohen_kappa(t.T)))
    assert float(gwet_ac1(t)) == pytest.approx(float(gwet_ac1(t.T)))


def test_full_agreement_is_one_with_width_below():
    found = agreement([[20, 0], [0, 10]])
    assert found.kappa == found.kappa_high == 1
    assert 0.6 < found.kappa_low < 1


def test_confusion_counts_pairs():
    table, categories = confusion(["a", "b", "a"], ["a", "a", "b"])
    assert categories == ["a", "b"]
    assert table.tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: confusion(["a"], ["a"]), "at least 2"),
        (lambda: confusion(["a", "b"], ["a"]), "equally long"),
        (lambda: agreement([[1, 2]]), "square"),
        (lambda: agreement([[1, 0], [0, 0]]), "at least 2"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.slow
def test_kappas_interval_covers():
    rng = np.random.default_rng(0)
    p = np.array([[0.10, 0.05], [0.05, 0.80]])
    truth = float(cohen_kappa(p * 1000))
    held = []
    for seed in range(400):
        table = rng.multinomial(100, p.ravel()).reshape(2, 2)
        found = agreement(table, seed=seed)
        held.append(found.kappa_low <= truth <= found.kappa_high)
    assert np.mean(held) > 0.92
