import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from afanalysis.stats.judge_correction import agreement, cohen_kappa, confusion, gwet_ac1

tables = (
    st.integers(2, 4)
    .flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 30), min_size=k, max_size=k), min_size=k, max_size=k)
    )
    .filter(lambda t: np.sum(t) >= 2)
)


def apart(table):
    """The verdicts of one table, each of a prompt of its own."""
    table = np.asarray(table)
    places = np.repeat(np.arange(table.size), table.ravel())
    tables = np.zeros((places.size, table.size), dtype=int)
    tables[np.arange(places.size), places] = 1
    return tables.reshape(-1, *table.shape)


def test_kappa_of_fleiss_levin_and_paik():
    """Fleiss, Levin & Paik (2003), table 18.1: kappa = 0.676."""
    table = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    assert float(cohen_kappa(table)) == pytest.approx(0.676, abs=5e-4)
    (_, low, high), theirs = agreement(apart(table))["Cohen's kappa"], cohens_kappa(np.array(table))
    # the large-sample interval, 0.676 ± 1.96 · 0.088
    assert low == pytest.approx(theirs.kappa_low, abs=0.06)
    assert high == pytest.approx(theirs.kappa_upp, abs=0.06)


def test_kappas_paradox_and_ac1():
    """The skewed table of Gwet (2008): 94.4 % agreement, kappa -0.023, AC1 0.941."""
    table = [[118, 5], [2, 0]]
    assert float(cohen_kappa(table)) == pytest.approx(-0.0234, abs=1e-4)
    assert float(gwet_ac1(table)) == pytest.approx(0.9408, abs=1e-4)


@settings(max_examples=30)
@given(tables)
def test_intervals_hold_their_estimates_and_have_width(table):
    result = agreement(apart(table))
    for value, low, high in result.values():
        assert -1 <= low <= value <= high <= 1
        assert high > low


@given(tables)
def test_exchanging_the_labellers_changes_nothing(table):
    t = np.array(table)
    assert float(cohen_kappa(t)) == pytest.approx(float(cohen_kappa(t.T)))
    assert float(gwet_ac1(t)) == pytest.approx(float(gwet_ac1(t.T)))


def test_full_agreement_is_one_with_width_below():
    kappa, low, high = agreement(apart([[20, 0], [0, 10]]))["Cohen's kappa"]
    assert kappa == high == 1
    assert 0.6 < low < 1


def test_confusion_counts_pairs_prompt_by_prompt():
    tables = confusion(["a", "b", "a"], ["a", "a", "b"], range(3))
    assert tables.sum(0).tolist() == [[1, 1], [1, 0]]
    tables = confusion(["a", "b", "a"], ["a", "a", "b"], ["p", "q", "p"])
    assert tables.tolist() == [[[1, 1], [0, 0]], [[0, 0], [1, 0]]]


def test_prompts_with_the_same_table_are_interchangeable_and_thousands_cost_little():
    rng = np.random.default_rng(0)
    tables = apart(rng.multinomial(20_000, [0.1, 0.05, 0.05, 0.8]).reshape(2, 2))
    result = agreement(tables)
    half = 1.96 * (0.1 * 0.9 / 20_000) ** 0.5
    _, low, high = result["agreement"]
    assert high - low == pytest.approx(2 * half, rel=0.05)
    assert agreement(tables[::-1]) == result


@pytest.mark.slow
def test_clustered_verdicts_are_covered_where_independent_ones_would_not_be():
    """40 prompts, five answers each, on which a prompt's verdicts are all alike in most."""
    rng = np.random.default_rng(1)
    cells = np.array([[0.15, 0.1], [0.1, 0.65]])
    truth = float(cohen_kappa(cells * 1000))
    held = {"prompts": [], "verdicts": []}
    for seed in range(60):
        shares = rng.dirichlet(cells.ravel() * 0.5, 40)
        tables = np.array([rng.multinomial(5, share) for share in shares]).reshape(-1, 2, 2)
        for unit, data in (("prompts", tables), ("verdicts", apart(tables.sum(0)))):
            _, low, high = agreement(data, seed=seed)["Cohen's kappa"]
            held[unit].append(low <= truth <= high)
    assert np.mean(held["prompts"]) >= 0.90
    assert np.mean(held["verdicts"]) < 0.85


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: confusion(["a"], ["a"], [0]), "at least 2"),
        (lambda: agreement([[[9, 0], [0, 3]]], level=1), "level is 1"),
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
        _, low, high = agreement(apart(table), seed=seed)["Cohen's kappa"]
        held.append(low <= truth <= high)
    assert np.mean(held) > 0.92
