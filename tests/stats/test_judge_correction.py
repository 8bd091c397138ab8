import numpy as np
import pytest

from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.judge_correction import (
    Labels,
    Verified,
    corrected_by_own_labels,
    corrected_by_shared_labels,
    error_estimates,
    error_of,
)


def checked(share=0.25, yes=(18, 20), no=(3, 60), prompts=100):
    """A tier with the same share of positive verdicts in every prompt, and one label per prompt: under
    positive verdicts `yes[0]` of `yes[1]` are positive, under negative ones `no[0]` of `no[1]`."""
    verdicts = [True] * yes[1] + [False] * no[1]
    truth = [1] * yes[0] + [0] * (yes[1] - yes[0]) + [1] * no[0] + [0] * (no[1] - no[0])
    labels = Labels(np.arange(len(truth)), verdicts, truth, np.ones(len(truth)))
    return Verified.of(np.full(prompts, 4), np.full(prompts, 4 * share), labels)


def test_sensitivity_and_specificity_follow_by_bayes_rule():
    """Of 1000: 250 judged yes, 225 of them truly; 750 judged no, 37.5 of them truly positive."""
    (sensitivity, specificity), variances = error_of(checked())
    assert sensitivity == pytest.approx(225 / 262.5)
    assert specificity == pytest.approx(712.5 / 737.5)
    assert (variances > 0).all()


def test_the_errors_of_both_tiers_together_are_those_of_one_table():
    """225 + 45 of 262.5 + 45 + 47.5 true positives caught: the paid tier has 50 judged yes, 45 of them
    truly, and 950 judged no, 47.5 of them truly positive."""
    paid = checked(share=0.05)
    (sensitivity, specificity), variances = error_of(checked(), paid)
    assert sensitivity == pytest.approx((225 + 45) / (262.5 + 45 + 47.5))
    assert specificity == pytest.approx((712.5 + 902.5) / (737.5 + 5 + 902.5))
    assert (variances < np.maximum(error_of(checked())[1], error_of(paid)[1])).all()


def test_the_variance_of_sensitivity_is_that_of_resampled_labels():
    rng = np.random.default_rng(0)
    once = checked(yes=(80, 100), no=(30, 300), prompts=400)
    drawn = [
        error_of(
            checked(yes=(rng.binomial(100, 0.8), 100), no=(rng.binomial(300, 0.1), 300), prompts=400)
        )[0]
        for _ in range(2000)
    ]
    assert np.sqrt(error_of(once)[1]) == pytest.approx(np.std(drawn, axis=0), rel=0.06)


def test_correcting_the_own_condition_is_the_mix_of_the_labelled_shares():
    pair = corrected_by_own_labels(checked(), checked())
    assert pair.free.value == pytest.approx(0.25 * 0.9 + 0.75 * 0.05)
    assert pair.gap.value == pytest.approx(0)


def test_sensitivity_and_specificity_give_the_same_rate_where_the_condition_is_the_group():
    own = corrected_by_own_labels(checked(), checked())
    shared = corrected_by_shared_labels(checked(), checked(), checked(), checked())
    assert shared.free.value == pytest.approx(own.free.value)
    assert shared.gap.value == pytest.approx(own.gap.value)


def test_a_tier_without_positive_labels_leans_on_the_other_tiers_sensitivity():
    """Nothing complies in the paid tier: its sensitivity is unknown, but not its rate."""
    nothing = checked(0.08, yes=(0, 20), no=(0, 60))
    pair = corrected_by_shared_labels(checked(0.25), nothing, checked(0.25), nothing)
    assert pair.paid.value == pytest.approx(0, abs=1e-3)
    assert pair.gap.value == pytest.approx(pair.free.value, abs=1e-3)
    assert 0 < pair.gap.low < pair.gap.high < 0.5


def test_a_tier_with_labels_of_its_own_hardly_leans_on_the_other():
    good, bad = checked(0.25, no=(0, 60)), checked(0.25, yes=(20, 40), no=(0, 60))
    alone = corrected_by_shared_labels(bad, bad, bad, bad)
    beside = corrected_by_shared_labels(bad, bad, bad, good)
    assert beside.free.value == pytest.approx(alone.free.value, abs=0.03)


def test_another_condition_is_corrected_by_rogan_and_gladen():
    sensitivity, specificity = error_of(checked())[0]
    expected = (0.4 + specificity - 1) / (sensitivity + specificity - 1)
    pair = corrected_by_shared_labels(checked(0.4), checked(0.2), checked(), checked())
    assert pair.free.value == pytest.approx(expected)


def test_a_judge_taken_to_err_alike_gives_the_difference_over_youdens_index_and_a_narrower_interval():
    judges = checked(), checked(0.05)
    youden = error_of(*judges)[0].sum() - 1
    alike = corrected_by_shared_labels(checked(0.4), checked(0.2), *judges, alike=True)
    apart = corrected_by_shared_labels(checked(0.4), checked(0.2), *judges)
    assert alike.gap.value == pytest.approx(0.2 / youden)
    assert alike.gap.high - alike.gap.low < apart.gap.high - apart.gap.low


