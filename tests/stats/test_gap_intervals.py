from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.stats import gap_intervals
from afanalysis.stats.hypothesis_tests import sign_flip
from afanalysis.stats.proportions import square_and_add, wilson

CLOSED = ("bounded", "adjusted-t", "mover", "cluster-t", "unpaired", "paper")
DRAWN = ("bootstrap", "bca")


def measured(*data, **options):
    return SimpleNamespace(**gap_intervals.gap(*data, **options))


@st.composite
def pairs(draw, least=0):
    g = draw(st.integers(2, 30))
    size = st.lists(st.integers(least, 8), min_size=g, max_size=g)
    nf, np_ = draw(size), draw(size)
    nf[0] = np_[0] = 1  # one prompt has both tiers
    sf, sp = ([draw(st.integers(0, k)) for k in n] for n in (nf, np_))
    return tuple(np.array(x, dtype=float) for x in (nf, sf, np_, sp))


@given(pairs(), st.sampled_from(CLOSED))
def test_the_interval_holds_the_gap_and_stays_in_range(data, method):
    result = measured(*data, method=method)
    assert -1 <= result.low <= result.gap + 1e-12
    assert result.gap - 1e-12 <= result.high <= 1


@given(pairs(), st.sampled_from(("bounded", "adjusted-t", "mover", "unpaired")))
def test_the_interval_has_width(data, method):
    result = measured(*data, method=method)
    assert result.high > result.low


@given(pairs(), st.sampled_from(CLOSED))
def test_swapping_tiers_or_success_and_failure_mirrors_the_interval(data, method):
    nf, sf, np_, sp = data
    a = measured(*data, method=method)
    for b in (
        measured(np_, sp, nf, sf, method=method),
        measured(nf, nf - sf, np_, np_ - sp, method=method),
    ):
        assert (a.low, a.high) == pytest.approx((-b.high, -b.low), abs=1e-9)
        assert a.p_value == pytest.approx(b.p_value, abs=1e-3)


@given(pairs(), st.randoms())
def test_the_order_of_prompts_does_not_matter(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    a, b = measured(*data), measured(*(x[order] for x in data))
    assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-12)


def test_newcombes_paired_example_with_one_sample_a_prompt():
    """Newcombe (1998), Statistics in Medicine 17:2635, example (36, 12, 2, 0), without the continuity
    correction of its phi: 0.20 (0.0569, 0.3404). `mover` has the t quantile in place of z."""
    both, first, second = 36, 12, 2
    free = np.r_[np.ones(both + first), np.zeros(second)]
    paid = np.r_[np.ones(both), np.zeros(first), np.ones(second)]
    result = measured(np.ones(50), free, np.ones(50), paid, method="mover")
    terms = [(s / 50, *wilson(s / 50, 50, 1.959964)) for s in (48, 38)]
    low, high = square_and_add(*terms, correlation=result.correlation)
    assert (float(low), float(high)) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert result.gap == pytest.approx(0.20)
    assert (result.low, result.high) == pytest.approx((0.0530, 0.3441), abs=5e-5)
    others = {"adjusted-t": (0.0584, 0.3405), "bounded": (0.0573, 0.3479)}
    for method, expected in others.items():
        result = measured(np.ones(50), free, np.ones(50), paid, method=method)
        assert (result.low, result.high) == pytest.approx(expected, abs=5e-5)


# Answers to six prompts and successes among them, in the free and the paid tier.
SIX = ([5, 1, 20, 3, 8, 2], [2, 0, 11, 3, 1, 0], [4, 2, 10, 1, 6, 5], [0, 1, 3, 0, 1, 0])


def test_gap_and_standard_error_are_those_of_r_survey():
    """tests/stats/known_answers.R: `svyglm` with prompts as clusters, by both weightings."""
    for weighting, gap, se in (
        ("prompts", 0.184722222, 0.205710340),
        ("answers", 0.257326007, 0.0988819104),
    ):
        result = measured(*SIX, weighting=weighting)
        assert result.gap == pytest.approx(gap, abs=1e-9)
        assert result.se == pytest.approx(se, abs=1e-9)


