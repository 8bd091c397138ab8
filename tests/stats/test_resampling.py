import itertools

import numpy as np
import pytest
from scipy import stats

from afanalysis.stats import resampling as b


@pytest.fixture(scope="module")
def balanced():
    rng = np.random.default_rng(0)
    p = rng.beta(0.4, 2, 120)
    return np.column_stack(
        [rng.binomial(5, p), np.full(120, 5), rng.binomial(5, p / 3), np.full(120, 5)]
    )


@pytest.fixture(scope="module")
def unbalanced(balanced):
    rng = np.random.default_rng(1)
    table = balanced.copy()
    table[:, 1] += rng.integers(0, 3, 120)
    return table


GAP = b.difference(0, 1, 2, 3)
SHARE = b.proportion(2, 0)  # the paid tier's successes by the free tier's


def enumerated(table, statistic):
    """The statistic on every resample of a tiny table."""
    rows = np.asarray(table, dtype=float)
    totals = [
        rows[list(places)].sum(0) for places in itertools.product(range(len(rows)), repeat=len(rows))
    ]
    with np.errstate(all="ignore"):
        return statistic(np.array(totals))


def test_a_tiny_case_is_what_enumeration_gives_exactly():
    table = [[1, 2, 0, 2], [2, 2, 0, 2], [0, 2, 1, 2], [1, 2, 1, 2], [2, 2, 1, 2]]
    values = np.sort(enumerated(table, GAP))
    for level in (0.5, 0.8, 0.95):
        result = b.bootstrap(table, GAP, level=level)
        tails = ((1 - level) / 2, (1 + level) / 2)
        low, high = np.quantile(values, tails, method="inverted_cdf")
        assert result == pytest.approx((low, high), abs=1e-9)


def test_a_tiny_unbalanced_case_is_what_enumeration_gives_nearly():
    table = [[1, 2, 0, 1], [2, 3, 0, 2], [0, 1, 1, 2], [1, 2, 1, 3], [2, 2, 0, 2]]
    values = enumerated(table, GAP)
    result = b.bootstrap(table, GAP, resamples=200_000)
    low, high = np.quantile(values, (0.025, 0.975))
    assert result == pytest.approx((low, high), abs=0.01)


@pytest.mark.parametrize(("kind", "method"), [("percentile", "percentile"), ("bca", "BCa")])
def test_scipy_gives_the_same_interval(balanced, kind, method):
    d = balanced[:, 0] / 5 - balanced[:, 2] / 5
    theirs = stats.bootstrap(
        (d,), np.mean, n_resamples=50_000, method=method, batch=500, rng=np.random.default_rng(3)
    ).confidence_interval
    ours = b.bootstrap(balanced, GAP, kind=kind)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.003)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_arch_gives_the_same_interval_on_unbalanced_prompts(unbalanced, kind):
    from arch.bootstrap import IIDBootstrap

    boot = IIDBootstrap(unbalanced, seed=np.random.default_rng(4))

    def gap(rows):
        t = rows.sum(0)
        return np.array([t[0] / t[1] - t[2] / t[3]])

    theirs = boot.conf_int(gap, 4000, method=kind).ravel()
    ours = b.bootstrap(unbalanced, GAP, kind=kind, resamples=40_000)
    assert ours == pytest.approx(tuple(theirs), abs=0.006)


def test_the_convolution_is_the_limit_of_the_resamples(balanced, monkeypatch):
    outright = b.bootstrap(balanced, GAP)
    assert outright == b.bootstrap(balanced, GAP, resamples=2, seed=1)  # nothing is drawn
    monkeypatch.setattr(b, "_on_lattice", lambda *_: None)
    drawn = b.bootstrap(balanced, GAP, resamples=100_000)
    assert outright == pytest.approx(drawn, abs=0.003)


def test_the_convolution_holds_at_a_hundred_thousand_prompts():
    rng = np.random.default_rng(0)
    s = rng.binomial(10, rng.beta(0.3, 2, 100_000))
    table = np.column_stack([s, np.full(s.size, 10)])
    result = b.bootstrap(table, b.proportion(0, 1))
    se = (s / 10).std() / s.size**0.5
    mean = s.mean() / 10
    assert result == pytest.approx((mean - 1.96 * se, mean + 1.96 * se), abs=se / 20)


def test_totals_that_vary_from_one_resample_to_the_next_will_do(balanced):
    for kind in b.KINDS:
        low, high = b.bootstrap(balanced, SHARE, kind=kind, resamples=500)
        assert low < high, kind
        assert np.isfinite([low, high]).all()


def test_a_seed_makes_it_reproducible(unbalanced):
    first, same, another = (b.bootstrap(unbalanced, GAP, resamples=500, seed=s) for s in (1, 1, 2))
    assert first == same
    assert first != another


def test_resamples_without_a_value_are_left_out():
    table = [[1, 1, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1]]
    values = enumerated(table, SHARE)  # in one of 16 no success of the free tier is drawn
    known = values[np.isfinite(values)]
    assert known.size / values.size == 15 / 16
    low, high = b.bootstrap(table, SHARE, resamples=4000)
    assert (low, high) == pytest.approx(tuple(np.quantile(known, (0.025, 0.975))))


@pytest.mark.parametrize(
    ("table", "options", "sentence"),
    [
        ([[1, 2, 1, 2]], {}, "at least 2 prompts"),
        ([1, 2, 3], {}, "shape"),
        ([[0, 0, 1, 2], [0, 0, 1, 2]], {}, "a total is 0"),
        ([[1, 2, 1, 2]] * 2, {"kind": "basic"}, "kind is 'basic'; use one of"),
        ([[1, 2, 1, 2]] * 2, {"level": 1.0}, "level is 1.0"),
    ],
)
def test_bad_input_is_refused_in_words(table, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        b.bootstrap(table, GAP, **options)


def test_distinct_cells_are_found_whatever_the_counts_look_like():
    rng = np.random.default_rng(0)
    for table in (
        rng.integers(0, 4, (500, 4)),
        rng.integers(0, 4, (500, 4)) / 2,
        rng.integers(0, 10**6, (50, 4)),
    ):
        cells, weights = b.distinct(np.asarray(table, dtype=float))
        expected, count = np.unique(table, axis=0, return_counts=True)
        np.testing.assert_array_equal(cells, expected)
        np.testing.assert_array_equal(weights, count)
