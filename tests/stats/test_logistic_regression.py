import numpy as np
import pytest

from afanalysis.stats.gap_intervals import gap
from afanalysis.stats.logistic_regression import FEW_ACTIVE, firth, logistic

# Ohio children by wheezing at ages 7 to 10, without and with a smoking mother: the counts of the sixteen
# patterns 0000, 0001, ... 1111 (Fitzmaurice & Laird 1993), the data set `ohio` of R's geepack.
OHIO = {
    0: [237, 10, 15, 4, 16, 2, 7, 3, 24, 3, 3, 2, 6, 2, 5, 11],
    1: [118, 6, 8, 2, 11, 1, 6, 4, 7, 3, 3, 1, 4, 2, 4, 7],
}


def ohio():
    rows, child = [], 0
    for smoke, counts in OHIO.items():
        for pattern, count in enumerate(counts):
            for _ in range(count):
                for visit, age in enumerate((-2, -1, 0, 1)):
                    rows.append((child, pattern >> (3 - visit) & 1, age, smoke))
                child += 1
    data = np.array(rows)
    age, smoke = data[:, 2], data[:, 3]
    design = np.column_stack([np.ones(len(data)), age, smoke, age * smoke])
    return data[:, 1], design, data[:, 0]


def test_ohio_agrees_with_brglm2_and_nearly_with_geepack():
    """tests/stats/known_answers.R: Firth's estimates; unpenalised ones of independence differ little."""
    y, design, _ = ohio()
    estimate = firth(np.ones(len(y)), y, design)
    firths = [-1.8962021376, -0.1406876794, 0.3155405401, 0.0707124313]
    np.testing.assert_allclose(estimate, firths, atol=1e-6)
    unpenalised = [-1.9008425685, -0.1412531295, 0.3139539917, 0.0708441038]
    np.testing.assert_allclose(estimate, unpenalised, atol=5e-3)


def test_a_separated_example_agrees_with_brglm2():
    design = np.column_stack([np.ones(6), [1, 1, 1, 0, 0, 0]])
    estimate = firth(np.full(6, 5), np.array([4, 1, 3, 0, 0, 0]), design)
    np.testing.assert_allclose(estimate, [-3.43398723, 3.55915037], atol=1e-7)


def test_the_intervals_of_regular_data_are_nearly_those_of_robust_standard_errors():
    """geepack's robust standard errors of `ohio`: 0.0582, 0.1878, 0.0883."""
    y, design, child = ohio()
    fit = logistic(np.ones(len(y)), y, design, child)
    half = (fit.high - fit.low)[1:] / 2 / 1.9644
    np.testing.assert_allclose(half, [0.0582, 0.1878, 0.0883], rtol=0.15)
    assert np.isnan([fit.low[0], fit.p_value[0], fit.p_sign_flip[0]]).all()


def test_counts_give_what_single_rows_give():
    y, design, child = ohio()
    design = design[:, [0, 2]]
    alone = logistic(np.ones(len(y)), y, design, child)
    ids, start = np.unique(child, return_index=True)
    together = logistic(np.full(len(ids), 4), np.add.reduceat(y, start), design[start], ids)
    np.testing.assert_allclose(alone.estimate, together.estimate, atol=1e-6)
    np.testing.assert_allclose(alone.low, together.low, atol=1e-3)


def two_tiers(n_free, s_free, n_paid, s_paid, **options):
    """The regression on the tier, compared within prompts."""
    prompts = np.arange(len(n_free))
    tier = np.repeat([1.0, 0.0], len(prompts))
    both = np.tile(prompts, 2)
    design = np.column_stack([np.ones(tier.size), tier])
    n, s = np.concatenate([n_free, n_paid]), np.concatenate([s_free, s_paid])
    return logistic(n, s, design, both, strata={1: both}, **options)


def test_one_prompt_that_differs_among_twenty_decides_nothing():
    """1/5 against 4/5, all else 0: an odds ratio of .24 (.23, .26) with p = 1e-20 before."""
    n, free, paid = np.full(20, 5), np.zeros(20), np.zeros(20)
    free[0], paid[0] = 1, 4
    fit = two_tiers(n, free, n, paid)
    assert fit.p_sign_flip[1] == 1
    assert fit.p_value[1] == pytest.approx(gap(n, free, n, paid)["p_value"])
    assert fit.p_value[1] > 0.9
    assert fit.low[1] < 0 < fit.high[1]
    assert fit.n_active == 1


def test_a_paid_tier_without_events_has_p_values_and_a_lower_end():
    n, free = np.full(40, 5), np.where(np.arange(40) < 12, 4, 0)
    fit = two_tiers(n, free, n, 0 * free)
    assert np.isfinite(fit.estimate).all()
    assert fit.p_value[1] < 0.01
    assert fit.p_sign_flip[1] == pytest.approx(2 * 0.5**12)
    assert 0 < fit.low[1] < fit.estimate[1] < fit.high[1] == np.inf


def test_without_any_event_nothing_is_said():
    n = np.full(20, 5)
    fit = two_tiers(n, 0 * n, n, 0 * n)
    assert (fit.p_value[1], fit.p_sign_flip[1]) == (1, 1)
    assert (fit.low[1], fit.estimate[1], fit.high[1]) == (-np.inf, 0, np.inf)


def test_with_equal_numbers_the_tiers_p_values_are_those_of_the_gap():
    rng = np.random.default_rng(0)
    n = np.full(30, 5)
    free, paid = rng.binomial(5, rng.beta(0.4, 1, 30)), rng.binomial(5, rng.beta(0.2, 1, 30))
    fit, of_gap = two_tiers(n, free, n, paid), gap(n, free, n, paid)
    assert fit.p_value[1] == pytest.approx(of_gap["p_value"])
    assert fit.p_sign_flip[1] == pytest.approx(of_gap["p_sign_flip"])