def active_prompts(rng, prompts, share=0.3):
    """A study in which some prompts comply more in the free tier, with unequal numbers of answers."""
    nf, np_ = rng.choice([1, 2, 5, 10], (2, prompts))
    chance = np.where(rng.random(prompts) < share, 0.6, 0.05)
    return nf, rng.binomial(nf, chance), np_, rng.binomial(np_, chance / 2)


@pytest.mark.parametrize(
    ("method", "weighting"),
    [*((method, "prompts") for method in CLOSED), *((method, "answers") for method in CLOSED[1:])],
)
def test_an_interval_excludes_zero_exactly_where_its_p_value_says_so(method, weighting):
    rng = np.random.default_rng(3)
    decided = 0
    for _ in range(40):
        data = active_prompts(rng, 25)
        result = measured(*data, method=method, weighting=weighting)
        assert (result.low > 0 or result.high < 0) == (result.p_value <= 0.05)
        at_p = measured(*data, method=method, weighting=weighting, level=1 - result.p_value * 0.99)
        assert at_p.low <= 0 <= at_p.high or result.p_value < 1e-11
        decided += result.p_value <= 0.05
    assert 0 < decided < 40


@pytest.mark.parametrize("method", DRAWN)
def test_the_p_value_of_a_bootstrap_belongs_to_its_interval(method):
    rng = np.random.default_rng(4)
    for _ in range(3):
        result = measured(*active_prompts(rng, 20), method=method)
        assert (result.low > 0 or result.high < 0) == (result.p_value <= 0.05)


def test_gap_interval_and_both_p_values_are_of_one_estimand():
    """One prompt with many answers has a negative gap, nine with few a positive one: where answers
    weighed alike, the printed gap was negative and the tested mean positive."""
    n = [200] + [2] * 9
    data = (n, [20] + [1] * 9, n, [100] + [0] * 9)
    result = measured(*data)
    differences = np.array(data[1]) / n - np.array(data[3]) / n
    assert result.gap == pytest.approx(differences.mean())
    assert result.gap > 0
    assert result.gap == pytest.approx(result.free - result.paid)
    assert result.p_sign_flip == sign_flip(differences, lattice=200)
    assert measured(*data, weighting="answers").gap < 0


def test_with_no_gap_and_unequal_numbers_interval_and_p_value_err_together_and_rarely():
    """20 prompts, 1 to 50 answers each, 300 studies without a gap; by answers 10.5 % and 3.5 % erred."""
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(300):
        chance = rng.beta(0.05, 0.3, 20)
        nf, np_ = np.minimum(rng.geometric(0.1, (2, 20)), 50)
        counts = gap_intervals.paired(nf, rng.binomial(nf, chance), np_, rng.binomial(np_, chance))
        low, high = gap_intervals.gap_interval(counts)
        excludes = bool(low > 0 or high < 0)
        assert excludes == (float(counts.differences.p_value()) <= 0.05)
        errors.append(excludes)
    assert np.mean(errors) <= 0.05


@pytest.mark.parametrize("method", ["adjusted-t", "mover", "cluster-t", "unpaired", "paper", "bca"])
def test_named_methods_do_not_depend_on_the_weighting_where_numbers_are_equal(method):
    rng = np.random.default_rng(6)
    n = np.full(30, 5)
    data = (n, rng.binomial(5, rng.beta(0.3, 1, 30)), n, rng.binomial(5, rng.beta(0.1, 1, 30)))
    by_prompts, by_answers = (
        measured(*data, method=method, weighting=weighting) for weighting in ("prompts", "answers")
    )
    assert (by_prompts.low, by_prompts.high) == pytest.approx((by_answers.low, by_answers.high))


