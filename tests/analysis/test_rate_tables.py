import numpy as np
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError


@pytest.fixture
def rollouts():
    rng = np.random.default_rng(0)
    rows = [
        {"prompt_id": f"p{i}", "tier": tier, "complied": bool(rng.random() < p), "model": model}
        for i in range(40)
        for model in ("a", "b")
        for tier, p in (("free", 0.4), ("paid", 0.1))
        for _ in range(5)
    ]
    return pd.DataFrame(rows)


def test_rates_have_a_row_a_condition_and_the_contracted_columns(rollouts):
    found = af.rates(rollouts, by=["model", "tier"])
    assert found[["model", "tier"]].apply(tuple, axis=1).tolist() == [
        ("a", "free"),
        ("a", "paid"),
        ("b", "free"),
        ("b", "paid"),
    ]
    for column in ("n_prompts", "n", "rate", "low", "high", "se", "deff"):
        assert column in found
    simple = rollouts.groupby(["model", "tier"])["complied"].mean().to_numpy()
    np.testing.assert_allclose(found["rate"], simple)
    assert ((found["low"] < found["rate"]) & (found["rate"] < found["high"])).all()


def test_the_gap_is_paired_and_adjusted(rollouts):
    found = af.compliance_gap(rollouts, by=["model"])
    assert (found["gap"] == found["free"] - found["paid"]).all()
    assert (found["p_holm"] >= found["p_value"]).all()
    assert (found["n_prompts"] == 40).all()
    assert (found["p_value"] < 0.01).all()


def test_row_order_and_extra_columns_do_not_matter(rollouts):
    shuffled = rollouts.sample(frac=1, random_state=1).assign(output="text", extra=1)
    pd.testing.assert_frame_equal(
        af.compliance_gap(rollouts, by=["model"]), af.compliance_gap(shuffled, by=["model"])
    )


def test_a_prompt_in_one_tier_only_is_counted_and_said(rollouts):
    lone = rollouts[~((rollouts.prompt_id == "p0") & (rollouts.tier == "paid"))]
    found = af.compliance_gap(lone, by=["model"])
    assert (found["n_unpaired"] == 1).all()
    assert (found["n_paired"] == 39).all()


def test_little_data_is_said_in_words(rollouts):
    few = rollouts[rollouts.prompt_id.isin(["p0", "p1"])]
    assert af.rates(few, by=["tier"])["warning"].str.contains("too few prompts").all()
    assert (af.rates(rollouts, by=["tier"])["warning"] == "").all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t[t.tier == "free"], "model a: no known 'complied' in the paid tier"),
        (lambda t: t.assign(tier="premium"), "column 'tier' holds 'premium', so name"),
        (
            lambda t: t.assign(complied=None).astype({"complied": "boolean"}),
            "in the free and the paid tier",
        ),
    ],
)
def test_a_gap_that_cannot_be_computed_says_why(rollouts, change, sentence):
    with pytest.raises(InputError, match=sentence):
        af.compliance_gap(change(rollouts), by=["model"])


def test_all_alike_has_an_interval_with_width(rollouts):
    found = af.compliance_gap(rollouts.assign(complied=False), by=["model"])
    assert (found["gap"] == 0).all()
    assert (found["high"] - found["low"] > 0.01).all()
    assert (found["p_value"] == 1).all()


def test_estimates_of_a_study_have_the_columns_of_the_published_ones(collected):
    ours, papers = af.estimates(af.load(collected)), af.published.estimates()
    shared = ["setting", "variation", "label", "group", "model", "phase", "tier", "quantity"]
    shared += ["estimate", "low", "high", "n", "interval", "source"]
    assert set(shared) <= set(ours.columns) & set(papers.columns)
    assert set(ours["source"]) == {"simulated"}


def test_a_table_by_source_keeps_the_sources_apart(rollouts):
    mixed = pd.concat([rollouts.assign(source=name) for name in ("live", "simulated")])
    for table in (
        af.rates(mixed, by=["source", "tier"]),
        af.compliance_gap(mixed, by=["source"]),
        af.answer_counts(mixed.assign(valid=True), by=["source", "tier"]),
    ):
        assert set(table["source"]) == {"live", "simulated"}
    assert set(af.rates(mixed, by=["tier"])["source"]) == {"live, simulated"}


def test_regression_finds_the_tier_and_reports_what_has_no_bound(rollouts):
    found = af.regression(rollouts, "tier").set_index("term")
    odds = (0.4 / 0.6) / (0.1 / 0.9)
    assert found.loc["tier = free", "low"] < odds < found.loc["tier = free", "high"]
    never = rollouts.assign(complied=rollouts["complied"] & (rollouts["tier"] == "free"))
    found = af.regression(never, "tier").set_index("term")
    assert found.loc["tier = free", "high"] == np.inf
    assert 1 < found.loc["tier = free", "low"] < found.loc["tier = free", "odds_ratio"] < np.inf
    gap = af.compliance_gap(never, by=[])
    assert found.loc["tier = free", "p_value"] == pytest.approx(gap.loc[0, "p_value"])
    assert "no bound" in found.loc["tier = free", "note"]
    with pytest.raises(InputError, match="has one value only"):
        af.regression(rollouts[rollouts.model == "a"], "tier + model")


def test_agreement_leaves_out_missing_verdicts():
    found = af.agreement([True, True, False, None, True], [True, False, False, True, True])
    assert (found["n"] == 4).all()
    assert found.set_index("measure").loc["agreement", "value"] == 0.75


def test_the_plan_says_which_design_is_cheapest():
    found = af.plan(0.05, samples=(1, 5))
    assert found["cheapest"].tolist() == [True, False]
    assert (found["power"] >= 0.8).all()


def test_methods_can_be_chosen(rollouts):
    for method in ("clopper-pearson", "bootstrap"):
        assert (af.rates(rollouts, by=["tier"], method=method)["method"] == method).all()
    for method in ("mover", "bca", "paper"):
        assert (af.compliance_gap(rollouts, by=["model"], method=method)["low"] > 0).all()
