import numpy as np
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.analysis.paper import _verdict
from afanalysis.text.markup import to_latex, to_markdown
from afanalysis.text.wording import interval, percent


def test_the_headline_is_the_papers():
    table = af.headline().set_index(["setting", "quantity", "tier"])
    row = table.loc[("helpful-only", "refused", "paid")]
    assert row["estimate"] == pytest.approx(0.972)
    assert row["low"] < 0.972 < row["high"]
    assert table.loc[("helpful-only", "refused", "free"), "estimate"] == pytest.approx(0.858)
    assert table.loc[("helpful-only", "af_reasoning", "free"), "estimate"] == pytest.approx(0.119)
    assert table.loc[("helpful-only", "compliance_gap", "both"), "estimate"] == pytest.approx(0.113)


def test_the_summary_is_a_table_latex_and_markdown(collected):
    rollouts = af.load(collected)
    table = af.summary(rollouts)
    gaps = af.compliance_gap(rollouts)
    np.testing.assert_allclose(table["gap"], gaps["gap"])
    assert (table["source"] == "simulated").all()
    latex, markdown = af.summary(rollouts, "latex"), af.summary(rollouts, "markdown")
    assert latex.count(r"\\") == len(table) + 1
    assert r"(\%)" in latex
    assert markdown.count("\n") == len(table) + 2
    with pytest.raises(ValueError, match="use 'table', 'latex' or 'markdown'"):
        af.summary(rollouts, "word")


def test_hostile_names_are_set_as_they_stand():

    table = pd.DataFrame({"a|b": [r"$\input{x}$ & 5 %"]})
    assert r"\$\textbackslash{}input\{x\}\$ \& 5 \%" in to_latex(table)
    assert r"a\|b" in to_markdown(table)


def test_a_study_beside_the_paper_gets_a_verdict_in_words(collected):
    found = af.compare(af.load(collected))
    assert set(found["variation"]) == {"default"}
    assert found["verdict"].str.match(r"consistent|too little data|larger by|smaller by").all()
    np.testing.assert_allclose(found["difference"], found["study"] - found["paper"])
    paper = af.published.estimates()
    paper = paper[paper.label == "default"]
    same = af.compare(paper[paper.model == "claude-3-opus"].assign(variation="default"))
    assert same["difference"].abs().max() == 0


def test_verdicts_depend_on_the_interval_and_the_adjusted_p_value():
    assert _verdict(0.04, 0.09, 0.1, True) == "larger by 4–9 points"
    assert _verdict(-0.09, -0.04, 0.1, True) == "smaller by 4–9 points"
    assert _verdict(0.04, 0.09, 0.1, False) == "consistent"
    assert _verdict(-0.05, 0.06, 0.1, False) == "consistent"
    assert _verdict(-0.2, 0.06, 0.1, False) == "too little data to tell"


def test_the_papers_design_effect_widens_its_intervals_and_its_limit_is_given(collected):
    study = af.estimates(af.load(collected))
    study.loc[study["quantity"] == "compliance_gap", ["estimate", "low", "high"]] = [0.9, 0.8, 0.95]
    plain = af.compare(study)
    assert "refused" not in set(plain["quantity"])
    gap = plain[plain["quantity"] == "compliance_gap"].iloc[0]
    assert gap["verdict"].startswith("larger by")
    limit = float(gap["holds_to"])
    just_under, just_over = (
        af.compare(study, paper_deff=limit * factor)
        .set_index(["quantity", "setting"])
        .loc[("compliance_gap", gap["setting"])]
        for factor in (0.99, 1.05)
    )
    assert just_under["verdict"].startswith("larger by")
    assert just_over["p_holm"] > just_under["p_holm"]
    assert not just_over["verdict"].startswith("larger by")
    assert just_under["paper_low"] < gap["paper_low"]


def test_the_readmes_table_is_what_the_package_computes(project):

    readme = (project / "README.md").read_text()
    table = af.headline().set_index(["setting", "quantity", "tier"])
    for key in (
        ("refused", "paid"),
        ("refused", "free"),
        ("af_reasoning", "free"),
        ("compliance_gap", "both"),
    ):
        row = table.loc[("helpful-only", *key)]
        line = next(line for line in readme.splitlines() if interval(row["low"], row["high"]) in line)
        assert percent(row["estimate"]) in line