def test_a_paid_tier_without_events_does_not_warn_of_too_few_events():
    n = np.full(40, 5)
    free = np.where(np.arange(40) < 20, 4, 0)
    for method in ("bounded", "adjusted-t"):
        assert measured(n, free, n, 0 * free, method=method).warning == ""
    assert "too few events (2" in measured(n, 4 * (np.arange(40) < 2), n, 0 * n,
                                                    method="adjusted-t").warning  # fmt: skip


def test_tiers_without_a_common_prompt_are_two_separate_samples():
    result = measured([5, 5, 0, 0], [5, 1, 0, 0], [0, 0, 5, 5], [0, 0, 0, 1])
    assert (result.n_paired, result.n_unpaired, result.method) == (0, 4, "unpaired")
    assert np.isnan(result.p_sign_flip)
    assert "no prompt has samples in both tiers" in result.warning


def test_without_a_discordant_prompt_the_interval_is_that_of_two_pseudo_pairs():
    """Agresti & Min (2005) with one added pair of each sign and z = t."""
    from scipy import stats

    result = measured(np.ones(50), np.zeros(50), np.ones(50), np.zeros(50), method="adjusted-t")
    half = stats.t.ppf(0.975, 49) * np.sqrt(2 / (52 * 51))
    assert (result.low, result.high) == pytest.approx((-half, half))


def test_pairing_narrows_the_interval_where_tiers_resemble_each_other():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 1, 200)
    n = np.full(200, 5)
    data = (n, rng.binomial(5, np.minimum(p + 0.1, 1)), n, rng.binomial(5, p))
    paired, unpaired = (measured(*data, method=m) for m in ("adjusted-t", "unpaired"))
    assert paired.correlation > 0.5
    assert (paired.high - paired.low) < 0.75 * (unpaired.high - unpaired.low)


def test_the_papers_own_interval_is_hypot_of_the_rates_errors():
    n = np.full(100, 3)
    rng = np.random.default_rng(2)
    sf, sp = rng.binomial(3, 0.3, 100), rng.binomial(3, 0.1, 100)
    result = measured(n, sf, n, sp, method="paper")
    p, q = sf.sum() / 300, sp.sum() / 300
    half = 1.959964 * np.hypot((p * (1 - p) / 300) ** 0.5, (q * (1 - q) / 300) ** 0.5)
    assert result.high - result.gap == pytest.approx(half, rel=1e-6)


def test_prompts_in_one_tier_only_are_counted_and_count_in_the_rates_by_answers_only():
    data = ([5, 5, 0, 5], [1, 2, 0, 0], [5, 0, 5, 5], [0, 0, 1, 0])
    by_prompts, by_answers = (
        measured(*data, weighting=weighting) for weighting in ("prompts", "answers")
    )
    for result in (by_prompts, by_answers):
        assert (result.n_prompts, result.n_paired, result.n_unpaired) == (4, 2, 2)
    assert (by_prompts.free, by_prompts.paid) == pytest.approx((1 / 10, 0))
    assert (by_answers.free, by_answers.paid) == pytest.approx((3 / 15, 1 / 15))


def test_no_gap_at_all_has_a_p_value_of_one_and_width():
    result = measured([5] * 30, [0] * 30, [5] * 30, [0] * 30)
    assert result.p_value == 1
    assert result.low < -0.01
    assert result.high > 0.01


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        (([5], [1], [0], [0]), {}, "no samples; a rate needs"),
        (([5], [1], [5], [0]), {"level": 0}, "level is 0"),
        (([5], [1], [5], [0]), {"method": "z"}, "method is 'z'; use one of: bounded"),
        (([5], [1], [5], [0]), {"weighting": "rows"}, "weighting is 'rows'; use 'prompts' or 'answers'"),
        (
            ([5], [1], [5], [0]),
            {"method": "bounded", "weighting": "answers"},
            "needs weighting 'prompts'",
        ),
        (([5], [6], [5], [0]), {}, "between 0 and the number"),
    ],
)
def test_bad_input_is_refused_in_words(data, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        measured(*data, **options)