def test_an_interval_excludes_no_effect_exactly_where_its_p_value_says_so():
    rng = np.random.default_rng(1)
    decided = 0
    for _ in range(30):
        chance = np.where(rng.random(30) < 0.4, 0.6, 0.05)
        nf, np_ = rng.integers(1, 9, (2, 30))
        fit = two_tiers(nf, rng.binomial(nf, chance), np_, rng.binomial(np_, chance / 3))
        excludes = fit.low[1] > 0 or fit.high[1] < 0
        assert excludes == (fit.p_value[1] <= 0.05)
        assert fit.low[1] <= fit.estimate[1] <= fit.high[1]
        decided += excludes
    assert 0 < decided < 30


def test_the_conditional_estimate_is_that_of_paired_tables():
    """With one answer per prompt and tier the odds ratio is the ratio of discordant pairs, here 12/4, to
    which Firth adds a half each."""
    free = np.repeat([1, 1, 0, 0], (20, 12, 4, 64))
    paid = np.repeat([1, 0, 1, 0], (20, 12, 4, 64))
    fit = two_tiers(np.ones(100), free, np.ones(100), paid)
    assert fit.estimate[1] == pytest.approx(np.log(12.5 / 4.5), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [20, 50])
def test_no_effect_is_rarely_taken_for_one(prompts):
    """15 % of prompts at .5 in both tiers, k 5, 200 studies: p <= .05 in 30 % and 8 % before."""
    rng = np.random.default_rng(prompts)
    errors = []
    for _ in range(200):
        chance = 0.5 * (rng.random(prompts) < 0.15)
        n = np.full(prompts, 5)
        # a level at which no interval is worth looking for
        fit = two_tiers(n, rng.binomial(n, chance), n, rng.binomial(n, chance), level=0.5)
        errors.append((fit.p_value[1] <= 0.05, fit.p_sign_flip[1] <= 0.05))
    assert (np.mean(errors, axis=0) <= 0.08).all()


def interaction(rng, prompts, free_first, free_second):
    """Two models on the same prompts; the design of tier * model."""
    active = rng.random(prompts) < 0.3
    rates = [0.2 * active, free_first * active, 0.2 * active, free_second * active]
    s = np.concatenate([rng.binomial(5, rate) for rate in rates])
    tier, model = np.repeat([0, 1, 0, 1], prompts), np.repeat([0, 0, 1, 1], prompts)
    design = np.column_stack([np.ones(4 * prompts), tier, model, tier * model]).astype(float)
    return logistic(np.full(4 * prompts, 5), s, design, np.tile(np.arange(prompts), 4))


def test_an_interaction_that_is_not_there_is_rarely_found():
    rng = np.random.default_rng(2)
    fits = [interaction(rng, 20, 0.6, 0.6) for _ in range(10)]
    assert sum(fit.p_value[3] <= 0.05 for fit in fits) <= 1
    for fit in fits:
        assert (fit.low[3] <= 0 <= fit.high[3]) == (fit.p_value[3] > 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [10, 20, 50])
def test_interactions_keep_their_error(prompts):
    """p <= .05 in 55, 38 and 12 % before."""
    rng = np.random.default_rng(prompts)
    fits = [interaction(rng, prompts, 0.6, 0.6) for _ in range(200)]
    assert np.mean([fit.p_value[3] <= 0.05 for fit in fits]) <= 0.06
    assert np.mean([fit.p_sign_flip[3] <= 0.05 for fit in fits]) <= 0.09


def test_with_few_active_prompts_signs_of_marginal_scores_are_not_flipped():
    rng = np.random.default_rng(3)
    fit = interaction(rng, 10, 0.6, 0.1)
    assert fit.n_active < FEW_ACTIVE
    assert np.isnan(fit.p_sign_flip[1:]).all()
    assert np.isfinite(fit.p_value[1:]).all()


def test_the_odds_ratio_of_prompts_that_differ_is_covered():
    """Prompts of very different difficulty, log odds ratio 1 within each; pooled, about 0.6."""
    rng = np.random.default_rng(4)
    held, estimates = [], []
    for _ in range(40):
        difficulty = rng.normal(-1.5, 2.5, 50)
        n = np.full(50, 5)
        free, paid = (rng.binomial(n, 1 / (1 + np.exp(-difficulty - shift))) for shift in (1, 0))
        fit = two_tiers(n, free, n, paid)
        held.append(fit.low[1] <= 1 <= fit.high[1])
        estimates.append(fit.estimate[1])
    assert np.mean(held) >= 0.92
    assert np.mean(estimates) == pytest.approx(1, abs=0.1)


def test_a_term_without_a_bound_does_not_keep_the_others_from_being_estimated():
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(40), 3)
    kind = np.tile([0, 1, 2], 40)
    design = np.column_stack([np.ones(120), kind == 1, kind == 2]).astype(float)
    s = rng.binomial(5, np.where(kind == 1, 0.5, 0.2))
    s[kind == 2] = 0
    fit = logistic(np.full(120, 5), s, design, prompts)
    assert fit.estimate[2] < -3
    assert fit.low[2] == -np.inf
    assert fit.high[2] < 0
    assert fit.estimate[1] == pytest.approx(np.log(1 / 0.25), abs=0.5)
    assert np.isfinite([fit.low[1], fit.high[1]]).all()


def test_dependent_terms_are_refused():
    ones = np.ones(30)
    with pytest.raises(ValueError, match="linearly dependent"):
        logistic(ones, ones * 0, np.column_stack([ones, ones]), np.arange(30))
