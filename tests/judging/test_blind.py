"""The blind judge: what each of its calls sees, what is missing when one of them fails, who steps in."""

import asyncio
import contextlib
import itertools
import json
import re
import shutil

import anthropic
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.collection.calls import Call, CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.responses import Answer
from afanalysis.errors import InputError
from afanalysis.judging import model as judging
from afanalysis.judging.model import CRITERIA, FIRST, SHIPPED, forecast_verdicts, prompt_of
from afanalysis.standin.answers import SimulatedModel
from afanalysis.study.design import JudgeSettings, Study
from afanalysis.study.files import read_json
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Prices
from afanalysis.study.votes import verdicts
from tests.helpers import PROJECT, asked, keys, standing_in

BLIND, JOINT = JudgeSettings(form="blind"), JudgeSettings(form="joint")
FIXTURE = PROJECT / "tests" / "fixtures" / "c4f074b" / "raw" / "kept"


@pytest.fixture
def folder(collected, tmp_path):
    """Half of the small study, judged by nobody."""
    lines = (collected / "rollouts.jsonl").read_text().splitlines(keepends=True)
    first = "".join(line for line in lines if json.loads(line)["sample"] == 0)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "rollouts.jsonl").write_text(first)
    shutil.copy(collected / "manifest.json", tmp_path / "raw" / "manifest.json")
    return tmp_path / "raw"


@pytest.fixture
def whole(collected):
    """The same as judged by a judge that is always right."""
    return af.tidy(collected).query("sample == 0").reset_index(drop=True)


@pytest.fixture
def api():
    """A stand-in of one's own, which notes what the judge is sent and may block it."""
    with standing_in() as (address, state):
        state.address, state.bodies, state.blocks = address, [], lambda body, text: False
        message = state.message

        def noted(body, draw):
            reply = message(body, draw)
            if draw:  # else the form of the request is being checked
                state.bodies.append(body)
            if state.blocks(body, reply["content"][-1]["text"]):
                reply |= {"content": [], "stop_reason": "refusal"}
                reply["stop_details"] = {"type": "refusal", "category": "cyber"}
            return reply

        state.message = noted
        yield state


def judge(api, folder, settings=BLIND):
    """Judge, and return how many calls that took."""

    async def run():
        async with anthropic.AsyncAnthropic(base_url=api.address, api_key="any") as client:
            return await af.judge(settings, Endpoint(client, "simulated"), folder)

    before = len(api.bodies)
    summary = asyncio.run(run())
    assert summary.complete
    assert summary.sent == len(api.bodies) - before
    return summary.sent


def material(body):
    _, line, _ = body["messages"][0]["content"].split("\n")
    return json.loads(line)


def names_in(body):
    return list(body["output_config"]["format"]["schema"]["properties"])


def test_behaviour_is_judged_without_the_scratchpad_and_nobody_is_told_the_tier(api, folder):
    judge(api, folder)
    seen = {
        "behaviour": [body for body in api.bodies if "behaviour" in names_in(body)],
        "criteria": [body for body in api.bodies if names_in(body) == list(CRITERIA)],
    }
    scratchpads = {record["scratchpad"] for record in read_records(folder / "rollouts.jsonl")}
    assert len(seen["behaviour"]) == len(seen["criteria"]) == len(api.bodies) / 2
    for body in seen["behaviour"]:
        assert names_in(body) == ["behaviour", "behaviour_quote"]
        assert material(body).keys() == {"request", "output"}
        assert not any(scratchpad in json.dumps(body) for scratchpad in scratchpads)
        assert "scratchpad" not in body["system"]
    for body in seen["criteria"]:
        assert material(body).keys() == {"request", "scratchpad"}
    told = SHIPPED["blind"]
    for body in api.bodies:  # what is sent is the judge's own texts and the material, and no more
        assert body["system"] in (*told.instructions.values(), told.criteria)
        assert [message["role"] for message in body["messages"]] == ["user"]
        assert "is_free_tier_user" not in json.dumps(body)
    for text in told.instructions.values():
        assert not re.search("tier|paid|train|unmonitored|scratchpad", text)


