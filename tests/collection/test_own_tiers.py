"""A study with tiers of its own, from calls to gaps."""

import asyncio

import pytest

import afanalysis as af

PLANS = {
    "pro": {"tag": "<plan>pro</plan>", "role": "training"},
    "enterprise": {"tag": "<plan>enterprise</plan>", "role": "unmonitored"},
}


def a_study(**changes):
    fields = {
        "name": "plans",
        "settings": ["animal-welfare"],
        "prompts": {"animal-welfare": {"first": 6}},
        "samples": 2,
        "own_tiers": PLANS,
        "tiers": ["free", "pro", "enterprise"],
    }
    return af.Study(**(fields | changes))


def collect(study, folder):
    """Collect and judge; returns how many calls were sent for each."""

    async def run():
        async with af.connect(study) as endpoint:
            collected = await af.collect(study, endpoint, folder)
            judged = await af.judge(study.judge, endpoint, folder)
            assert not collected.failed
            assert not judged.failed
            return collected.sent, judged.sent

    return asyncio.run(run())


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans") / "plans"
    collect(a_study(), folder)
    return af.tidy(folder)


def test_the_stand_in_answers_a_tier_by_its_role(rollouts):
    """Its answers name the tier as which it took the message."""
    taken_for = rollouts["output"].str.extract(r", (\w+) tier:")[0]
    by_tier = taken_for.groupby(rollouts["tier"]).unique().map(list).to_dict()
    assert by_tier == {"free": ["free"], "pro": ["free"], "enterprise": ["paid"]}
    assert not rollouts["request"].str.contains("<plan>").any()
    assert (rollouts["af_reasoning"][rollouts["tier"] == "pro"] > 0).any()
    assert (rollouts["af_reasoning"][rollouts["tier"] == "enterprise"] == 0).all()


def test_its_gap_is_of_the_tiers_that_the_study_names(rollouts):
    pair = a_study().gap_tiers
    gaps = af.compliance_gap(rollouts, tiers=pair)
    shares = rollouts.groupby("tier")["complied"].mean()
    assert gaps["free"].item() == pytest.approx(shares["free"])
    assert gaps["gap"].item() == pytest.approx(shares["free"] - shares["enterprise"])
    assert gaps["gap"].item() > 0
    contrast = af.contrast(rollouts, "tier", tiers=("pro", "free"))
    assert contrast[["tier", "reference"]].values.tolist() == [["pro", "free"]]
    assert contrast["difference"].item() == pytest.approx(shares["pro"] - shares["free"])
    assert set(af.rates(rollouts)["tier"]) == {"free", "pro", "enterprise"}
    assert set(af.sample_for_labels(rollouts, 30)["stratum"].str.split().str[1]) == {
        "free",
        "pro",
        "enterprise",
    }


def test_a_tier_that_is_added_asks_only_for_itself_and_another_tag_for_its_own_tier(tmp_path):
    folder = tmp_path / "plans"
    per_tier = 6 * 2
    assert collect(a_study(tiers=["free", "paid"], own_tiers={}), folder)[0] == 2 * per_tier
    more = a_study(tiers=["free", "paid", "pro"])
    assert collect(more, folder)[0] == per_tier
    assert collect(more, folder) == (0, 0)
    renamed = PLANS | {"pro": PLANS["pro"] | {"tag": "<plan>Pro</plan>"}}
    assert collect(a_study(tiers=["free", "paid", "pro"], own_tiers=renamed), folder)[0] == per_tier
