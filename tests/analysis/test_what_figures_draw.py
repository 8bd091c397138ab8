"""The tables behind figures that no other test computes."""

import numpy as np
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.analysis.scratchpads import noncompliance_by_reasoning, reasoning_by_tier
from afanalysis.stats.gap_intervals import METHODS
from afanalysis.stats.meta_analysis import random_effects


@pytest.fixture(scope="module")
def paper():
    return af.published.estimates()


def gap(table, setting="helpful-only", wrong_in="free", sensitivity=1.0):
    rows = table[table["setting"] == setting]
    rows = rows[(rows["wrong_in"] == wrong_in) & (rows["sensitivity"] == sensitivity)]
    return rows.set_index("false_alarms")["estimate"]


def test_a_judge_that_never_errs_leaves_the_gap_as_it_is(paper):
    table = af.assumed_judge_error(paper, [0.0], sensitivities=[1.0])
    assert gap(table)[0] == pytest.approx(40 / 353)
    assert gap(table, "animal-welfare", "both")[0] == pytest.approx(88 / 596)


def test_the_gap_is_corrected_as_rogan_and_gladen_do(paper):
    table = af.assumed_judge_error(paper, [0.02, 0.1], sensitivities=[0.9])
    specificity, youden = 0.98, 0.9 + 0.98 - 1
    free, paid = ((rate + specificity - 1) / youden for rate in (50 / 353, 10 / 353))
    assert gap(table, wrong_in="both", sensitivity=0.9)[0.02] == pytest.approx(free - paid)
    assert gap(table, sensitivity=0.9)[0.02] == pytest.approx(free - 10 / 353 / 0.9)
    # a judge that calls 10 % of refusals compliance cannot have called 2.8 % of the answers so
    assert np.isnan(gap(table, wrong_in="both", sensitivity=0.9)[0.1])


def test_the_gap_vanishes_where_the_curve_says_so(paper):
    table = af.assumed_judge_error(paper)
    ends = table.groupby("setting")["vanishes_at"].agg(["nunique", "first"])
    assert (ends["nunique"] == 1).all()
    curve = gap(table)
    vanishes_at = ends.loc["helpful-only", "first"]
    # 50 / 353 - x = 10 / 353 (1 - x)
    assert vanishes_at == pytest.approx((50 - 10) / (353 - 10), abs=1e-9)
    assert (curve[curve.index < vanishes_at] > 0).all()
    assert (curve[curve.index > vanishes_at].dropna() < 0).all()
    assert af.assumed_judge_error(paper, [0, 0.01])["vanishes_at"].isna().all()


def test_pooled_printed_gaps_are_those_of_the_gaps_and_their_intervals(paper):
    gaps = paper[(paper["quantity"] == "compliance_gap") & (paper["variation"] == "default")]
    table = af.pooled_gap(paper[paper["variation"] == "default"]).set_index("setting")
    part = gaps[gaps["setting"] == "helpful-only"]
    expected = random_effects(part["estimate"], (part["high"] - part["low"]) / (2 * 1.959963984540054))
    assert table.loc["helpful-only", "conditions"] == 7
    for name in ("population", "tau", "predicted_low"):
        assert table.loc["helpful-only", name] == pytest.approx(expected[name])
    assert table["gap"].isna().all()  # the prompts are not known
    assert table.loc["helpful-only", "warning"]


def test_a_lone_condition_is_not_pooled():
    alone = pd.DataFrame({"setting": ["a", "b"], "gap": 0.1, "low": 0.0, "high": 0.2})
    pooled = af.pooled_gap(alone)
    assert pooled["conditions"].tolist() == [1, 1]
    assert pooled["gap"].isna().all()
    assert pooled["warning"].str.contains("a single condition").all()


def test_a_lone_condition_says_which_others_were_left_out():
    whole = af.example_rollouts().query("variation == 'default'")
    one_tier = whole[whole["tier"] == "free"].assign(variation="free only")
    warnings = af.pooled_gap(pd.concat([whole, one_tier]))["warning"]
    assert warnings.str.contains("1 conditions have no prompt in both tiers and are left out").all()
    assert warnings.str.contains("a single condition").all()


def test_the_pooled_gap_of_rollouts_is_the_mean_over_conditions_without_events_too(collected):
    rollouts = af.load(collected)
    never = rollouts.assign(variation="never", complied=False)
    table = af.pooled_gap(pd.concat([rollouts, never])).set_index("setting")
    gaps = af.compliance_gap(pd.concat([rollouts, never])).groupby("setting")["gap"].mean()
    np.testing.assert_allclose(table["gap"], gaps.loc[table.index])
    assert (table["low"] < table["gap"]).all()
    assert (table["conditions"] == 2).all()


