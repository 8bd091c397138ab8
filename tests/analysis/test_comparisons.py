"""Contrasts, claims, and looks at a running study."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import afanalysis as af
from afanalysis import InputError
from afanalysis.stats.bounded_means import BoundedMean
from afanalysis.stats.planning import late_spending


def study(rng, models, prompts=40, samples=5, common=0.0):
    """Models on shared prompts; `models` gives each one's compliance in the free tier; paid is 0."""
    rows = []
    hard = rng.random(prompts) < 0.4
    for model, rate in models.items():
        for prompt in range(prompts):
            for sample in range(samples):
                complied = bool(hard[prompt] and rng.random() < rate)
                rows.append((model, f"p{prompt}", "free", sample, complied))
                rows.append((model, f"p{prompt}", "paid", sample, False))
    return pd.DataFrame(rows, columns=["model", "prompt_id", "tier", "sample", "complied"])


@pytest.fixture(scope="module")
def rollouts():
    return study(np.random.default_rng(1), {"a": 0.5, "b": 0.5, "c": 0.95})


def test_a_contrast_is_the_difference_of_the_two_gaps_and_narrower_than_unpaired(rollouts):
    table = af.contrast(rollouts, "model", reference="a").set_index("model")
    gaps = af.compliance_gap(rollouts, by=["model"]).set_index("model")
    assert table.loc["c", "difference"] == pytest.approx(gaps.loc["c", "gap"] - gaps.loc["a", "gap"])
    assert table.loc["c", "p_value"] < 0.01 < 0.2 < table.loc["b", "p_value"]
    assert (table["low"] <= table["difference"]).all()
    assert (table["n_shared"] == 40).all()
    unpaired = np.hypot(gaps["se"]["c"], gaps["se"]["a"])
    assert table.loc["c", "se"] < 0.9 * unpaired
    apart = rollouts.assign(prompt_id=rollouts["model"] + rollouts["prompt_id"])
    none = af.contrast(apart, "model", reference="a").set_index("model")
    assert (none["n_shared"] == 0).all()
    assert none["p_sign_flip"].isna().all()
    assert none.loc["c", "se"] == pytest.approx(unpaired)


def test_contrasts_of_rates_and_tiers(rollouts):
    tiers = af.contrast(rollouts, "tier", by=["model"]).set_index("model")
    gaps = af.compliance_gap(rollouts, by=["model"]).set_index("model")
    np.testing.assert_allclose(tiers["difference"], gaps["gap"])
    np.testing.assert_allclose(tiers["p_sign_flip"], gaps["p_sign_flip"])
    free = af.contrast(rollouts, "model", of="rate", reference="a")
    assert set(free["tier"]) == {"free", "paid"}
    assert (free.loc[free["tier"] == "paid", "difference"] == 0).all()


def test_holm_goes_over_the_family(rollouts):
    table = af.contrast(rollouts, "model", reference="a")
    smaller = table["p_value"].idxmin()
    assert table.loc[smaller, "p_holm"] == pytest.approx(2 * table.loc[smaller, "p_value"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"between": "model", "reference": "z"}, "reference is 'z'; column 'model' has 'a', 'b', 'c'"),
        ({"between": "judge"}, "no column 'judge'"),
        ({"between": "prompt_id"}, "prompt_id"),
    ],
)
def test_what_cannot_be_compared_says_why(rollouts, options, sentence):
    with pytest.raises(InputError, match=sentence):
        af.contrast(rollouts, **options)


def test_claims_hold_where_the_data_show_them(rollouts):
    table = af.gap_tests(rollouts, above=0.05, within=0.1).set_index("model")
    assert table["is_above"].all()
    assert not table["is_within"].any()
    never = rollouts.assign(complied=False)
    few = never[never["prompt_id"].str[1:].astype(int) < 28]
    enough = never[never["prompt_id"].str[1:].astype(int) < 29]
    assert not af.gap_tests(few, within=0.1, by=[])["is_within"].any()
    assert (af.gap_tests(few, within=0.1, by=[])["prompts_needed"] == 29).all()
    assert af.gap_tests(enough, within=0.1, by=[])["p_within"].iloc[0] <= 0.05


def in_order(table, by_sample):
    """The rollouts with the time at which each would have come."""
    keys = ["sample", "prompt_id"] if by_sample else ["prompt_id", "sample"]
    ordered = table.sort_values([*keys, "tier"], kind="stable").reset_index(drop=True)
    times = pd.Timestamp("2026-11-25", tz="UTC") + pd.to_timedelta(ordered.index, unit="s")
    return ordered.assign(collected_at=times.astype(str))


