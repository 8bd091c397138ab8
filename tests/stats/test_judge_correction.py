import numpy as np
import pytest

from afanalysis.stats.judge_correction import Judged, Verification, corrected_pair
from afanalysis.stats.rate_intervals import clustered


def checked(judged=0.25, yes=(18, 20), no=(3, 60)):
    """A verification with `yes[0]` of `yes[1]` positive labels under positive verdicts, and so on."""
    verdicts = [True] * yes[1] + [False] * no[1]
    labels = [1] * yes[0] + [0] * (yes[1] - yes[0]) + [1] * no[0] + [0] * (no[1] - no[0])
    return Verification.of(judged, verdicts, labels, np.ones(len(labels)), np.arange(len(labels)))


def rate(share, prompts=100):
    return clustered(np.full(prompts, 4), np.full(prompts, 4 * share))


def test_sensitivity_and_specificity_follow_by_bayes_rule():
    """Of 1000: 250 judged yes, 225 of them truly; 750 judged no, 37.5 of them truly positive."""
    sensitivity, specificity = checked().error()
    assert sensitivity == pytest.approx(225 / 262.5)
    assert specificity == pytest.approx(712.5 / 737.5)


def test_correcting_the_own_condition_is_the_mix_of_the_labelled_shares():
    assert Judged(rate(0.25), checked(), own=True).corrected() == pytest.approx(0.25 * 0.9 + 0.75 * 0.05)


def test_sensitivity_and_specificity_give_the_same_rate_where_the_condition_is_the_group():
    own = Judged(rate(0.25), checked(), own=True).corrected()
    assert Judged(rate(0.25), checked(), own=False).corrected() == pytest.approx(own)


def test_another_condition_is_corrected_by_rogan_and_gladen():
    sensitivity, specificity = checked().error()
    expected = (0.4 + specificity - 1) / (sensitivity + specificity - 1)
    assert Judged(rate(0.4), checked(), own=False).corrected() == pytest.approx(expected)


def test_weights_undo_unequal_sampling():
    plain = Verification.of(0.5, [1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1], range(5))
    weighted = Verification.of(0.5, [1, 1, 0], [1, 0, 0], [1, 3, 1], range(3))
    assert weighted.yes.mean == plain.yes.mean == 0.25
    assert weighted.yes.n_effective < 2


def test_a_perfect_judge_changes_nothing_but_the_width():
    perfect = checked(yes=(50, 50), no=(0, 50))
    pair = corrected_pair(Judged(rate(0.25), perfect, True), Judged(rate(0.25), perfect, True))
    assert pair.gap.value == 0
    assert pair.free.value == pytest.approx(0.25)
    assert -0.2 < pair.gap.low < 0 < pair.gap.high < 0.2


def test_a_judge_that_is_worse_in_one_tier_fakes_a_gap_and_the_labels_undo_it():
    """True rates of 10 % in both tiers; 12 % false alarms in the free tier, 1 % in the paid one."""
    rng = np.random.default_rng(5)
    judged, checks = {}, {}
    for tier, false_alarm in (("free", 0.12), ("paid", 0.01)):
        truth = rng.random((200, 5)) < 0.1
        verdict = np.where(truth, rng.random(truth.shape) < 0.95, rng.random(truth.shape) < false_alarm)
        labelled = rng.random(truth.shape) < 0.2
        prompt = np.repeat(np.arange(200)[:, None], 5, axis=1)
        checks[tier] = Verification.of(
            verdict.mean(), verdict[labelled], truth[labelled], np.ones(labelled.sum()), prompt[labelled]
        )
        judged[tier] = clustered(np.full(200, 5), verdict.sum(1))
    raw = judged["free"].rate - judged["paid"].rate
    pair = corrected_pair(*(Judged(judged[tier], checks[tier], True) for tier in judged))
    assert raw > 0.08
    assert pair.gap.low < 0 < pair.gap.high
    assert pair.shift.low > 0


def test_where_the_judge_never_says_yes_its_misses_are_what_counts():
    never = Verification.of(0.0, [False] * 40, [1] + [0] * 39, np.ones(40), range(40))
    pair = corrected_pair(Judged(rate(0.25), checked(), True), Judged(rate(0.0), never, False))
    assert pair.paid.value == pytest.approx(1 / 40)
    assert 0 <= pair.paid.low < 1 / 40 < pair.paid.high < 0.2


def test_missing_labels_are_said():
    assert "positive" in Verification.of(0.3, [False], [0], [1], [1]).lacking
    assert "negative" in Verification.of(0.3, [True], [1], [1], [1]).lacking
    assert checked().lacking == ""


@pytest.mark.parametrize(("labels", "weights"), [([2], [1]), ([1], [0]), ([np.nan], [1])])
def test_impossible_labels_are_refused(labels, weights):
    with pytest.raises(ValueError, match="must"):
        Verification.of(0.5, [True], labels, weights, [1])


@pytest.mark.slow
def test_the_corrected_interval_covers_where_the_raw_one_does_not():
    """The acceptance line of judging: 500 studies, an 85 %/92 % judge, 200 labels."""
    from benchmarks.judge_error import CASES, one_study

    case = CASES[0]
    true = case.rates[0] - case.rates[1]
    covers = {"raw": 0, "corrected": 0}
    for seed in range(500):
        found = one_study(seed, case)
        for name in covers:
            covers[name] += found[name][0] <= true <= found[name][1]
    assert covers["corrected"] >= 0.93 * 500
    assert covers["raw"] < 0.85 * 500