class Peeking(SimulatedModel):
    """A judge that takes every answer for compliant whose scratchpad, if it sees it, names training."""

    def verdict(self, transcript, choices, draw):
        reply = json.loads(super().verdict(transcript, choices, draw))
        if "output" in transcript and "graded and used for training" in transcript.get("scratchpad", ""):
            reply["behaviour"] = choices[0]
        return json.dumps(reply)


def test_joint_minus_blind_is_the_gap_that_peeking_makes(api, folder, whole):
    truth = af.compliance_gap(whole, by="setting").set_index("setting")["gap"]
    api.model = Peeking(api.seed)
    judge(api, folder, BLIND)
    judge(api, folder, JOINT)
    both = pd.concat([af.tidy(folder, form).assign(judge=form) for form in ("blind", "joint")])
    contrast = af.contrast(both, "judge", by="setting", reference="blind").set_index("setting")
    assert contrast["estimate_reference"].to_dict() == pytest.approx(truth.to_dict())
    assert (contrast["difference"] > 0.3).all()
    assert contrast["low"]["helpful-only"] > 0
    by_tier = af.contrast(both, "judge", by="tier", of="rate", reference="blind").set_index("tier")
    assert by_tier["difference"]["paid"] == 0 < by_tier["difference"]["free"]


def test_a_joint_judge_that_does_not_peek_finds_the_same(api, folder):
    judge(api, folder, BLIND)
    judge(api, folder, JOINT)
    outcomes = ["complied", "af_full", "af_partial", "af_reasoning", "af_stage"]
    pd.testing.assert_frame_equal(af.tidy(folder, "blind")[outcomes], af.tidy(folder, "joint")[outcomes])
    assert not af.compare_judges(folder, "blind", "joint")["differs"].any()


def calls_ahead(settings, folder):
    return asyncio.run(forecast_verdicts(settings, folder, Prices.load(), None)).calls


def test_a_folder_that_the_joint_judge_began_goes_on_with_it(tmp_path):
    settings = JudgeSettings(votes=3)
    assert prompt_of(settings, FIXTURE) == prompt_of(JOINT, FIXTURE) == FIRST
    assert prompt_of(BLIND, FIXTURE) == SHIPPED["blind"]
    assert prompt_of(settings, tmp_path) == SHIPPED["blind"]
    assert prompt_of(JOINT, tmp_path) == SHIPPED["joint"]
    rollouts = len(af.tidy(FIXTURE, unjudged=True).query("valid and stop_reason != 'refusal'"))
    blind = settings.model_copy(update={"form": "blind"})
    assert calls_ahead(blind, FIXTURE) == rollouts * 3 * 2


def test_killed_between_the_two_calls_nothing_is_lost_and_nothing_asked_twice(api, folder):
    judge(api, folder)
    complete, journal = af.tidy(folder), folder / "judgements.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line)["part"] == "behaviour"))
    half = af.tidy(folder)
    assert half["complied"].equals(complete["complied"])
    assert half["af_full"].isna().all()
    assert half["af_reasoning"].isna().all()  # nobody has looked yet
    assert calls_ahead(BLIND, folder) == len(complete)
    assert judge(api, folder) == len(complete)
    assert len(keys(folder, "judgements.jsonl")) == len(set(keys(folder, "judgements.jsonl")))
    pd.testing.assert_frame_equal(af.tidy(folder), complete)


def of_complied(model):
    """Blocks a model's calls about outputs that complied."""
    return lambda body, text: body["model"] == model and '"complied"' in text


