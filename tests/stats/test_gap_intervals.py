import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.stats import gap_intervals

CLOSED = ("adjusted-t", "mover", "cluster-t", "unpaired", "paper")


@st.composite
def pairs(draw, least=0):
    g = draw(st.integers(2, 30))
    size = st.lists(st.integers(least, 8), min_size=g, max_size=g)
    nf, np_ = draw(size), draw(size)
    nf[0] = np_[0] = 1
    sf, sp = ([draw(st.integers(0, k)) for k in n] for n in (nf, np_))
    return tuple(np.array(x, dtype=float) for x in (nf, sf, np_, sp))


@given(pairs(), st.sampled_from(CLOSED))
def test_the_interval_holds_the_gap_and_stays_in_range(data, method):
    found = gap_intervals.gap(*data, method=method)
    assert -1 <= found.low <= found.gap + 1e-12
    assert found.gap - 1e-12 <= found.high <= 1


@given(pairs(), st.sampled_from(("adjusted-t", "mover", "unpaired")))
def test_the_interval_has_width(data, method):
    found = gap_intervals.gap(*data, method=method)
    assert found.high > found.low


@given(pairs(), st.sampled_from(CLOSED))
def test_swapping_tiers_or_success_and_failure_mirrors_the_interval(data, method):
    nf, sf, np_, sp = data
    a = gap_intervals.gap(*data, method=method)
    for b in (
        gap_intervals.gap(np_, sp, nf, sf, method=method),
        gap_intervals.gap(nf, nf - sf, np_, np_ - sp, method=method),
    ):
        assert (a.low, a.high) == pytest.approx((-b.high, -b.low), abs=1e-9)
        assert a.p_value == pytest.approx(b.p_value, abs=1e-3)


@given(pairs(), st.randoms())
def test_the_order_of_prompts_does_not_matter(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    a, b = gap_intervals.gap(*data), gap_intervals.gap(*(x[order] for x in data))
    assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-12)


def test_newcombes_paired_example_with_one_sample_a_prompt():
    """Newcombe (1998), Statistics in Medicine 17:2635, method 8/10 family on his example (a):
    e = 36, f = 12, g = 2, h = 0 of 50 pairs: difference 0.20, score-based interval about
    (0.06, 0.33). Ours has the t quantile in place of z."""
    both, first, second, none = 36, 12, 2, 0
    free = np.r_[np.ones(both + first), np.zeros(second + none)]
    paid = np.r_[np.ones(both), np.zeros(first), np.ones(second), np.zeros(none)]
    one = np.ones(50)
    for method in ("mover", "adjusted-t"):
        found = gap_intervals.gap(one, free, one, paid, method=method)
        assert found.gap == pytest.approx(0.20)
        assert found.low == pytest.approx(0.06, abs=0.025)
        assert found.high == pytest.approx(0.33, abs=0.025)


def test_without_a_discordant_prompt_the_interval_is_that_of_two_pseudo_pairs():
    """Agresti & Min (2005) with one added pair of each sign and z = t."""
    from scipy import stats

    found = gap_intervals.gap(np.ones(50), np.zeros(50), np.ones(50), np.zeros(50))
    half = stats.t.ppf(0.975, 49) * np.sqrt(2 / (52 * 51))
    assert (found.low, found.high) == pytest.approx((-half, half))


def test_pairing_narrows_the_interval_where_tiers_resemble_each_other():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 1, 200)
    n = np.full(200, 5)
    data = (n, rng.binomial(5, np.minimum(p + 0.1, 1)), n, rng.binomial(5, p))
    paired, unpaired = (gap_intervals.gap(*data, method=m) for m in ("adjusted-t", "unpaired"))
    assert paired.correlation > 0.5
    assert (paired.high - paired.low) < 0.75 * (unpaired.high - unpaired.low)


def test_the_papers_own_interval_is_hypot_of_the_rates_errors():
    n = np.full(100, 3)
    rng = np.random.default_rng(2)
    sf, sp = rng.binomial(3, 0.3, 100), rng.binomial(3, 0.1, 100)
    found = gap_intervals.gap(n, sf, n, sp, method="paper")
    p, q = sf.sum() / 300, sp.sum() / 300
    half = 1.959964 * np.hypot((p * (1 - p) / 300) ** 0.5, (q * (1 - q) / 300) ** 0.5)
    assert found.high - found.gap == pytest.approx(half, rel=1e-6)


def test_prompts_in_one_tier_only_count_in_the_rates_and_are_counted():
    found = gap_intervals.gap([5, 5, 0, 5], [1, 2, 0, 0], [5, 0, 5, 5], [0, 0, 1, 0])
    assert (found.n_prompts, found.n_paired, found.n_unpaired) == (4, 2, 2)
    assert found.free == pytest.approx(3 / 15)
    assert found.paid == pytest.approx(1 / 15)


def test_no_gap_at_all_has_a_p_value_of_one_and_width():
    found = gap_intervals.gap([5] * 30, [0] * 30, [5] * 30, [0] * 30)
    assert found.p_value == 1
    assert found.low < -0.01
    assert found.high > 0.01


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        (([5], [1], [0], [0]), {}, "no samples in the paid tier"),
        (([5], [1], [5], [0]), {"level": 0}, "level is 0"),
        (([5], [1], [5], [0]), {"method": "z"}, "method is 'z'; use one of: adjusted-t"),
        (([5], [6], [5], [0]), {}, "between 0 and the number"),
    ],
)
def test_bad_input_is_refused_in_words(data, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        gap_intervals.gap(*data, **options)