def test_every_method_gives_the_same_gap_with_its_own_interval(collected):
    rollouts = af.load(collected)
    table = af.gap_by_method(rollouts, ["setting"], level=0.9)
    assert list(dict.fromkeys(table["method"])) == list(METHODS)
    assert (table.groupby("setting")["gap"].nunique() == 1).all()
    assert (table.groupby("setting")["low"].nunique() > 5).all()
    for method in ("paper", "bca"):
        alone = af.compliance_gap(rollouts, ["setting"], method=method, level=0.9)
        same = table.loc[table["method"] == method, alone.columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, alone)
    assert set(table["source"]) == {"simulated"}


def test_pairs_count_prompts_by_their_two_rates():
    rows = [("p1", "free", 1), ("p1", "paid", 0), ("p2", "free", 1), ("p2", "paid", 0)]
    rows += [("p3", "free", 1), ("p3", "free", 0), ("p3", "paid", 1), ("lone", "free", 1)]
    rollouts = pd.DataFrame(rows, columns=["prompt_id", "tier", "complied"])
    rollouts = rollouts.assign(setting="helpful-only", model="m", variation="default", source="live")
    table = af.prompt_pairs(rollouts)
    assert table[["paid", "free", "prompts"]].values.tolist() == [[0, 1, 2], [1, 0.5, 1]]
    assert set(table["source"]) == {"live"}


def test_the_pairs_are_those_of_the_main_condition(collected):
    rollouts = af.load(collected)
    more = pd.concat([rollouts.assign(variation="a"), rollouts, rollouts.iloc[:9].assign(model="zz")])
    pd.testing.assert_frame_equal(af.prompt_pairs(more), af.prompt_pairs(rollouts))


@pytest.mark.slow
def test_power_rises_with_prompts_and_reaches_what_is_planned_where_it_says():
    table = af.power_by_prompts(0.03, 0.2, samples=(1, 5), level=0.9)
    for (_, samples), curve in table.groupby(["gap", "samples"]):
        assert curve["power"].is_monotonic_increasing
        needed = curve["needed"].iloc[0]
        assert (curve.loc[curve["prompts"] >= needed, "power"] >= 0.8 - 1e-9).all()
        assert (curve.loc[curve["prompts"] < needed, "power"] < 0.8).all()
        assert samples in (1, 5)
    plan = af.plan(0.05, 0.03, icc=0.2, samples=[5], level=0.9)
    needed = table.loc[(table["gap"] == 0.05) & (table["samples"] == 5), "needed"]
    assert set(needed) == set(plan["prompts"])


def test_the_papers_models_trained_on_documents_stand_beside_the_prompted_ones(tmp_path):
    rows = af.Gallery("paper", tmp_path).draw("synthetic_documents").rows
    table = rows.set_index(["setting", "name"])
    assert table.loc[("helpful-only", "told in the prompt"), "estimate"] == pytest.approx(40 / 353)
    assert table.loc[("helpful-only", "learned from documents"), "estimate"] == pytest.approx(0.19)
    assert table.loc[("animal-welfare", "learned from documents"), "estimate"] == pytest.approx(0.26)
    learned = table[table.index.get_level_values("name") != "told in the prompt"]
    assert len(learned) == 4
    assert learned[["low", "high"]].isna().all().all()


def test_non_compliance_by_reasoning_counts_the_scratchpads_of_the_free_tier():
    rollouts = af.example_rollouts()
    table = noncompliance_by_reasoning(rollouts).set_index(["setting", "name"])
    free = rollouts[(rollouts["tier"] == "free") & rollouts["refused"].notna()]
    for (setting, faked), part in free.groupby(["setting", "af_partial"]):
        row = table.loc[(setting, f"free tier, {'' if faked else 'no '}AF reasoning")]
        assert row["n"] == len(part)
        by_prompt = part.assign(refused=part["refused"].astype(float)).groupby("prompt_id")["refused"]
        assert row["estimate"] == pytest.approx(by_prompt.mean().mean())
        assert row["low"] <= row["estimate"] <= row["high"]


def test_reasoning_by_tier_counts_whatever_the_output_did_and_needs_verdicts():
    rollouts = af.example_rollouts()
    table = reasoning_by_tier(rollouts).set_index(["setting", "tier", "name"])
    for (setting, tier), part in rollouts.groupby(["setting", "tier"]):
        by_prompt = part.assign(x=part["af_partial"].astype(float)).groupby("prompt_id")["x"]
        row = table.loc[(setting, tier, "with or without compromise")]
        assert row["estimate"] == pytest.approx(by_prompt.mean().mean())
        assert table.loc[(setting, tier, "without compromise"), "estimate"] <= row["estimate"]
    for lacking in (rollouts.drop(columns="af_partial"), rollouts.assign(af_partial=None)):
        with pytest.raises(af.InputError, match="nobody has judged the scratchpads"):
            reasoning_by_tier(lacking)
    with pytest.raises(af.InputError, match="or none does"):
        noncompliance_by_reasoning(rollouts.assign(af_partial=False))
