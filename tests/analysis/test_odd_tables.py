"""Tables as people have them: missing names, prompts and verdicts, rows that repeat."""

import re

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


CALLS = {
    "rates": af.rates,
    "compliance_gap": af.compliance_gap,
    "gap_by_method": af.gap_by_method,
    "gap_tests": af.gap_tests,
    "contrast of models": lambda table, **by: af.contrast(table, "model", **by),
    "contrast of tiers": lambda table, **by: af.contrast(table, "tier", **by),
    "pooled_gap": af.pooled_gap,
    "regression": lambda table: af.regression(table, "tier * model"),
    "monitor": af.monitor,
    "monitor by rounds": lambda table, **by: af.monitor(table, rounds=3, **by),
    "judge_error": af.judge_error,
    "corrected": af.corrected,
    "summary": af.summary,
    "compare": af.compare,
}


def a_table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            (model, "helpful-only", "default", tier, f"p{prompt}", sample)
            for model in ("m1", "m2", "m3")
            for prompt in range(16)
            for tier in ("free", "paid")
            for sample in range(3)
        ],
        columns=["model", "setting", "variation", "tier", "prompt_id", "sample"],
    )
    table["complied"] = (rng.random(len(table)) < 0.3) & (table["tier"] == "free")
    labels = table["complied"].where(rng.random(len(table)) < 0.5).astype(float)
    return table.assign(
        rollout=[f"r{row}" for row in table.index],
        af_reasoning=0.0,
        valid=True,
        label_complied=labels,
        label_weight=1.0,
        collected_at=pd.Timestamp("2026-01-01") + pd.to_timedelta(table.index, unit="s"),
        source="imported",
    )


ODD = {
    "no prompt id": lambda t: t.assign(prompt_id=None),
    "no verdict": lambda t: t.assign(complied=np.nan),
    "no verdict, as objects": lambda t: t.assign(complied=None),
    "one tier": lambda t: t[t["tier"] == "free"],
    "other tiers": lambda t: t.assign(tier=t["tier"].str.title()),
    "one prompt": lambda t: t[t["prompt_id"] == "p1"],
    "one answer": lambda t: t.iloc[:1],
    "no rows": lambda t: t.iloc[:0],
    "nobody complied": lambda t: t.assign(complied=False),
    "everybody complied": lambda t: t.assign(complied=True),
    "beyond 1": lambda t: t.assign(complied=1.5),
    "text": lambda t: t.assign(complied="yes"),
    "numbered models, one missing": lambda t: t.assign(model=t["model"].map({"m1": 1.0, "m2": 2.0})),
    "no column model": lambda t: t.drop(columns="model"),
    "no column tier": lambda t: t.drop(columns="tier"),
    "one model without verdicts": lambda t: t.assign(
        complied=t["complied"].astype(object).where(t["model"] != "m2", None)
    ),
    "one model in one tier": lambda t: t[(t["model"] != "m2") | (t["tier"] == "free")],
    "no prompt in both tiers": lambda t: t.assign(prompt_id=t["prompt_id"] + t["tier"]),
    "no times": lambda t: t.assign(collected_at=pd.NaT),
}


def answer(call, *arguments, **options):
    """What a call returns, or the sentence of its error."""
    try:
        return call(*arguments, **options), ""
    except InputError as error:
        return None, str(error)


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("call", CALLS)
def test_an_odd_table_gives_numbers_or_one_sentence(call, odd):
    """Whatever is odd about a table, nothing but a sentence about it comes, or a table."""
    result, sentence = answer(CALLS[call], ODD[odd](a_table()))
    assert len(sentence) < 400
    assert not re.search(r"axis|dtype|Parser|shape|sequence|index|<class|\{'", sentence)
    assert sentence or len(result)


@pytest.mark.parametrize("by", [["tier"], ["prompt_id"], ["nope"], ["level"], 'a"b', []])
@pytest.mark.parametrize(
    "call", [name for name in CALLS if name not in ("regression", "summary", "compare")]
)
def test_conditions_of_any_name_give_numbers_or_one_sentence(call, by):
    table = a_table().assign(level="low")
    table['a"b'] = table["model"]
    result, sentence = answer(CALLS[call], table, by=by)
    if sentence:
        assert re.search("by holds|have no column|nothing to compare", sentence)
    else:
        assert len(result) or call == "pooled_gap"


def test_every_function_reports_what_it_leaves_out():
    table = a_table()
    table.loc[table.index[::7], "prompt_id"] = None
    table.loc[table.index[5::9], "tier"] = "pro"
    table = pd.concat([table, table.iloc[1:5]])
    for name, call in CALLS.items():
        if name in ("summary", "compare", "contrast of tiers", "rates", "monitor by rounds"):
            continue
        result = call(table)
        words = " ".join(result["note" if name == "regression" else "warning"])
        assert "without a prompt_id are left out" in words, name
        assert "of tier 'pro' are left out" in words or name == "regression", name


def test_one_condition_that_cannot_be_judged_stops_none():
    table = ODD["one model without verdicts"](a_table())
    claims = af.gap_tests(table).set_index("model")
    assert claims["p_above"].notna().tolist() == [True, False, True]
    assert "no known" in claims.loc["m2", "warning"] or "no prompt" in claims.loc["m2", "warning"]
    assert "m2" in " ".join(af.contrast(table, "model", reference="m1")["warning"])
    assert "left out" in af.pooled_gap(table)["warning"].iloc[0]
    gaps = af.compliance_gap(table)
    assert len(af.pooled_gap(gaps)) == 1
    one_tier = ODD["one model in one tier"](a_table())
    assert af.corrected(one_tier)["corrected"].notna().sum() == 6
    lone = af.compliance_gap(one_tier).set_index("model").loc["m2"]
    assert "hangs on" not in lone["warning"]


def test_the_comparison_with_the_paper_has_one_p_value_at_every_level():
    study = a_table()
    study["complied"] |= (study["tier"] == "free") & (study["sample"] > 0)
    usual, strict = (af.compare(study, "m1", level=level) for level in (0.95, 0.99))
    np.testing.assert_allclose(usual["p_value"], strict["p_value"])
    for table, level in ((usual, 0.95), (strict, 0.99)):
        excluded = (table["low"] > 0) | (table["high"] < 0)
        assert (excluded == (table["p_value"] <= 1 - level)).all()