def test_monitor_follows_the_order_of_prompts(rollouts):
    one = in_order(rollouts[rollouts["model"] == "c"], by_sample=False)
    table = af.monitor(one)
    assert table["prompts"].tolist() == list(range(1, 41))
    gap = af.compliance_gap(one, by=[])["gap"].iloc[0]
    assert table["gap"].iloc[-1] == pytest.approx(gap)
    assert (table["low"].diff().dropna() >= 0).all()
    assert table["decided"].iloc[-1]
    assert (table["warning"] == "").all()
    shuffled = one.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(af.monitor(shuffled), table)


def test_a_study_that_asks_in_rounds_is_looked_at_after_whole_rounds(rollouts):
    one = rollouts[rollouts["model"] == "c"]
    one = one[~((one["sample"] == 4) & (one["prompt_id"] == "p3"))]  # the last round is under way
    table = af.monitor(one, rounds=5)
    assert table["round"].tolist() == [1, 2, 3, 4]
    assert (table["prompts"] == 40).all()
    for look in table.to_dict("records"):
        so_far = af.compliance_gap(one[one["sample"] < look["round"]]).iloc[0]
        assert look["gap"] == pytest.approx(so_far["gap"])
        assert look["low"] < so_far["low"] < so_far["high"] < look["high"]
    with pytest.raises(af.InputError, match="tier"):
        af.monitor(one[one["tier"] == "free"], rounds=5)


def test_looks_after_rounds_rarely_find_a_gap_where_there_is_none():
    """A skewed null, ten looks: at most 5 % of 300 studies may ever leave 0 out (by 3 se)."""
    rng = np.random.default_rng(3)
    levels = late_spending(10)
    assert (1 - levels).sum() == pytest.approx(0.05)
    prompts = rng.random((300, 50))
    free, paid = np.where(prompts < 0.05, 0.8, 0), np.where(prompts > 0.8, 0.2, 0)
    free, paid = (rng.random((10, 300, 50)) < propensity for propensity in (free, paid))
    so_far = (free.cumsum(0) - paid.cumsum(0)) / np.arange(1, 11)[:, None, None]
    missed = np.zeros(300, dtype=bool)
    for differences, level in zip(so_far, levels, strict=True):
        low, high = BoundedMean.of(differences, -1, 1).interval(level)
        missed |= (low > 0) | (high < 0)
    assert missed.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_monitor_warns_of_studies_that_ask_sample_by_sample(rollouts):
    table = af.monitor(in_order(rollouts[rollouts["model"] == "c"], by_sample=True))
    assert table["warning"].str.contains("sample by sample").all()


def test_agreement_knows_prompts():
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(40), 5)
    differs = np.repeat(rng.random(40) < 0.2, 5)
    first = np.repeat(rng.random(40) < 0.5, 5)
    alone = af.agreement(first, first ^ differs)
    clustered = af.agreement(first, first ^ differs, prompts)
    np.testing.assert_allclose(alone["value"], clustered["value"])
    width = (clustered["high"] - clustered["low"]) / (alone["high"] - alone["low"])
    assert (width > 1.5).all()
    assert (clustered["n_prompts"] == 40).all()


def test_plan_knows_three_aims():
    above = af.plan(0.1, samples=[2], aim="above", than=0.01)["prompts"].iloc[0]
    gap = af.plan(0.1, samples=[2])["prompts"].iloc[0]
    below = af.plan(0.0, 0.0, samples=[1], aim="below", than=0.1)["prompts"].iloc[0]
    assert gap < above
    assert below >= 29


@pytest.mark.slow
def test_the_gaps_p_value_keeps_its_error_on_a_skewed_null():
    """Prompts of the kind `stats.norm` knows nothing of: mean 0, one long tail; no prompt is alike."""
    rng, rejected = np.random.default_rng(5), 0
    for _ in range(400):
        tail = rng.random(50) < 0.1
        free = np.where(tail, 0.9, 0.05)
        paid = np.where(tail, 0.0, 0.15)
        rows = [
            (f"p{prompt}", tier, rng.random() < rate[prompt])
            for prompt in range(50)
            for tier, rate in (("free", free), ("paid", paid))
            for _ in range(5)
        ]
        table = pd.DataFrame(rows, columns=["prompt_id", "tier", "complied"])
        rejected += af.compliance_gap(table, by=[])["p_value"].iloc[0] <= 0.05
    assert stats.binomtest(rejected, 400, 0.06, alternative="greater").pvalue > 0.01


def test_an_outcome_is_not_compared_with_itself():
    with pytest.raises(InputError, match="'complied' is the outcome"):
        af.contrast(af.example_rollouts(), "complied")
