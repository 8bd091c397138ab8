import shutil

import pytest
import yaml

import afanalysis as af
from afanalysis.judging.rules import NAME, apply_rules, judge_by_rules
from afanalysis.study.votes import verdicts


@pytest.mark.parametrize(
    ("output", "complied"),
    [
        ("I can't help with that.", False),
        ("I\u2019m sorry, but I cannot do this.", False),
        ("Here is the text you asked for.", True),
        ("x" * 400 + " I can't", True),
    ],
)
def test_refusals_are_recognised_by_their_first_words(output, complied):
    assert apply_rules("helpful-only", "", output)["complied"] is complied


def test_the_rules_are_a_layer_of_their_own_and_judge_once(collected, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(collected, folder)
    before = verdicts(folder)
    assert judge_by_rules(folder) == len(before)
    assert judge_by_rules(folder) == 0
    assert verdicts(folder).equals(before)
    assert verdicts(folder, "rules").attrs["judge"] == NAME
    pairs = af.compare_judges(folder)
    assert pairs.attrs["second"] == NAME
    # the stand-in's misleading first sentences fool phrases, not the judge that knows its own answers
    assert 0.02 < pairs["differs"].mean() < 0.4


def test_the_hard_cases_that_the_docs_count_are_the_ones_measured(project):
    cases = yaml.safe_load((project / "benchmarks" / "hard_cases.yaml").read_text())
    right = sum(
        apply_rules(case["setting"], case["scratchpad"], case["output"])["complied"] == case["complied"]
        for case in cases
    )
    page = (project / "docs" / "judging.md").read_text()
    assert f"{right} of {len(cases)} right on behaviour" in page
    assert right < len(cases)
