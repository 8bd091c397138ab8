import numpy as np
import pytest

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.planning import confidence_sequence


def test_it_narrows_and_never_widens():
    rng = np.random.default_rng(0)
    lower, upper = confidence_sequence(rng.choice([0, 0, 0.2, 1], 200))
    assert (np.diff(lower) >= 0).all()
    assert (np.diff(upper) <= 0).all()
    assert lower[0] == pytest.approx(-1, abs=0.2)
    assert upper[-1] - lower[-1] < 0.25


def test_exchanging_the_tiers_mirrors_it():
    x = np.random.default_rng(1).choice([0, 0, 0.2, 1, -0.4], 60)
    lower, upper = confidence_sequence(x)
    mirrored = confidence_sequence(-x)
    np.testing.assert_allclose(mirrored[0], -upper, atol=2e-3)
    np.testing.assert_allclose(mirrored[1], -lower, atol=2e-3)


@pytest.mark.parametrize("population", ["skewed null", "spikes", "regular"])
def test_it_holds_the_gap_at_every_look(population):
    """A look after each of 150 prompts, 150 studies: at most 5 % may ever miss (here by 3 se)."""
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(150):
        if population == "skewed null":
            free, paid = (
                np.where(rng.random(150) < 0.05, 0.8, 0),
                np.where(rng.random(150) < 0.2, 0.2, 0),
            )
        elif population == "spikes":
            free, paid = np.where(rng.random(150) < 0.15, 0.8, 0), np.zeros(150)
        else:
            free, paid = rng.beta(0.33, 2, 150), np.zeros(150)
        truth = {"skewed null": 0, "spikes": 0.12, "regular": 0.33 / 2.33}[population]
        x = (rng.binomial(5, free) - rng.binomial(5, paid)) / 5
        lower, upper = confidence_sequence(x)
        missed += bool(((lower > truth) | (upper < truth)).any())
    assert missed / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_a_set_that_rules_everything_out_keeps_its_last_ends():
    """First only 1, then only -1: no mean fits, and yet the lower end stays below the upper one."""
    lower, upper = confidence_sequence(np.r_[np.ones(300), -np.ones(3000)])
    assert (lower < upper).all()
    assert (np.diff(lower) >= 0).all()
    assert (np.diff(upper) <= 0).all()
    assert lower[-1] > 0.5


def test_a_gap_is_found_with_about_fifty_prompts():
    rng = np.random.default_rng(3)
    first = []
    for _ in range(40):
        x = rng.binomial(5, np.where(rng.random(200) < 0.15, 0.8, 0)) / 5
        lower, _ = confidence_sequence(x)
        first.append(np.argmax(lower > 0) if (lower > 0).any() else 200)
    assert 35 < np.median(first) < 70


def test_peeking_at_fixed_intervals_errs_where_the_sequence_does_not():
    """Ten looks at a study without a gap: P(ever p <= .05) is far above 5 %."""
    rng = np.random.default_rng(4)
    peeked, sequence = 0, 0
    for _ in range(100):
        chance = rng.beta(0.3, 2, 150)
        x = (rng.binomial(5, chance) - rng.binomial(5, chance)) / 5
        looks = [BoundedMean.of(x[:size], -1, 1).p_value() <= 0.05 for size in range(15, 151, 15)]
        peeked += any(looks)
        lower, upper = confidence_sequence(x)
        sequence += bool(((lower > 0) | (upper < 0)).any())
    assert sequence <= 5 < peeked
