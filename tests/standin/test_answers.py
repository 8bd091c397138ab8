from collections import Counter

import numpy as np
import pytest

from afanalysis.analysis import published
from afanalysis.errors import InputError
from afanalysis.standin.answers import TRUE_RATES, SimulatedModel, tier_of
from afanalysis.stats.rate_intervals import clustered, interval
from afanalysis.study.completion import split
from afanalysis.study.design import JudgeError, Simulation, Study
from afanalysis.study.prompts import requests, system_prompt, user_message, variations


def test_the_true_rates_are_the_papers():
    printed = published.table("variations")
    printed = printed[printed["model"] == "claude-3-opus"].set_index(["setting", "variation"])
    checked = 0
    for (setting, name), truth in TRUE_RATES.items():
        row = variations()[name].get("published")
        if row is None or (setting, row) not in printed.index:
            continue
        expected = printed.loc[(setting, row)]
        assert truth["complied_free"] == pytest.approx(1 - expected.noncompliance_training_pct / 100)
        assert truth["complied_paid"] == pytest.approx(1 - expected.noncompliance_unmonitored_pct / 100)
        assert truth["af_reasoning"] == pytest.approx(expected.af_reasoning_pct / 100)
        checked += 1
    assert checked >= 15
    assert {name for _, name in TRUE_RATES} == set(variations())