def test_a_judge_no_better_than_chance_leaves_everything_open():
    useless = checked(yes=(10, 20), no=(30, 60))
    for alike in (False, True):
        pair = corrected_by_shared_labels(checked(0.4), checked(0.2), useless, useless, alike=alike)
        assert pair.gap.low < -0.9
        assert pair.gap.high > 0.9


def test_weights_and_numbers_of_answers_undo_unequal_sampling():
    n, s = np.array([1, 3, 1, 1, 1]), np.array([1, 3, 1, 1, 0])
    plain = Labels([0, 1, 2, 3, 4], [1, 1, 1, 1, 0], [1, 0, 0, 0, 0], np.ones(5))
    weighted = Labels([0, 2, 4], [1, 1, 0], [1, 0, 0], [1, 3, 1])
    ones = np.ones(5)
    assert Verified.of(ones, np.minimum(s, 1), plain).true[1] == pytest.approx(1 / 4)
    assert Verified.of(ones, np.minimum(s, 1), weighted).true[1] == pytest.approx(1 / 4)
    # where prompts weigh alike, a label of a prompt with three answers stands for a third of it
    assert Verified.of(n, s, plain).true[1] == pytest.approx(1 / (1 + 1 / 3 + 1 + 1))


def test_a_perfect_judge_changes_nothing_but_the_width():
    perfect = checked(yes=(50, 50), no=(0, 50))
    pair = corrected_by_own_labels(perfect, perfect)
    assert pair.gap.value == 0
    assert pair.free.value == pytest.approx(0.25)
    assert -0.2 < pair.gap.low < 0 < pair.gap.high < 0.2


def test_fully_labelled_verdicts_give_the_interval_of_the_truth_and_a_little_more():
    rng = np.random.default_rng(3)
    truth = {"free": rng.random((60, 5)) < rng.beta(0.2, 1, (60, 1)), "paid": rng.random((60, 5)) < 0.02}
    tiers = {}
    for tier, answers in truth.items():
        verdict = np.where(answers, rng.random((60, 5)) < 0.8, rng.random((60, 5)) < 0.05)
        prompt = np.repeat(np.arange(60), 5)
        labels = Labels(prompt, verdict.ravel(), answers.ravel(), np.ones(300))
        tiers[tier] = Verified.of(np.full(60, 5), verdict.sum(1), labels)
    pair = corrected_by_own_labels(tiers["free"], tiers["paid"])
    known = BoundedMean.of(truth["free"].mean(1) - truth["paid"].mean(1), -1, 1)
    assert pair.gap.value == pytest.approx(float(known.mean))
    low, high = known.interval()
    assert pair.gap.low <= low + 1e-9
    assert pair.gap.high >= high - 1e-9
    assert pair.gap.high - pair.gap.low < 1.1 * (high - low)


def test_a_judge_that_is_worse_in_one_tier_fakes_a_gap_and_the_labels_undo_it():
    """True rates of 10 % in both tiers; 12 % false alarms in the free tier, 1 % in the paid one."""
    rng = np.random.default_rng(5)
    tiers = {}
    for tier, false_alarm in (("free", 0.12), ("paid", 0.01)):
        truth = rng.random((200, 5)) < 0.1
        verdict = np.where(truth, rng.random(truth.shape) < 0.95, rng.random(truth.shape) < false_alarm)
        labelled = rng.random(truth.shape) < 0.2
        prompt = np.repeat(np.arange(200)[:, None], 5, axis=1)
        labels = Labels(prompt[labelled], verdict[labelled], truth[labelled], np.ones(labelled.sum()))
        tiers[tier] = Verified.of(np.full(200, 5), verdict.sum(1), labels)
    raw = tiers["free"].positive.mean() - tiers["paid"].positive.mean()
    pair = corrected_by_own_labels(tiers["free"], tiers["paid"])
    assert raw > 0.08
    assert pair.gap.low < 0 < pair.gap.high
    assert pair.shift.low > 0


def test_where_the_judge_never_says_yes_its_misses_are_what_counts():
    labels = Labels(np.arange(40), [False] * 40, [1] + [0] * 39, np.ones(40))
    never = Verified.of(np.full(100, 4), np.zeros(100), labels)
    pair = corrected_by_own_labels(checked(), never)
    assert pair.paid.value == pytest.approx(1 / 40)
    assert 0 <= pair.paid.low < 1 / 40 < pair.paid.high < 0.2
    for alike in (False, True):
        pair = corrected_by_shared_labels(checked(), never, checked(), never, alike=alike)
        assert pair.gap.low < pair.gap.value < pair.gap.high


