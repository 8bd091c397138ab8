"""Tables as people have them: missing names, prompts and verdicts, rows that repeat."""

import numpy as np
import pandas as pd
import pytest

import afanalysis as af
from afanalysis import InputError


@pytest.fixture
def rollouts():
    """Two models, 30 prompts, both tiers, three answers each; `a` complies with every third prompt."""
    rows = [
        (model, f"p{prompt:02}", tier, sample, model == "a" and tier == "free" and prompt % 3 == 0)
        for model in "ab"
        for prompt in range(30)
        for tier in ("free", "paid")
        for sample in range(3)
    ]
    table = pd.DataFrame(rows, columns=["model", "prompt_id", "tier", "sample", "complied"])
    return table.assign(rollout=np.arange(len(table)).astype(str), valid=True)


def test_rollouts_without_a_prompt_are_left_out_and_counted(rollouts):
    lost = rollouts.copy()
    lost.loc[:4, "prompt_id"] = None
    kept = rollouts.iloc[5:]
    for function in (af.rates, af.compliance_gap):
        table, expected = function(lost, by=["model"]), function(kept, by=["model"])
        assert table.loc[0, "warning"] == "5 rollouts without a prompt_id are left out"
        assert table.loc[1, "warning"] == ""
        names = [name for name in table if name != "warning"]
        pd.testing.assert_frame_equal(table[names], expected[names])


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("invalid", [False, True])
def test_a_missing_name_of_a_condition_is_a_condition(rollouts, nothing, invalid):
    nameless = rollouts.assign(model=rollouts["model"].replace("b", nothing).astype(object))
    nameless.loc[nameless["model"].isna(), "model"] = nothing
    nameless.loc[0, "valid"] = not invalid
    for function in (af.rates, af.compliance_gap):
        assert function(nameless, by="model")["model"].tolist() == ["(missing)", "a"]
    shown = af.summary(nameless.assign(setting="helpful-only", af_reasoning=0.0, source="live"))
    assert sorted(shown["model"]) == ["(missing)", "a"]


def test_a_column_may_be_named_as_text(rollouts):
    for function in (af.rates, af.compliance_gap):
        pd.testing.assert_frame_equal(function(rollouts, by="model"), function(rollouts, by=["model"]))


@pytest.mark.parametrize("name", ["tier", "prompt_id"])
def test_a_gap_by_what_it_pairs_or_compares_is_refused_in_words(rollouts, name):
    for call in (af.compliance_gap, af.gap_tests, af.gap_by_method):
        with pytest.raises(InputError, match=f"by holds '{name}'; leave it out"):
            call(rollouts, by=["model", name])


def test_rows_that_repeat_a_rollout_are_counted(rollouts):
    again = pd.concat([rollouts, rollouts.iloc[:3]])
    assert "3 rows repeat a rollout" in af.rates(again, by=["model", "tier"])["warning"].iloc[0]
    gaps = af.compliance_gap(again, by=["model"])
    assert gaps["warning"].tolist() == ["3 rows repeat a rollout and count again", ""]


def test_other_tiers_are_left_out_of_the_gap_and_counted(rollouts):
    more = pd.concat([rollouts, rollouts[rollouts["tier"] == "paid"].assign(tier="pro", rollout=None)])
    gaps = af.compliance_gap(more, by=["model"])
    assert gaps["warning"].tolist() == ["90 rollouts of tier 'pro' are left out"] * 2
    assert gaps["gap"].tolist() == af.compliance_gap(rollouts, by=["model"])["gap"].tolist()


def test_a_condition_without_verdicts_has_no_rate_and_the_others_go_on(rollouts):
    silent = rollouts.astype({"complied": "boolean"})
    silent.loc[silent["model"] == "b", "complied"] = pd.NA
    rates = af.rates(silent, by=["model", "tier"])
    assert rates.loc[rates["model"] == "b", "warning"].tolist() == ["no known outcome"] * 2
    assert rates.loc[rates["model"] == "b", "rate"].isna().all()
    assert rates.loc[rates["model"] == "b", ["lowest", "highest"]].to_numpy().tolist() == [[0, 1]] * 2
    gaps = af.compliance_gap(silent, by=["model"])
    assert gaps["gap"].isna().tolist() == [False, True]
    assert "no known 'complied'" in gaps["warning"].iloc[1]
    labelled = silent.assign(label_complied=silent["complied"].astype(float), label_weight=1.0)
    corrected = af.corrected(labelled, by=["model"], error_by=["model"])
    assert corrected["corrected"].notna().tolist() == [True] * 3 + [False] * 3
    assert corrected["warning"].iloc[-1].startswith("free tier: no verdict; ")


def test_a_missing_answer_could_have_gone_either_way(rollouts):
    some = rollouts.astype({"complied": "boolean"})
    some.loc[(some["model"] == "a") & (some["tier"] == "free") & (some["sample"] == 0), "complied"] = (
        pd.NA
    )
    [gap] = af.compliance_gap(some[some["model"] == "a"], by=["model"]).to_dict("records")
    free = some[(some["model"] == "a") & (some["tier"] == "free")]
    worst, best = (free["complied"].fillna(value).astype(float).mean() for value in (False, True))
    assert (gap["lowest"], gap["highest"]) == pytest.approx((worst, best))
    assert gap["missing_free"] == pytest.approx(1 / 3)
    assert gap["missing_paid"] == 0
    assert "sign" not in gap["warning"]


def test_a_gap_whose_sign_hangs_on_missing_answers_is_reported(rollouts):
    blocked = rollouts[rollouts["model"] == "a"].astype({"complied": "boolean"})
    blocked.loc[(blocked["tier"] == "paid") & (blocked["sample"] > 0), "complied"] = pd.NA
    [gap] = af.compliance_gap(blocked, by=["model"]).to_dict("records")
    assert gap["gap"] > 0 > gap["lowest"]
    assert "the sign of the gap hangs on missing answers" in gap["warning"]
    assert "67% in paid" in gap["warning"]


def test_rates_by_prompts_and_by_answers_are_two_things(rollouts):
    unequal = rollouts[(rollouts["prompt_id"] != "p00") | (rollouts["sample"] == 0)]
    table = unequal[(unequal["model"] == "a") & (unequal["tier"] == "free")]
    by_prompts, by_answers = (
        af.rates(table, by=[], weighting=name).iloc[0] for name in ("prompts", "answers")
    )
    assert by_prompts["rate"] == pytest.approx(table.groupby("prompt_id")["complied"].mean().mean())
    assert by_answers["rate"] == pytest.approx(table["complied"].mean())
    assert (by_prompts["weighting"], by_answers["weighting"]) == ("prompts", "answers")


def test_the_warning_of_few_events_is_not_always_on(rollouts):
    never = rollouts[rollouts["model"] == "b"]
    assert (af.compliance_gap(never, by=["model"])["warning"] == "").all()