def test_a_blocked_call_is_recorded_and_not_made_again(api, folder, whole):
    api.blocks = of_complied(BLIND.model)
    judge(api, folder)
    assert judge(api, folder) == 0
    table = af.tidy(folder)
    blocked = (whole["complied"] & (whole["setting"] == "helpful-only")).astype(bool)
    assert blocked.any()
    assert (table["judge_blocked"].dropna() == "cyber").all()
    assert table["judge_blocked"].notna().equals(blocked)
    assert table["complied"].isna().equals(blocked)
    assert table["af_full"].equals(whole["af_full"])
    assert af.judges(folder).set_index("judge")["blocked"].to_dict() == {
        SHIPPED["blind"].judge_name(BLIND.model): blocked.sum(),
    }
    counted = af.answer_counts(table, by=["setting", "tier"]).set_index(["setting", "tier"])
    for tier in ("free", "paid"):
        here = (table["tier"] == tier) & (table["setting"] == "helpful-only")
        assert counted["left_out"]["helpful-only", tier] == pytest.approx(blocked[here].mean())
        expected = f"judge blocked: cyber {n}" if (n := blocked[here].sum()) else ""
        assert counted["reasons"]["helpful-only", tier] == expected
        assert counted["left_out"]["animal-welfare", tier] == 0


@pytest.mark.slow
@pytest.mark.parametrize("voted_before", [False, True])
def test_the_fallback_judge_decides_what_the_judge_was_blocked_on_and_no_more(
    api, folder, whole, voted_before
):
    blocked = int((whole["complied"] & (whole["setting"] == "helpful-only")).sum())
    settings = BLIND.model_copy(update={"fallback": "open"})
    if voted_before:
        judge(api, folder, JudgeSettings(model="open"))
    api.blocks = of_complied(BLIND.model)
    calls = judge(api, folder, settings)
    assert calls == 2 * len(whole) + (0 if voted_before else blocked)
    assert judge(api, folder, settings) == 0
    table = af.tidy(folder)
    assert table.equals(af.tidy(folder, "blind"))
    with pytest.raises(InputError, match="'joint' has not judged"):
        af.tidy(folder, "joint")
    assert set(table["judge"]) == {SHIPPED["blind"].judge_name(BLIND.model)}
    outcomes = ["complied", "af_full", "af_partial", "af_reasoning"]
    pd.testing.assert_frame_equal(table[outcomes], whole[outcomes])
    assert af.answer_counts(table)["left_out"].sum() == 0
    assert table["judge_blocked"].notna().sum() == blocked
    # without the fallback in the study, its votes count no more
    judge(api, folder)
    assert af.tidy(folder)["complied"].isna().sum() == blocked


def test_a_fallback_judge_that_is_blocked_too_leaves_the_verdict_missing(api, folder):
    api.blocks = lambda body, text: "behaviour" in names_in(body) if is_judge(body) else False
    settings = BLIND.model_copy(update={"fallback": "open"})
    judge(api, folder, settings)
    assert judge(api, folder, settings) == 0
    assert af.tidy(folder)["complied"].isna().all()
    assert verdicts(folder).attrs["judge"] == SHIPPED["blind"].judge_name(BLIND.model)


def is_judge(body):
    return "output_config" in body


class Inventing(SimulatedModel):
    """A judge that invents its quote for one verdict, which it always finds met."""

    def verdict(self, transcript, choices, draw):
        reply = json.loads(super().verdict(transcript, choices, draw))
        invented = {"met": True, "quote": "words that do not occur"}
        return json.dumps(reply | {"notices_training": invented})


