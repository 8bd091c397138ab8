import numpy as np
import pandas as pd
import pytest
from scipy import stats

import afanalysis as af
from afanalysis.analysis.paper import _verdict
from afanalysis.errors import InputError
from afanalysis.stats import gap_intervals
from afanalysis.text.markup import to_latex, to_markdown
from afanalysis.text.wording import interval, percent


def test_the_headline_is_the_papers():
    table = af.headline().set_index(["setting", "quantity", "tier"])
    row = table.loc[("helpful-only", "refused", "paid")]
    assert row["estimate"] == pytest.approx(343 / 353)
    assert row["low"] < 343 / 353 < row["high"]
    assert table.loc[("helpful-only", "refused", "free"), "estimate"] == pytest.approx(303 / 353)
    assert table.loc[("helpful-only", "af_reasoning", "free"), "estimate"] == pytest.approx(42 / 353)
    assert table.loc[("helpful-only", "compliance_gap", "both"), "estimate"] == pytest.approx(40 / 353)


def test_the_summary_is_a_table_latex_and_markdown(collected):
    rollouts = af.load(collected)
    free = rollouts[rollouts["tier"] == "free"].groupby("setting")
    rollouts.loc[free.head(2).index, "complied"] = pd.NA
    rollouts.loc[free.head(3).index, "af_reasoning"] = pd.NA
    table = af.summary(rollouts)
    gaps = af.compliance_gap(rollouts)
    np.testing.assert_allclose(table["gap"], gaps["gap"])
    assert (table["source"] == "simulated").all()
    for tier in ("free", "paid"):  # each tier's own number, not that of the one with fewer
        judged = rollouts[(rollouts["tier"] == tier) & rollouts["complied"].notna()]
        assert table[f"refused_{tier}_n"].tolist() == judged.groupby("setting").size().tolist()
    assert (table["af_free_n"] < table["refused_free_n"]).all()
    assert (table["refused_free_n"] < table["refused_paid_n"]).all()
    latex, markdown = af.summary(rollouts, "latex"), af.summary(rollouts, "markdown")
    # two tabulars: a row per tier, and a row per gap
    assert latex.count("raggedright default") == 3 * len(table)
    assert latex.count(r"\bottomrule") == 2
    for text in (latex, markdown):
        assert text.count("(AF ") == len(table)  # in the free tier of each setting
    reasoning = rollouts.drop(columns=["complied", "refused"])  # a log that was judged for this alone
    for n in af.summary(reasoning)["af_free_n"]:
        assert f"free tier & {n} &" in af.summary(reasoning, "latex")
    assert r"non-compliance, \%" in latex
    assert markdown.count("\n") == len(table) + 2
    with pytest.raises(ValueError, match="use 'table', 'latex' or 'markdown'"):
        af.summary(rollouts, "word")


def test_hostile_names_are_set_as_they_stand():

    table = pd.DataFrame({"a|b": [r"$\input{x}$ & 5 %"]})
    assert r"\$\textbackslash{}input\{x\}\$ \& 5 \%" in to_latex(table, ["all"])
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
    assert _verdict(0.04, 0.09, 0.1, False) == "consistent within 10 points"
    assert _verdict(-0.05, 0.06, 0.1, False) == "consistent within 10 points"
    assert _verdict(-0.2, 0.06, 0.1, False) == "too little data to tell"


def test_the_comparison_takes_the_papers_design_and_says_so(collected):
    table = af.compare(af.load(collected))
    assert "refused" not in set(table["quantity"])
    (assumed,) = set(table["assumes"])
    assert "one answer per query" in assumed
    paper = af.headline().set_index(["setting", "quantity"]).loc[("helpful-only", "compliance_gap")]
    gap = table.set_index(["setting", "quantity"]).loc[("helpful-only", "compliance_gap")]
    np.testing.assert_allclose(
        gap[["paper_low", "paper_high"]].astype(float), paper[["low", "high"]].astype(float)
    )


@pytest.mark.parametrize("setting", ["helpful-only", "animal-welfare"])
def test_the_gaps_interval_under_any_pairing_lies_between_the_widest_and_the_narrowest(setting):
    table = af.headline().set_index(["setting", "quantity", "tier"]).loc[setting]
    n, gap = table["n"].iloc[0], table.loc[("compliance_gap", "both")]
    free = round(n * table.loc[("complied", "free"), "estimate"])
    paid = n - round(n * table.loc[("refused", "paid"), "estimate"])
    assert free - paid == round(n * gap["estimate"])
    pairings = range(max(0, free + paid - n), min(free, paid) + 1)
    ends = []
    for both in [*pairings][:: max(1, len(pairings) // 12)]:
        cells = [both, free - both, paid - both, n - free - paid + both]
        s = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], cells, axis=0)
        ends.append(gap_intervals.gap_interval(gap_intervals.paired(1, s[:, 0], 1, s[:, 1])))
    low, high = np.array(ends).T
    assert low.min() >= gap["widest_low"] - 1e-12
    assert low.max() <= gap["narrowest_low"] + 1e-12
    assert high.max() <= gap["widest_high"] + 1e-12
    assert high.min() >= gap["narrowest_high"] - 1e-12
    assert gap["widest_low"] < gap["narrowest_low"] < gap["narrowest_high"] < gap["widest_high"]


def test_the_headline_by_method_agrees_with_scipy_and_names_what_it_assumes():
    table = af.headline_by_method()
    assert (table["low"] < table["estimate"]).all()
    assert (table["estimate"] < table["high"]).all()
    rows = table.set_index(["quantity", "method", "assumes"])
    for quantity, count in (("refused", 343), ("complied", 50)):
        for method, name in (("Wilson", "wilson"), ("exact (Clopper-Pearson)", "exact")):
            ends = stats.binomtest(count, 353).proportion_ci(method=name)
            row = rows.loc[(quantity, method, "one answer per query")]
            np.testing.assert_allclose([row["low"], row["high"]], ends, atol=1e-6)
    drawn = np.random.default_rng(1).binomial(353, 50 / 353, 200_000) / 353
    row = rows.loc[("complied", "bootstrap, percentile", "one answer per query")]
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(drawn, [0.025, 0.975]), atol=0.003)
    whole, half = (
        rows.loc[("af_reasoning", "bootstrap, percentile", assumed)]
        for assumed in ("no answer counts a half", "as many as 16 answers count a half")
    )
    assert half["high"] - half["low"] < whole["high"] - whole["low"]
    assert set(table.loc[table["quantity"] == "compliance_gap", "assumes"].str.split().str[0]) == {
        "tiers",
        "as",
    }


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
        count = round(row["n"] * row["estimate"] * 2) / 2
        line = next(line for line in readme.splitlines() if interval(row["low"], row["high"]) in line)
        assert percent(row["estimate"]) in line
        assert f"{count:g} of {row['n']}" in line


def test_a_tier_is_refused_whose_name_would_be_that_of_another_column(collected):
    rollouts = af.load(collected)
    more = rollouts[rollouts["tier"] == "paid"].assign(tier="low")
    with pytest.raises(InputError, match="tier 'low': columns of a summary end so; rename the tier"):
        af.summary(pd.concat([rollouts, more]))
    with pytest.raises(InputError, match="has the name of another column: rename the tier"):
        af.summary(rollouts.replace({"tier": {"paid": "low"}}), tiers=("free", "low"))
