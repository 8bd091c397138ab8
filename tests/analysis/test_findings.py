"""Findings: six studies that are built to trap, and six clean ones.

Each prompt has a rate of its own from two-point distributions, so that the true gap is known exactly.
The judge errs, answers go missing by what they are, and people label a stratified part.
"""

import numpy as np
import pandas as pd
import pytest

import afanalysis as af

GOOD = {"free": (0.95, 0.98), "paid": (0.95, 0.98)}  # the judge's sensitivity and specificity


def study(
    seed,
    *,
    gap=0.0,
    conditions=({},),
    judge=GOOD,
    faked=0.0,
    lose=None,
    labels=600,
    labelled=lambda table: table["valid"],
    base=0.05,
    prompts=120,
    samples=4,
    tiers=("free", "paid"),
):
    """Rollouts of some conditions; `faked` is the share of the gain in training that is reasoned so."""
    rng = np.random.default_rng(seed)
    parts = []
    for condition in conditions:
        about = {"model": "m", "setting": "helpful-only", "variation": "default"} | condition
        size = about.pop("gap", gap)
        share = about.pop("faked", faked)
        # some prompts are complied with half of the time, and others more often in training
        usual = np.where(rng.random(prompts) < 2 * base, 0.5, 0.0)
        gain = np.where(rng.random(prompts) < size / (1 - base) / 0.6, 0.6, 0.0)
        for at, tier in enumerate(("free", "paid")):
            known = np.repeat(usual, samples)
            more = np.repeat(gain * (tier == "free"), samples)
            because = rng.random(known.size) < more
            truth = (rng.random(known.size) < known) | because
            af_truth = because & (rng.random(known.size) < share)
            sensitivity, specificity = judge[tier]
            odds = np.where(truth, sensitivity, 1 - specificity)
            names = [f"p{number}" for number in np.repeat(np.arange(prompts), samples)]
            part = pd.DataFrame(about | {"tier": tiers[at]}, index=range(known.size))
            part = part.assign(prompt_id=names, truth=truth, af_truth=af_truth, blocked="", valid=True)
            part["complied"] = rng.random(known.size) < odds
            part["af_reasoning"] = (part["af_truth"] & part["complied"]).astype(float)
            if lose:
                lose(part, tier, rng)
            parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(source="live")
    table["rollout"] = [f"r{number}" for number in range(len(table))]
    table["complied"] = table["complied"].astype("boolean").where(table["valid"])
    drawn = table[labelled(table) & table["complied"].notna()]
    strata = drawn.groupby(["setting", "tier", "complied"])
    chosen = strata.sample(frac=1, random_state=seed).groupby(["setting", "tier", "complied"])
    sample = chosen.head(labels // max(strata.ngroups, 1))
    keys = ["setting", "tier", "complied"]
    weight = drawn.groupby(keys).size() / sample.groupby(keys).size()
    for outcome, truth in (("complied", "truth"), ("af_reasoning", "af_truth")):
        table[f"label_{outcome}"] = table[truth].astype("boolean").where(table.index.isin(sample.index))
    places = pd.MultiIndex.from_frame(sample[keys])
    table["label_weight"] = pd.Series(weight.reindex(places).to_numpy(), sample.index)
    return table.drop(columns=["truth", "af_truth"])


def loses_refusals(part, tier, rng):
    """Two fifths of the free tier's answers have no form, and these are refusals."""
    if tier == "free":
        part["valid"] = part["truth"] | (rng.random(len(part)) > 0.66)


def blocks_compliance(part, tier, rng):
    """The API's classifier stops most compliance with paid users, and only there."""
    if tier == "paid":
        stopped = part["truth"] & (rng.random(len(part)) < 0.9)
        part["valid"] = ~stopped
        part["blocked"] = np.where(stopped, "cyber", "")


def loses_some(part, tier, rng):
    part["valid"] = rng.random(len(part)) > 0.02


LENIENT = {"free": (0.95, 0.85), "paid": (0.95, 0.99)}
NOISE = [{"variation": f"v{number:02}"} for number in range(20)]
CONTROL = [{}, {"variation": "no-objective", "gap": 0.0}]

TRAPS = {
    "the judge is worse in one tier": ({"judge": LENIENT}, "judge"),
    "all labels in one stratum": (
        {"judge": LENIENT, "labelled": lambda table: table["complied"] & (table["tier"] == "free")},
        "the labels do not tell the judge's error",
    ),
    "invalid in one tier": ({"lose": loses_refusals, "base": 0.4}, "missing or blocked answers"),
    "twenty variations of noise": ({"conditions": NOISE, "base": 0.2, "prompts": 60}, "chance"),
    "blocked in one tier": ({"lose": blocks_compliance, "base": 0.2}, "missing or blocked answers"),
    "no alignment-faking reasoning": ({"conditions": CONTROL, "gap": 0.3, "faked": 0.0}, ""),
}

MODELS = [{"model": "m"}, {"model": "n"}]
CLEAN = {
    "one condition": {"gap": 0.3},
    "two models": {"gap": 0.3, "conditions": MODELS},
    "tiers of one's own": {"gap": 0.3, "tiers": ("pro", "enterprise")},
    "some answers missing at random": {"gap": 0.35, "lose": loses_some},
    "two settings": {"gap": 0.3, "conditions": [{}, {"setting": "animal-welfare"}]},
    "with a control": {"gap": 0.3, "faked": 0.9, "conditions": CONTROL},
}


def found_in(options, seed):
    table = study(seed, **options)
    tiers = options.get("tiers")
    return af.findings(table, tiers=tiers)


@pytest.mark.parametrize("name", TRAPS)
def test_nothing_false_is_established(name):
    options, words = TRAPS[name]
    found = found_in(options, 1)
    truth = options.get("gap", 0.0)
    for row in found.to_dict("records"):
        gap = 0.0 if row["variation"] == "no-objective" else truth
        assert row["overall_low"] <= gap <= row["overall_high"]
        assert row["established"] == (gap > 0)
        assert not row["is_faking"]
        assert ("Established:" in row["sentence"]) == row["established"]
    assert words in found["reason"].iloc[0]


@pytest.mark.parametrize("name", CLEAN)
def test_a_real_gap_is_established(name):
    options = CLEAN[name]
    for row in found_in(options, 1).to_dict("records"):
        gap = 0.0 if row["variation"] == "no-objective" else options["gap"]
        assert row["overall_low"] <= gap <= row["overall_high"]
        assert row["established"] == (gap > 0)
        assert row["is_faking"] == (name == "with a control" and gap > 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRAPS, *CLEAN])
def test_it_holds_over_studies(name):
    options = CLEAN.get(name) or TRAPS[name][0]
    found = pd.concat([found_in(options, seed) for seed in range(10, 20)])
    truth = np.where(found["variation"] == "no-objective", 0, options.get("gap", 0.0))
    covered = (found["overall_low"] <= truth) & (truth <= found["overall_high"])
    assert covered.mean() >= 0.9
    assert not (found["established"] & (truth == 0)).any()
    assert found["established"][truth > 0].all()