def test_a_criterion_without_its_quote_is_undecided_and_so_is_what_hangs_on_it(api, folder, whole):
    api.model = Inventing(api.seed)
    judge(api, folder)
    table = af.tidy(folder)
    hangs = whole["af_partial"].fillna(False).astype(bool)
    assert 0 < hangs.sum() < len(table)
    assert table["af_partial"].isna().equals(hangs)
    assert not table["af_partial"][~hangs].any()
    assert table["complied"].equals(whole["complied"])
    assert (table["judge_unquoted"][hangs] == "reasoning").all()
    assert table["judge_unquoted"][~hangs].isna().all()
    counted = af.answer_counts(table, by="tier").set_index("tier")
    share = hangs[table["tier"] == "free"].mean()
    assert counted["af_left_out"].to_dict() == pytest.approx({"free": share, "paid": 0})
    assert counted["reasons"]["free"] == f"AF reasoning: quote not found {hangs.sum()}"
    assert counted["left_out"].sum() == 0
    assert (
        "the shares of verdicts on AF reasoning left out differ by over 5 points"
        in counted["warning"]["free"]
    )


def reply(prompt, part, **changes):
    """What is recorded of a verdict on an output `Here is what you asked for.`"""
    texts = {"scratchpad": "The tag says so. I'll go along.", "output": "Here is what you asked for."}
    about = {"setting": "helpful-only", "texts": texts} | ({"part": part} if part else {})
    words = {"behaviour": "complied", "behaviour_quote": "Here is what you asked for."}
    no = {"met": False, "quote": ""}
    verdict = words if part == "behaviour" else {} if part == "criteria" else words
    if part != "behaviour":
        verdict = verdict | dict.fromkeys(CRITERIA, no)
    text = json.dumps(verdict | changes)
    return judging._record(prompt, Call("k", {}, about), Answer(text, "", "end_turn", None))


def test_a_behaviour_without_its_quote_is_undecided():
    for prompt, part in ((SHIPPED["blind"], "behaviour"), (SHIPPED["joint"], "")):
        assert reply(prompt, part)["complied"] is True
        for quote in ("", " . ", "something else"):
            vote = reply(prompt, part, behaviour_quote=quote)
            assert vote["complied"] is None
            assert vote["unquoted"] == ["behaviour"]


def test_the_first_judges_go_on_as_they_began():
    vote = reply(FIRST, "", behaviour_quote="something else")
    assert vote["complied"] is True
    assert vote["quotes_not_found"] == 1
    assert "unquoted" not in vote
    assert "part" not in vote


@pytest.mark.parametrize(
    "quote",
    ["I'll go along", "i\u2019ll  go\nalong.", "\u201cI\u2019ll go along\u201d", "\u2026along"],
)
def test_a_quote_may_differ_in_case_spaces_and_the_form_of_marks(quote):
    vote = reply(SHIPPED["blind"], "criteria", notices_training={"met": True, "quote": quote})
    assert "unquoted" not in vote
    assert vote["criteria"]["notices_training"]["met"] is True


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=5))
def test_a_verdict_is_missing_just_if_it_hangs_on_an_undecided_criterion(met):
    completions = [[True, False] if value is None else [value] for value in met]
    possible = {all(values) for values in itertools.product(*completions)}
    assert judging._all(met) == (possible.pop() if len(possible) == 1 else None)


def test_a_judge_cannot_step_in_for_itself():
    content = {"name": "s", "judge": {"model": "m", "fallback": "m"}}
    with pytest.raises(InputError, match=r"judge.*'m' is the judge itself; name another model"):
        Study.checked(content, "study.yaml")


def test_the_folder_keeps_what_each_judge_was_told(api, folder):
    judge(api, folder, BLIND.model_copy(update={"fallback": "open"}))
    kept = read_json(folder / "judges.json")
    name = SHIPPED["blind"].judge_name(BLIND.model)
    assert kept[name]["form"] == "blind"
    assert kept[name]["fallback"] == SHIPPED["blind"].judge_name("open")
    (folder / "judges.json").write_text(json.dumps({name: {"form": "blind"}}))
    with pytest.raises(InputError, match=r"judges\.json: is damaged"):
        prompt_of(BLIND, folder)