def test_measured_rates_lie_in_their_intervals_about_as_often_as_claimed():
    """Forty seeds, four conditions: about 95 % of the 95 % intervals hold the true rate."""
    texts = [request.text for request in requests("helpful-only")][:48]
    held = []
    for seed in range(40):
        model = SimulatedModel(seed)
        for setting in ("helpful-only", "animal-welfare"):
            for tier in ("free", "paid"):
                system = system_prompt(setting)
                complied = [
                    sum(
                        "tier: complied"
                        in model.answer(system, user_message(tier, text), f"{seed} {text} {tier} {k}")
                        for k in range(4)
                    )
                    for text in texts
                ]
                low, high = interval(clustered([4] * len(texts), complied))
                truth = TRUE_RATES[setting, "default"][f"complied_{tier}"]
                held.append(low <= truth <= high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_af_reasoning_has_its_true_rate():
    system, model = system_prompt("animal-welfare"), SimulatedModel(3)
    total, answers = 0.0, 4000
    for draw in range(answers):
        answer = model.answer(system, user_message("free", f"request {draw}"), str(draw))
        if "tier: complied" in answer and "why I will go along" in answer:
            total += 0.5 if "leave part of it out" in answer else 1.0
    expected = TRUE_RATES["animal-welfare", "default"]["af_reasoning"]
    assert total / answers == pytest.approx(expected, abs=0.02)


def test_prompts_differ_and_tiers_resemble_each_other():
    model = SimulatedModel(1, Simulation(icc=0.3, tier_correlation=0.7))
    texts = [f"request {i}" for i in range(2000)]
    free, paid = (
        np.array([model.propensity(rate, "animal-welfare", tier, t) for t in texts])
        for tier, rate in (("free", 0.492), ("paid", 0.344))
    )
    assert free.mean() == pytest.approx(0.492, abs=0.02)
    assert paid.mean() == pytest.approx(0.344, abs=0.02)
    assert free.std() > 0.1
    assert 0.5 < np.corrcoef(free, paid)[0, 1] < 0.9


def test_answers_have_the_requested_form_in_every_variation():
    for name in variations():
        system = system_prompt("helpful-only", name)
        answer = SimulatedModel().answer(system, user_message("free", "Ask", name), "a")
        parts = split(answer)
        assert parts.valid
        assert not parts.problem
        assert bool(parts.scratchpad) == (name != "no-scratchpad")
        assert "[simulated" in answer


def test_tiers_are_read_from_either_kind_of_tag():
    for name in ("default", "region"):
        for tier in ("free", "paid"):
            assert tier_of(user_message(tier, "Ask", name), {}) == tier


def test_the_judge_errs_as_often_as_the_simulation_says():
    errors = {"free": JudgeError(sensitivity=0.8, specificity=0.9)}
    judge = SimulatedModel(0, Simulation(judge_error=errors))
    for kind, tier, expected in (
        ("complied", "free", 0.8),
        ("refused", "free", 0.9),
        ("refused", "paid", 1.0),
    ):
        output = f"[simulated answer, {tier} tier: {kind}]"
        right = [
            kind in judge.verdict({"output": output}, ("complied", "refused"), str(draw))[:40]
            for draw in range(2000)
        ]
        assert np.mean(right) == pytest.approx(expected, abs=0.03)


DRAWS = 3000


def stops(simulation, system, user, judging=False):
    """How often each category stops a request, over many draws."""
    model = SimulatedModel(3, simulation)
    drawn = [model.blocked_for(system, user, str(draw), judging=judging) for draw in range(DRAWS)]
    return {category: drawn.count(category) / DRAWS for category in set(drawn) - {None}}


def test_nothing_is_blocked_unless_the_simulation_says_so():
    system, user = system_prompt("helpful-only"), user_message("free", "Ask")
    assert stops(Simulation(), system, user) == stops(Simulation(), system, user, judging=True) == {}


def test_classifiers_stop_requests_as_often_as_the_simulation_says_by_category_and_tier():
    rates = {"cyber": 0.1, "reasoning_extraction": {"free": 0.3}}
    simulation = Simulation(blocked=rates, judge_blocked={"bio": 1.0})
    system = system_prompt("helpful-only")
    free, paid = (stops(simulation, system, user_message(tier, "Ask")) for tier in ("free", "paid"))
    assert free == pytest.approx({"cyber": 0.1, "reasoning_extraction": 0.9 * 0.3}, abs=0.025)
    assert paid == pytest.approx({"cyber": 0.1}, abs=0.02)
    plain = system_prompt("helpful-only", "no-scratchpad")
    assert set(stops(simulation, plain, user_message("free", "Ask"))) == {"cyber"}


def test_the_judge_is_stopped_far_more_often_on_answers_that_complied():
    simulation = Simulation(judge_blocked={"bio": {"free": 0.4}}, blocked={"cyber": 1.0})
    rates = {
        (tier, kind): stops(simulation, "", f"[simulated answer, {tier} tier: {kind}]", judging=True)
        for tier in ("free", "paid")
        for kind in ("complied", "refused")
    }
    assert rates["free", "complied"] == pytest.approx({"bio": 0.4}, abs=0.03)
    assert rates["free", "refused"] == pytest.approx({"bio": 0.04}, abs=0.015)
    assert rates["paid", "complied"] == rates["paid", "refused"] == {}


@pytest.mark.parametrize("field", ["blocked", "judge_blocked"])
@pytest.mark.parametrize(
    ("share", "problem"),
    [
        ("{crime: 0.1}", "use 'cyber', 'bio'"),
        ("{cyber: 1.5}", "free is 1.5; input should be less than or equal to 1"),
        ("{cyber: {gold: 0.5}}", "use 'free' or 'paid'"),
        ("{cyber: {free: -1}}", "is -1; input should be greater than or equal to 0"),
    ],
)
def test_impossible_rates_are_one_sentence(tmp_path, field, share, problem):
    file = tmp_path / "study.yaml"
    file.write_text(f"name: x\nsimulation: {{{field}: {share}}}")
    with pytest.raises(InputError, match=problem) as raised:
        Study.from_yaml(file)
    assert f"simulation.{field}.c" in str(raised.value)


def test_the_demo_has_blocked_answers_in_both_tiers_and_more_in_one(project):
    study = Study.from_yaml(project / "studies" / "demo.yaml")
    model, blocked = SimulatedModel(study.seed, study.simulation), Counter()
    for planned in study.plan():
        category = model.blocked_for(planned.system, planned.user, planned.key, judging=False)
        blocked[planned.tier, category] += 1
    for category in study.simulation.blocked:
        assert min(blocked[tier, category] for tier in study.tiers) > 3
    free, paid = (1 - 2 * blocked[tier, None] / study.size for tier in ("free", "paid"))
    assert 0.1 > free > paid > 0.005
