import numpy as np
import pytest

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.hypothesis_tests import fewest_prompts
from afanalysis.stats.planning import Design, _chances


def test_without_clustering_the_spread_is_the_textbook_formula():
    """Two independent proportions: se² = p(1-p)/n + q(1-q)/n."""
    design = Design(paid=0.03, gap=0.11, icc=0.0, correlation=0.0)
    for prompts, samples in ((200, 1), (40, 5)):
        means = design.studies(prompts, samples, 4000).mean
        assert means.std() == pytest.approx(np.sqrt((0.14 * 0.86 + 0.03 * 0.97) / 200), rel=0.03)
        assert means.mean() == pytest.approx(0.11, abs=0.002)


def test_answers_to_one_prompt_resemble_each_other_as_assumed():
    """Var(mean of k answers) is p (1 - p) (1 + (k - 1) icc) / k, and the tiers share what they share."""
    design = Design(paid=0.2, gap=0.1, icc=0.3, correlation=0.0)
    x = design.studies(1, 5, 40_000).mean
    expected = (0.3 * 0.7 + 0.2 * 0.8) * (1 + 4 * 0.3) / 5
    assert x.var() == pytest.approx(expected, rel=0.03)
    shared = Design(paid=0.2, gap=0.1, icc=0.3, correlation=1.0).studies(1, 5, 40_000).mean
    assert shared.var() < 0.6 * expected


def test_more_samples_help_less_than_more_prompts():
    design = Design(paid=0.03, gap=0.11, icc=0.3)
    assert design.width(200, 1) < design.width(100, 2) < design.width(100, 1)


def test_the_fewest_prompts_are_enough_and_one_in_ten_fewer_are_not():
    design = Design(paid=0.03, gap=0.11)
    for samples in (1, 5):
        prompts = design.prompts_for_power(samples, 0.8)
        assert design.power(prompts, samples) >= 0.8 > design.power(int(0.9 * prompts), samples)
        prompts = design.prompts_for_width(samples, 0.15)
        assert design.width(prompts, samples) <= 0.15 < design.width(int(0.95 * prompts), samples)


@pytest.mark.parametrize("samples", [1, 5])
def test_the_planned_power_is_that_of_the_p_value_that_is_reported(samples):
    """With seeds of their own and beta propensities drawn apart; planned at .80 it was .64 to .78."""
    design = Design(paid=0.03, gap=0.11, icc=0.3, correlation=0.0)
    prompts = design.prompts_for_power(samples, 0.8)
    rng = np.random.default_rng(9)
    free, paid = (
        rng.binomial(samples, rng.beta(rate * 0.7 / 0.3, (1 - rate) * 0.7 / 0.3, (2000, prompts)))
        for rate in (0.14, 0.03)
    )
    p_values = BoundedMean.of((free - paid) / samples, -1, 1).p_value()
    assert np.mean(p_values <= 0.05) == pytest.approx(0.8, abs=0.04)


def test_a_study_that_shows_no_gap_needs_the_prompts_that_any_test_does():
    nothing = Design(paid=0.0, gap=0.0)
    prompts = nothing.prompts_for_power(5, 0.8, aim="below", than=0.05)
    assert prompts >= fewest_prompts(0.05)
    assert nothing.power(prompts, 5, aim="below", than=0.05) == 1
    assert nothing.power(fewest_prompts(0.05) - 1, 5, aim="below", than=0.05) == 0


def test_a_gap_above_a_threshold_needs_more_prompts_than_any_gap():
    design = Design(paid=0.03, gap=0.11)
    above = design.prompts_for_power(5, aim="above", than=0.05)
    assert above > design.prompts_for_power(5)
    assert design.power(above, 5, aim="above", than=0.05) >= 0.8


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Design(0.9, 0.2), "both rates must lie in 0-1"),
        (lambda: Design(0.1, 0.1, icc=2), r"icc must lie in \[0, 1\)"),
        (lambda: Design(0.1, 0.1).prompts_for_power(1, 80), "power is 80"),
        (lambda: Design(0.1, 0.0).prompts_for_power(1), "assumed gap is 0"),
        (lambda: Design(0.1, 0.1).prompts_for_power(1, aim="above", than=0.2), "above 0.2"),
        (lambda: Design(0.1, 0.1).prompts_for_power(1, aim="below", than=0.1), "within 0.1"),
        (lambda: Design(0.1, 0.1).prompts_for_width(1, 0), "width is 0"),
        (lambda: Design(0.1, 0.1).power(10, 1, aim="most"), "aim is 'most'; use one of: gap"),
        (lambda: Design(0.1, 0.1).power(0, 1), "prompts is 0"),
        (lambda: Design(0.1, 0.1).width(10, 0), "samples 0"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_prompts_that_are_hardly_ever_or_hardly_not_complied_with_can_be_planned_for():
    chances = _chances(Design(paid=0.1, gap=0.05, icc=0.95), 2)
    assert chances.sum() == pytest.approx(1)
