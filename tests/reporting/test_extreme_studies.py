from __future__ import annotations

import re

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.figures import style
from afanalysis.figures.gallery import NAMES
from afanalysis.table.schema import SCHEMA
from tests.figures.test_gallery import PAPER_ONLY

LABELS = ("label_complied", "label_af_reasoning", "label_weight")
# What the example study never has.
# of the example, in which nothing is graded and no answer is missing
ALWAYS_LACKING = {*PAPER_ONLY, "score_threshold", "gap_bounds", "chain_of_thought", "questions"}


def judged(table, complied, rows=slice(None)):
    """The table with one verdict in these rows."""
    table = table.astype(dict.fromkeys(("complied", "refused", "af_reasoning"), object))
    table.loc[rows, "complied"] = complied
    table.loc[rows, "refused"] = None if complied is None else not complied
    table.loc[rows, "af_reasoning"] = None if complied is None else float(complied)
    table.loc[rows, ["af_full", "af_partial"]] = complied
    if complied is None:
        table.loc[rows, "af_stage"] = None
    return table


def without_labels(table):
    return table.assign(**dict.fromkeys(LABELS))


def two_prompts(table):
    """One of each setting."""
    return table.groupby("setting")["prompt_id"].first()


def two_models(table):
    second = table.assign(model="second", rollout=[f"{number:032x}" for number in range(len(table))])
    return pd.concat([table, second], ignore_index=True)


GAPS = set(NAMES) - ALWAYS_LACKING  # every other figure is about the gap between the tiers, but
STAGES = {"scratchpad_stages"}  # which is about training alone
# Each study: how it is made of the example, and the figures that it lacks.
STUDIES = {
    "nobody complied": (lambda table: judged(table, False), {"given_af_reasoning"}),
    "all complied": (lambda table: judged(table, True), {"power_curves", "given_af_reasoning"}),
    "the paid tier always complied": (
        lambda table: judged(table, True, table["tier"] == "paid"),
        {"power_curves"},
    ),
    "one prompt": (
        lambda table: table[table["prompt_id"] == table["prompt_id"].iloc[0]],
        {"variations_helpful-only"},
    ),
    # of the paid tier so little is known that it may always comply
    "two prompts": (lambda table: table[table["prompt_id"].isin(two_prompts(table))], {"power_curves"}),
    "no prompt in both tiers": (
        lambda table: table.assign(prompt_id=table["prompt_id"] + table["tier"]),
        {"paired_prompts", "gap_forest", "contrasts", "interval_methods"},
    ),
    "the free tier alone": (lambda table: table[table["tier"] == "free"], GAPS - STAGES),
    "the paid tier alone": (lambda table: table[table["tier"] == "paid"], GAPS),
    "one rollout": (lambda table: table.head(1), GAPS - STAGES),
    "no verdicts": (lambda table: without_labels(judged(table, None)), GAPS),
    "no verdicts in one tier": (
        lambda table: judged(table, None, table["tier"] == "paid"),
        GAPS - STAGES,
    ),
    "no valid answer": (lambda table: judged(table, None).assign(valid=False), GAPS),
    "two models": (two_models, set()),
    "no labels": (without_labels, {"raw_and_corrected", "agreement"}),
}


QUICK = ("no valid answer",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in STUDIES]
)
def test_what_an_extreme_study_cannot_show_says_why_and_the_rest_is_written(name, tmp_path, monkeypatch):
    """T4: every figure and section of studies at the edge."""
    monkeypatch.setattr(style, "_METADATA", {"svg": style._METADATA["svg"]})  # quicker
    make, lacking = STUDIES[name]
    table = make(af.example_rollouts())
    folders = af.Folders(tmp_path, "extreme")
    kinds = {column: kind for column, kind in SCHEMA.items() if column in table}
    af.save(table.astype(kinds), folders.table)
    gallery = af.Gallery("extreme", tmp_path)
    page = af.write_report(gallery).read_text()
    [reasons] = re.findall(r"Not drawn: (.*?)\.</p>", page)
    not_drawn = dict(re.findall(r"([\w-]+) \((.+?)\)(?:; |$)", reasons))
    assert set(not_drawn) == lacking | ALWAYS_LACKING
    assert {path.stem for path in folders.figures.glob("*.svg")} == set(NAMES) - set(not_drawn)
    assert re.findall(r'<figure id="(.*?)"', page) == [each for each in NAMES if each not in not_drawn]
    for caption in ("Results by condition", "Corrected for the judge&#39;s error", "Beside the paper"):
        assert f"<caption>{caption}</caption>" in page or f"{caption}: not shown; " in page
    said = "Not shown; " in page or "no gap: no prompt has verdicts" in page
    assert said == (lacking >= GAPS - STAGES)
    for path in af.write_latex(gallery):
        assert path.read_text().startswith("% no numbers: ") == (lacking >= GAPS - STAGES)


ACTS = "\u202e\x1b[2J\n\\input{x}%$_^{"


@pytest.mark.slow
@pytest.mark.parametrize("column", ["variation", "model", "prompt_id", "source", "judge"])
def test_no_name_hides_in_a_figure_a_page_or_latex(column, tmp_path, monkeypatch):
    """S7: every figure, page and macro of a study with such a name."""
    monkeypatch.setattr(style, "_METADATA", {"svg": style._METADATA["svg"]})
    table = af.example_rollouts()
    table[column] = table[column].where(table["variation"] == "default", ACTS)
    folders = af.Folders(tmp_path, "hidden")
    af.save(table, folders.table)
    gallery = af.Gallery("hidden", tmp_path)
    af.write_report(gallery)
    macros, *_, results = af.write_latex(gallery)
    for path in [macros, results, folders.report, *folders.figures.glob("*.svg")]:
        assert not set("\u202e\x1b") & set(path.read_text()), path.name
    assert all(line.startswith(("%", r"\newcommand")) for line in macros.read_text().splitlines())
