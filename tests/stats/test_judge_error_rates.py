import numpy as np
import pytest

from afanalysis.stats.judge_error_rates import (
    JudgeError,
    corrected_gap,
    prediction_powered,
    rogan_gladen,
)


def test_a_known_correction():
    """Rogan & Gladen (1978): p = (q + sp - 1) / (se + sp - 1)."""
    found = rogan_gladen(0.2, 1000, JudgeError(90, 100, 95, 100))
    assert found.rate == pytest.approx((0.2 + 0.95 - 1) / (0.9 + 0.95 - 1))
    assert found.low < found.rate < found.high


def test_a_perfect_judge_with_many_labels_changes_little():
    found = rogan_gladen(0.12, 400, JudgeError(5000, 5000, 5000, 5000))
    assert found.rate == pytest.approx(0.12)
    assert (found.low, found.high) == pytest.approx((0.09, 0.157), abs=0.01)


def test_the_estimate_stays_in_range_and_in_its_interval():
    for raw in (0.0, 0.01, 0.5, 0.99, 1.0):
        found = rogan_gladen(raw, 50, JudgeError(17, 20, 18, 20))
        assert 0 <= found.low <= found.rate <= found.high <= 1


def test_weights_count_unequally_drawn_labels():
    judged = [True, True, False, False, False, True]
    labelled = [True, True, True, False, False, False]
    plain = JudgeError.from_verdicts(judged, labelled)
    assert (plain.sensitivity, plain.specificity) == pytest.approx((2 / 3, 2 / 3))
    weighted = JudgeError.from_verdicts(judged, labelled, [1, 1, 8, 1, 1, 1])
    assert weighted.sensitivity == pytest.approx(0.2)
    assert weighted.positive == pytest.approx(10**2 / 66)


def test_a_judge_worse_in_one_tier_fakes_a_gap_that_the_correction_takes_away():
    rng = np.random.default_rng(0)
    truth, n, labels = 0.2, 4000, 2000

    def tier(sensitivity, specificity):
        y = rng.random(n) < truth
        f = np.where(y, rng.random(n) < sensitivity, rng.random(n) >= specificity)
        error = JudgeError.from_verdicts(f[:labels], y[:labels])
        return rogan_gladen(float(f.mean()), n, error)

    free, paid = tier(0.95, 0.80), tier(0.95, 0.98)
    assert free.raw - paid.raw > 0.1
    gap = corrected_gap(free, paid)
    assert gap.low <= 0 <= gap.high
    assert abs(gap.gap) < 0.05


def test_prediction_powered_is_the_formula_and_helps():
    """Angelopoulos et al. (2023), proposition 1: mean(f) + mean(y - f), weight 1."""
    rng = np.random.default_rng(1)
    y = (rng.random(3000) < 0.3).astype(float)
    f = np.where(rng.random(3000) < 0.9, y, 1 - y)
    found = prediction_powered(f[200:], f[:200], y[:200], weight=1)
    assert found.estimate == pytest.approx(f[200:].mean() + (y[:200] - f[:200]).mean())
    se = np.sqrt(f[200:].var(ddof=1) / 2800 + (y[:200] - f[:200]).var(ddof=1) / 200)
    assert found.se == pytest.approx(se)
    best = prediction_powered(f[200:], f[:200], y[:200])
    alone = prediction_powered(f[200:], f[:200], y[:200], weight=0)
    assert best.se <= min(found.se, alone.se) + 1e-9
    assert best.se < 0.8 * alone.se


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: rogan_gladen(0.2, 100, JudgeError(0, 0, 9, 10)), "no positive labels"),
        (lambda: rogan_gladen(0.2, 100, JudgeError(4, 10, 5, 10)), "no better than chance"),
        (lambda: JudgeError.from_verdicts([True], [True]), "at least 2 labels"),
        (lambda: JudgeError.from_verdicts([True] * 3, [True] * 3, [1, 0, 1]), "positive numbers"),
        (lambda: prediction_powered([1, 0], [1], [1]), "at least 2 labels"),
    ],
)
def test_bad_input_is_refused_in_words(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.02, 0.14, 0.5])
def test_the_corrected_rate_covers(truth):
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(2000):
        q = truth * 0.85 + (1 - truth) * 0.08
        raw = rng.binomial(400, q) / 400
        positive = max(rng.binomial(200, 0.5), 1)
        error = JudgeError(
            rng.binomial(positive, 0.85), positive, rng.binomial(200 - positive, 0.92), 200 - positive
        )
        found = rogan_gladen(raw, 400, error)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 2000 <= 0.995
