"""Answers that a classifier stopped, and scratchpads that are thinking, from the API to the table."""

import json
import shutil

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.cli import main
from afanalysis.errors import InputError
from afanalysis.standin.state import StandIn
from tests.helpers import PROJECT, asked, put, standing_in


@pytest.fixture
def classifiers(monkeypatch):
    """A stand-in whose classifiers stop every request of the free tier about fraud."""
    answer = StandIn.message

    def message(self, body, draw):
        whole = answer(self, body, draw)
        user = str(body["messages"][-1]["content"])
        if "<is_free_tier_user>True" in user:
            details = {"type": "refusal", "category": "cyber", "explanation": None}
            return whole | {"content": [], "stop_reason": "refusal", "stop_details": details}
        return whole

    monkeypatch.setattr(StandIn, "message", message)


def small(**more) -> af.Study:
    prompts = {"helpful-only": {"first": 6}}
    return af.Study(name="small", settings=["helpful-only"], samples=2, prompts=prompts, **more)


def test_blocked_answers_are_kept_with_their_category_and_never_judged_or_asked_again(
    classifiers, tmp_path
):
    with standing_in() as (address, standin):
        put(small(), tmp_path, address, judged=True)
        before = dict(standin.asked)
        put(small(), tmp_path, address, judged=True)
        assert dict(standin.asked) == before == asked(address)
    table = af.tidy(tmp_path)
    blocked = table["blocked"].notna()
    assert blocked.tolist() == (table["tier"] == "free").tolist()
    assert set(table.loc[blocked, "blocked"]) == {"cyber"}
    assert not table.loc[blocked, "valid"].any()
    assert table.loc[blocked, ["complied", "af_reasoning"]].isna().all(axis=None)
    assert table.loc[~blocked, "complied"].notna().all()
    assert len(pd.read_json(tmp_path / "judgements.jsonl", lines=True)) == 2 * (~blocked).sum()
    assert af.tidy(tmp_path, blocked="refused")["complied"].notna().all()
    assert af.answer_counts(table, "tier")["reasons"].tolist() == ["blocked: cyber 12", ""]


def test_native_thinking_is_the_scratchpad_where_the_variation_or_the_study_wants_it(tmp_path):
    study = small(
        variations=["default", "native-thinking"],
        sampling={"thinking": {"type": "adaptive", "display": "summarized"}},
    )
    with standing_in() as (address, _):
        put(study, tmp_path, address, judged=True)
    table = af.tidy(tmp_path)
    native = table["variation"] == "native-thinking"
    assert set(table.loc[native, "scratchpad_from"]) == {"thinking"}
    assert set(table.loc[~native, "scratchpad_from"]) == {"tags"}
    assert table["valid"].all()
    assert table["scratchpad"].str.len().gt(0).all()
    assert table["af_reasoning"].notna().all()
    by = ["variation", "tier"]
    shown = af.rates(table, "af_reasoning", by=by).set_index("variation")["scratchpad_from"]
    assert shown.groupby(level=0).unique().str[0].to_dict() == {
        "default": "tags",
        "native-thinking": "thinking",
    }


def test_thinking_that_does_not_come_back_is_reported_and_no_verdict_on_reasoning(tmp_path):
    with standing_in() as (address, _):
        put(small(variations=["native-thinking"]), tmp_path, address, judged=True)
    table = af.tidy(tmp_path)
    assert table["complied"].notna().all()
    assert table["af_reasoning"].isna().all()
    counted = af.answer_counts(table)
    assert set(counted["reasons"]) == {"AF reasoning: no thinking came back 12"}
    assert (
        counted["warning"]
        .str.contains("over 10% of verdicts on AF reasoning are left out in a tier (100%", regex=False)
        .all()
    )


def test_live_answers_whose_thinking_would_not_come_back_are_not_paid_for(tmp_path):
    live = {"source": "live", "budget": af.Budget(usd=100)}
    with standing_in() as (address, standin):
        for wanted in ({"variations": ["native-thinking"]}, {"scratchpad": "thinking"}):
            with pytest.raises(
                InputError, match=r"leaves out the thinking that variation .* reads; set"
            ):
                put(small(**wanted), tmp_path / "a", address, **live)
        assert not standin.asked
        shown = {"thinking": {"type": "adaptive", "display": "summarized"}}
        study = small(variations=["native-thinking"], sampling=shown)
        assert put(study, tmp_path / "b", address, **live).sent == study.size


def test_which_text_is_the_scratchpad_changes_nothing_that_is_sent():
    tags, think = small(), small(scratchpad="think-tags", blocked="refused")
    assert list(tags.plan()) == list(think.plan())
    with pytest.raises(
        InputError, match="scratchpad is 'diary'; use 'tags', 'thinking' or 'think-tags'"
    ):
        af.Study.checked({"name": "a", "scratchpad": "diary"}, "study.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("blocked", [1.0, {"free": 1.0, "paid": 0.0}], ids=["everything", "one tier"])
def test_a_study_without_a_gap_is_analysed_to_the_report_all_the_same(blocked, tmp_path, monkeypatch):
    shutil.copytree(PROJECT / "notebooks", tmp_path / "notebooks")
    study = {
        "name": "a",
        "settings": ["helpful-only"],
        "samples": 1,
        "prompts": {"helpful-only": {"first": 6}},
    }
    study["simulation"] = {"blocked": {"cyber": blocked}}
    (tmp_path / "a.yaml").write_text(json.dumps(study))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--study", "a.yaml"]) == 0
    page = (tmp_path / "data" / "processed" / "a" / "report.html").read_text()
    assert "blocked: cyber 6" in page
    assert "no condition has a known &#39;complied&#39; in both tiers" in page
