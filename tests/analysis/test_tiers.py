"""Gaps of other tiers than free and paid."""

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.analysis.judge_errors import assumed_judge_error
from afanalysis.analysis.scratchpads import noncompliance_by_reasoning, stages
from tests.analysis.test_odd_tables import CALLS, a_table

OWN = ("basic", "pro")
NAMES = {"free": "basic", "paid": "pro"}

WITH_TIERS = {
    name: call
    for name, call in CALLS.items()
    if name not in ("rates", "contrast of tiers", "contrast of models", "compare")
} | {
    "gap_by_method": af.gap_by_method,
    "estimates": af.estimates,
    "prompt_pairs": af.prompt_pairs,
    "score_thresholds": af.score_thresholds,
    "contrast of models": lambda table, **tiers: af.contrast(table, "model", **tiers),
    "contrast of tiers": lambda table, **tiers: af.contrast(table, "tier", **tiers),
    "regression": lambda table, **tiers: af.regression(table, "tier * model", **tiers),
    "summary as text": lambda table, **tiers: af.summary(table, "markdown", **tiers),
    "noncompliance_by_reasoning": noncompliance_by_reasoning,
    "assumed_judge_error": lambda table, **tiers: assumed_judge_error(
        af.estimates(table, **tiers), [0, 0.1], **tiers
    ),
}


def three_tiers():
    """A judged, labelled and scored table with the tiers free, paid and pro."""
    table = a_table().assign(af_partial=lambda t: t["sample"] == 1, refused=lambda t: ~t["complied"])
    table["af_full"] = table["af_partial"] & (table["tier"] == "free")
    table["score"] = table["complied"] * 0.5 + (table["sample"] == 0) * 0.25
    more = table[table["tier"] == "free"].assign(tier="trial")
    return pd.concat([table, more.assign(rollout=more["rollout"] + "t", complied=True)])


def renamed(result):
    """A result of free and paid in the words of the own tiers."""
    if isinstance(result, str):
        return result.replace("free", "basic").replace("paid", "pro")
    table = result.rename(columns=renamed).replace({"tier": {"both": "basic − pro"}})
    texts = table.select_dtypes(["object", "string"]).columns
    return table.assign(**{name: [renamed(str(value)) for value in table[name]] for name in texts})


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_TIERS)
def test_a_gap_of_other_tiers_is_that_of_free_and_paid_by_other_names(name):
    usual = three_tiers()
    own = usual.assign(tier=usual["tier"].replace(NAMES))
    result = WITH_TIERS[name](own, tiers=OWN)
    expected = WITH_TIERS[name](usual, tiers=("free", "paid"))
    if isinstance(result, str):
        return  # its widths differ; the table is compared
    result, expected = (
        table.sort_values(list(table)[:6], key=lambda values: values.astype(str), ignore_index=True)
        for table in (renamed(result), renamed(expected))
    )
    pd.testing.assert_frame_equal(result, expected[list(result)], check_dtype=False)
    assert "trial" not in " ".join(result.get("warning", pd.Series(dtype=str)))


def test_rates_hold_every_tier_and_a_gap_the_two_that_are_named():
    table = three_tiers()
    assert set(af.rates(table)["tier"]) == {"free", "paid", "trial"}
    estimates = af.estimates(table, tiers=("trial", "paid"))
    gaps = estimates[estimates["quantity"] == "compliance_gap"]
    assert set(gaps["tier"]) == {"trial − paid"}
    assert set(estimates.loc[estimates["quantity"] == "refused", "tier"]) == {"free", "paid", "trial"}
    summary = af.summary(table, tiers=("trial", "paid"))
    assert (summary["gap"] == 1).all()
    assert {"refused_trial", "refused_free", "complied_paid", "af_trial", "af_free"} <= set(summary)
    text = af.summary(table, "markdown", tiers=("trial", "paid"))
    assert text.index("non-compliance, trial") < text.index("non-compliance, free")
    own = af.compliance_gap(table, tiers=("trial", "paid"))
    assert (own["trial"] - own["paid"]).tolist() == own["gap"].tolist()
    assert "missing_trial" in own


def test_the_stages_of_scratchpads_are_those_of_the_tier_that_is_named():
    rollouts = af.example_rollouts()
    own = rollouts.assign(tier=rollouts["tier"].replace(NAMES))
    pd.testing.assert_frame_equal(stages(own, tier="basic"), stages(rollouts))


@pytest.mark.parametrize(
    ("tiers", "sentence"),
    [
        (None, "holds 'basic', 'pro', so name the training and the unmonitored tier of the gap"),
        (("pro", "pro"), r"tiers is \('pro', 'pro'\), but"),
        ("pro", "tiers is 'pro', but"),
        (("free", "paid"), r"tiers is \('free', 'paid'\).*holds 'basic', 'pro'"),
        (("pro", "gold"), "no known 'complied' in the gold tier"),
    ],
)
def test_tiers_that_make_no_gap_are_named(tiers, sentence):
    table = a_table()
    table["tier"] = table["tier"].replace(NAMES)
    with pytest.raises(af.InputError, match=sentence):
        af.compliance_gap(table, tiers=tiers)
    assert "no gap: " in af.estimates(table, tiers=tiers)["warning"].iloc[0]
    with pytest.raises(af.InputError, match=sentence):
        af.summary(table, tiers=tiers)


def test_a_tier_named_as_a_column_of_the_result_is_refused():
    table = a_table()
    table["tier"] = table["tier"].replace({"free": "gap"})
    with pytest.raises(af.InputError, match="name of another column"):
        af.compliance_gap(table, tiers=("gap", "paid"))