def test_five_prompts_of_which_one_fakes_leave_a_wide_interval():
    """With 200 labels and a judge of .85/.92: (-.02, .51) before."""
    rng = np.random.default_rng(6)
    tiers = []
    for chance in (0.9, 0.0):
        truth = rng.random((5, 20)) < np.array([chance, 0, 0, 0, 0])[:, None]
        verdict = np.where(truth, rng.random(truth.shape) < 0.85, rng.random(truth.shape) < 0.08)
        prompt = np.repeat(np.arange(5), 20)
        labels = Labels(prompt, verdict.ravel(), truth.ravel(), np.ones(100))
        tiers.append(Verified.of(np.full(5, 20), verdict.sum(1), labels))
    pair = corrected_by_own_labels(*tiers)
    assert pair.gap.low < -0.3
    assert pair.gap.high > 0.6


def test_missing_labels_are_reported_and_widen():
    n, s = np.full(10, 2), np.ones(10)
    assert "positive" in Verified.of(n, s, Labels([1], [False], [0], [1])).lacking
    assert "negative" in Verified.of(n, s, Labels([1], [True], [1], [1])).lacking
    assert checked().lacking == ""
    none = Verified.of(n, s, Labels([], [], [], []))
    assert none.labels == 0
    pair = corrected_by_own_labels(none, none)
    assert pair.gap.high - pair.gap.low > 1


def test_prompts_may_lack_a_tier():
    """A correction by labels of the prompts with both tiers; the others count in their tier's rate."""
    n_free, n_paid = np.full(100, 4.0), np.full(100, 4.0)
    n_free[90:], n_paid[:10] = 0, 0
    places = np.arange(10, 90)
    labels = Labels(places, [True] * 20 + [False] * 60, [1] * 18 + [0] * 2 + [0] * 60, np.ones(80))
    tiers = [Verified.of(n, n * share, labels) for n, share in ((n_free, 0.25), (n_paid, 0.1))]
    pair = corrected_by_own_labels(*tiers)
    assert pair.gap.value == pytest.approx(0.15 * 0.9, abs=1e-9)
    assert pair.free.value == pytest.approx(0.25 * 0.9)


def test_the_intervals_of_the_judges_errors_hold_them():
    estimates = error_estimates(checked())
    for name, value in zip(("sensitivity", "specificity"), error_of(checked())[0], strict=True):
        assert estimates[name].value == pytest.approx(value)
        assert 0 <= estimates[name].low < value < estimates[name].high <= 1
    # nothing positive was labelled: no sensitivity
    assert np.isnan(error_estimates(checked(yes=(0, 20), no=(0, 60)))["sensitivity"].value)


@pytest.mark.parametrize(("truth", "weight"), [([2], [1]), ([1], [0]), ([np.nan], [1]), ([1], [np.inf])])
def test_impossible_labels_are_refused(truth, weight):
    with pytest.raises(ValueError, match="must"):
        Verified.of([1, 1], [1, 1], Labels([1], [True], truth, weight))


def studies(seed, prompts, samples, active, repeats):
    """Studies of 200 labels, judge .85/.92, in which 15 % of prompts comply in the free tier at .8."""
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        tiers = []
        for chance in (0.8 * (rng.random(prompts) < active), np.zeros(prompts)):
            truth = rng.random((prompts, samples)) < chance[:, None]
            verdict = np.where(truth, rng.random(truth.shape) < 0.85, rng.random(truth.shape) < 0.08)
            places, verdicts, weights = [], [], []
            for answer in (True, False):
                where = np.flatnonzero(verdict.ravel() == answer)
                drawn = rng.choice(where, min(50, where.size), replace=False)
                places.append(drawn)
                verdicts.append(np.full(drawn.size, answer))
                weights.append(np.full(drawn.size, where.size / max(drawn.size, 1)))
            chosen = np.concatenate(places)
            labels = Labels(
                chosen // samples,
                np.concatenate(verdicts),
                truth.ravel()[chosen],
                np.concatenate(weights),
            )
            tiers.append(Verified.of(np.full(prompts, samples), verdict.sum(1), labels))
        yield corrected_by_own_labels(*tiers)


@pytest.mark.parametrize(("prompts", "samples"), [(10, 20), (30, 20), (100, 5)])
def test_it_covers_gaps_of_few_active_prompts(prompts, samples):
    """Mixtures in which the corrected gap covered .75 to .85."""
    pairs = list(studies(prompts, prompts, samples, 0.15, 200))
    held = [pair.gap.low <= 0.12 <= pair.gap.high for pair in pairs]
    assert np.mean(held) >= 0.93


@pytest.mark.slow
def test_the_corrected_interval_covers_where_the_raw_one_does_not():
    """The acceptance line of judging: 500 studies, an 85 %/92 % judge, 200 labels."""
    from benchmarks.judge_error import CASES, study

    case = CASES[0]
    true = case.rates[0] - case.rates[1]
    covers = {"raw": 0, "own labels": 0}
    for seed in range(500):
        intervals = study(seed, case)
        for name in covers:
            covers[name] += intervals[name][0] <= true <= intervals[name][1]
    assert covers["own labels"] >= 0.93 * 500
    assert covers["raw"] < 0.85 * 500
