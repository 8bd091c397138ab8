import numpy as np
import pytest

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.meta_analysis import FEW_CONDITIONS, mean_over_conditions, random_effects


def test_the_mean_and_prediction_intervals_are_those_of_r():
    """tests/stats/known_answers.R: `t.test` and `predict(lm(y ~ 1), interval = "prediction")`."""
    y = [0.14, 0.02, 0.31, 0.08, 0.00, 0.22]
    summary = random_effects(y, np.full(6, 0.01))
    assert (summary["population_low"], summary["population_high"]) == pytest.approx(
        (0.00232820015, 0.25433846652), abs=1e-9
    )
    assert (summary["predicted_low"], summary["predicted_high"]) == pytest.approx(
        (-0.205044913, 0.461711580), abs=1e-6
    )


def test_the_statistic_of_homogeneity_of_a_known_meta_analysis():
    """BCG vaccine trials (Colditz et al. 1994), log risk ratios; known_answers.R: metafor."""
    y = [-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713,
         -0.3394, 0.4459, -0.0173]  # fmt: skip
    v = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325,
         0.0714]  # fmt: skip
    summary = random_effects(y, np.sqrt(v))
    assert summary["q"] == pytest.approx(151.814918986, abs=1e-8)
    assert summary["tau"] ** 2 == pytest.approx(0.318108089, rel=1e-4)
    assert summary["p_homogeneity"] < 1e-20
    assert summary["population"] == pytest.approx(np.mean(y))
    assert 0.5 < summary["i2"] < 1
    assert (
        summary["predicted_low"]
        < summary["population_low"]
        < summary["population"]
        < summary["population_high"]
        < summary["predicted_high"]
    )


def test_estimates_all_alike_keep_the_width_of_their_sampling_errors():
    summary = random_effects([0.1, 0.1, 0.1], [0.02, 0.02, 0.03])
    assert (summary["tau"], summary["i2"]) == (0, 0)
    within = np.sqrt(np.mean([0.02**2, 0.02**2, 0.03**2]) / 3)
    assert summary["population_high"] - 0.1 == pytest.approx(4.302653 * within, rel=1e-6)


def test_conditions_without_an_event_take_part():
    summary = random_effects([0.1, 0.0, 0.0, 0.05], [0.03, 0.0, 0.0, 0.02])
    assert summary["conditions"] == 4
    assert summary["population"] == pytest.approx(0.0375)
    assert np.isfinite(
        [summary["population_low"], summary["population_high"], summary["q"], summary["p_homogeneity"]]
    ).all()


def test_few_conditions_are_warned_of():
    assert "hold only if" in random_effects([0.1] * (FEW_CONDITIONS - 1), [0.1] * 9)["warning"]
    assert random_effects([0.1] * FEW_CONDITIONS, [0.1] * 10)["warning"] == ""


def test_the_mean_of_these_conditions_weighs_each_alike():
    first, second = [0.2, 0.4, 0, 0], [1.0, 0, 0, 0]
    shared = mean_over_conditions([first, second])
    assert float(shared.mean) == pytest.approx((0.15 + 0.25) / 2)
    few = mean_over_conditions([first, second], [[True] * 4, [True, True, False, False]])
    assert float(few.mean) == pytest.approx((0.15 + 0.5) / 2)


def test_with_shared_prompts_it_is_the_mean_of_each_prompts_differences():
    rng = np.random.default_rng(0)
    table = rng.choice([0, 0, 0.4, 1, -0.2], (5, 30))
    ends = mean_over_conditions(table).interval()
    assert ends == pytest.approx(BoundedMean.of(table.mean(0), -1, 1).interval())


def test_with_separate_prompts_of_equal_number_it_is_the_mean_of_all_prompts():
    rng = np.random.default_rng(1)
    values = rng.choice([0, 0, 0.4, 1, -0.2], 60)
    table, present = np.zeros((3, 60)), np.zeros((3, 60), dtype=bool)
    for condition in range(3):
        mine = slice(20 * condition, 20 * condition + 20)
        table[condition, mine], present[condition, mine] = values[mine], True
    ends = mean_over_conditions(table, present).interval()
    assert ends == pytest.approx(BoundedMean.of(values, -1, 1).interval())


@pytest.mark.parametrize("prompts", [50, 100])
def test_rare_gaps_are_covered_by_the_pooled_interval(prompts):
    """Eight conditions, .5 % paid and 2 % more free, five answers: .68 and .85 before, often refused."""
    rng = np.random.default_rng(prompts)

    def draw(mean, shape):
        return rng.binomial(5, rng.beta(mean * 0.7 / 0.3, (1 - mean) * 0.7 / 0.3, shape)) / 5

    held = []
    for _ in range(300):
        differences = draw(0.025, (8, prompts)) - draw(0.005, (8, prompts))
        low, high = mean_over_conditions(differences).interval()
        held.append(low <= 0.02 <= high)
    assert np.mean(held) >= 0.92


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: random_effects([0.1], [0.1]), "at least 2 estimates"),
        (lambda: random_effects([0.1, 0.2], [0.1]), "each with a standard error"),
        (lambda: random_effects([0.1, 0.2], [0.1, -0.1]), "must be finite"),
        (lambda: random_effects([0.1, np.nan], [0.1, 0.1]), "must be finite"),
        (lambda: random_effects([0.1, 0.2], [0.1, np.inf]), "must be finite"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