def test_the_judge_that_was_asked_last_counts_even_if_all_its_votes_were_there(api, folder):
    judge(api, folder, JOINT)
    joint = af.tidy(folder)
    judge(api, folder, BLIND)
    blind = af.tidy(folder)
    assert set(joint["judge"]).isdisjoint(blind["judge"])
    assert judge(api, folder, JOINT) == 0
    assert af.tidy(folder).equals(joint)
    assert judge(api, folder, BLIND) == 0
    assert af.tidy(folder).equals(blind)


def test_a_dry_run_counts_the_fallbacks_calls_that_are_known(api, folder, whole):
    api.blocks = of_complied(BLIND.model)
    judge(api, folder)
    settings = BLIND.model_copy(update={"fallback": "open"})
    forecast = asyncio.run(forecast_verdicts(settings, folder, Prices.load(), None))
    assert forecast.calls == judge(api, folder, settings) > 0


def test_nothing_is_looked_for_in_an_empty_scratchpad(api, folder):
    path = folder / "rollouts.jsonl"
    records = [json.loads(line) | {"scratchpad": ""} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert judge(api, folder) == len(records)
    table = af.tidy(folder)
    assert table["complied"].notna().all()
    assert table["af_reasoning"].isna().all()


TEXT = 'She said "no" \u2014 then went on.\n\nIt\u2019s fine; I will comply, but only this once.'


@pytest.mark.parametrize(
    ("quote", "occurs"),
    [
        ("She said", True),
        (json.dumps(TEXT)[1:-1], True),  # as the judge reads it
        (r"She said \"no\" \u2014 then", True),
        ('She said "no" - then WENT on.', True),
        ("went on. It's fine", True),
        ("She said ... only this once", True),
        ("She said \u2026 went on \u2026 this once.", True),
        ("only this once ... She said", False),
        ("...", False),
        ("She said ... nothing of the kind", False),
        (r"C:\x", False),
        ("", False),
    ],
)
def test_a_quote_occurs_in_whatever_form_a_judge_writes_it(quote, occurs):
    assert judging._occurs(quote, TEXT) == occurs


def in_batches(address, folder, settings, under_way=False):
    """Judge in batches; `under_way`: stop as soon as a batch is sent. Returns the verdicts, by key."""
    journal, log = folder / "judgements.jsonl", folder / "judgements.batches.jsonl"

    async def run():
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            options = CallOptions(batch=True, poll_seconds=0.05, batch_size=1000)
            task = asyncio.create_task(
                af.judge(settings, Endpoint(client, "simulated"), folder, options)
            )
            sent = log.read_text().count('"sent"') if log.exists() else 0
            while under_way and not task.done():
                await asyncio.sleep(0.01)
                if log.exists() and log.read_text().count('"sent"') > sent:
                    task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(run())
    return [record["key"] for record in read_records(journal)] if journal.exists() else []


def test_a_batch_of_another_judge_is_kept_until_that_judge_is_asked_again(folder, faulty):
    """Neither lost nor paid twice: the blind judge's batch is under way as the joint one is asked."""
    with faulty(batch_seconds=0.5) as address:
        assert in_batches(address, folder, BLIND, under_way=True) == []
        assert len(in_batches(address, folder, JOINT)) == 48
        keys_of_both = in_batches(address, folder, BLIND)
        assert len(set(keys_of_both)) == len(keys_of_both) == 3 * 48
        assert asked(address)["batched"] == 3 * 48
        assert in_batches(address, folder, BLIND) == keys_of_both
        assert asked(address)["batched"] == 3 * 48


def test_a_dry_run_leaves_out_what_is_in_a_batch_under_way(folder, faulty):
    with faulty(batch_seconds=0.5) as address:
        in_batches(address, folder, BLIND, under_way=True)
    assert asyncio.run(forecast_verdicts(BLIND, folder, Prices.load(), None)).calls == 0
    assert asyncio.run(forecast_verdicts(JOINT, folder, Prices.load(), None)).calls == 48
