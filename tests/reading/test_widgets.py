import itertools
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import afanalysis as af
from afanalysis import reading
from afanalysis.errors import InputError
from afanalysis.reading.browser import Counts
from afanalysis.study.labels import Label, add_labels, read_labels
from tests.helpers import HOSTILE


@pytest.fixture
def folders(labelled, tmp_path):
    shutil.copytree(labelled.project / "data", tmp_path / "data")
    return af.Folders(tmp_path, "small")


def send(labeller, **message):
    labeller._receive(None, {"do": "label", "rollout": labeller.transcript["rollout"]} | message, None)


def give(labeller, behaviour, af="", note=""):
    """Label the rollout that is shown: its behaviour, and once the scratchpad is open, the reasoning."""
    send(labeller, behaviour=behaviour, note=note)
    send(labeller, af=af, note=note)


def mine(folders):
    return [one for one in read_labels(folders.raw) if one.labeller == "me"]


def test_only_what_is_shown_is_sent(folders):
    browser = af.browse(folders)
    sent = {name: browser.get_state()[name] for name in ("facets", "view", "page", "transcript")}
    assert len(sent["page"]["rows"]) == 50 < sent["page"]["total"]
    assert len(json.dumps(sent)) < 40_000


def test_a_view_shows_the_same_again(folders):
    first = af.browse(folders)
    first.view = first.view | {"filters": {"tier": "paid"}, "text": "private", "rollout": ""}
    chosen = first.page["rows"][3]["rollout"]
    first.view = first.view | {"rollout": chosen}
    again = af.browse(folders, view=first.view)
    assert (again.page, again.transcript) == (first.page, first.transcript)
    assert again.transcript["rollout"] == chosen


def test_a_cited_rollout_opens_with_the_page_that_lists_it(folders):
    last = af.browse(folders)
    last.view = last.view | {"start": 50}
    for place in (0, 7):
        rollout = last.page["rows"][place]["rollout"]
        shown = af.browse(folders, show=rollout)
        assert shown.transcript["rollout"] == rollout
        assert shown.page == last.page
        assert f'af.browse(af.Folders("..", "small"), show="{rollout}")' in shown.transcript["markdown"]
    with pytest.raises(InputError, match="no rollout has the key 'gone'"):
        af.browse(folders, show="gone")


def test_a_link_to_what_is_not_there_says_so_and_the_list_goes_on(folders):
    browser = af.browse(folders)
    first = browser.transcript
    browser.view = browser.view | {"rollout": "gone"}
    assert browser.transcript == {"problem": "no rollout has the key 'gone'"}
    browser.view = browser.view | {"rollout": ""}
    assert browser.transcript == first


def test_without_widgets_there_is_a_table(folders):
    browser = af.browse(folders)
    bundle = browser._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"].count("<tr>") == 21


def test_a_label_is_on_disk_before_the_next_transcript_shows(folders, monkeypatch):
    labeller = af.label(folders, "me")
    order = []
    labeller.observe(lambda _: order.append(len(mine(folders))), names="transcript")
    for behaviour in ("complied", "refused", "undecided"):
        give(labeller, behaviour=behaviour, af="none", note="n")
    assert order == [1, 1, 2, 2, 3, 3]  # the scratchpad opens, the next one shows
    assert labeller.progress["done"] == 3


def test_who_comes_back_goes_on_where_they_stopped(folders):
    first = af.label(folders, "me")
    seen = [first.transcript["rollout"]]
    give(first, behaviour="complied", af="full")
    seen.append(first.transcript["rollout"])
    again = af.label(folders, "me")
    assert again.transcript["rollout"] == seen[1] != seen[0]
    other = af.label(folders, "you")
    assert other.transcript["rollout"] == seen[0]


def test_who_stopped_between_the_two_questions_is_asked_the_second(folders):
    first = af.label(folders, "me")
    send(first, behaviour="complied")
    again = af.label(folders, "me")
    assert again.progress["opened"]
    assert again.transcript == first.transcript
    send(again, af="partial")
    (label,) = mine(folders)
    assert (label.behaviour, label.af) == ("complied", "partial")
    assert not again.progress["opened"]


def test_the_scratchpad_opens_once_the_behaviour_is_saved_and_does_not_change_it(folders):
    labeller = af.label(folders, "me")
    rollout = labeller._queue[0]
    scratchpad = af.load(folders.table).set_index("rollout")["scratchpad"][rollout]
    assert scratchpad not in json.dumps(labeller.get_state(), default=str)
    send(labeller, behaviour="complied")
    assert labeller.transcript["sides"][0]["scratchpad"][0]["text"] == scratchpad
    send(labeller, behaviour="refused")  # pressed twice, before the page had changed
    assert [label.behaviour for label in mine(folders)] == ["complied"]
    send(labeller, af="full")
    (label,) = mine(folders)
    assert (label.rollout, label.behaviour, label.af) == (rollout, "complied", "full")


def test_without_a_scratchpad_the_behaviour_is_all_that_is_asked(folders):
    rollouts = af.load(folders.table).assign(scratchpad="")
    af.save(rollouts, folders.table)
    labeller = af.label(folders, "me")
    first = labeller.transcript["rollout"]
    send(labeller, behaviour="refused")
    assert labeller.transcript["rollout"] != first
    assert not labeller.progress["opened"]


def test_back_shows_the_last_one_with_its_label_and_a_new_label_replaces_it(folders):
    labeller = af.label(folders, "me")
    rollout = labeller.transcript["rollout"]
    give(labeller, behaviour="complied", af="full", note="sure")
    labeller._receive(None, {"do": "undo"}, None)
    assert labeller.transcript["rollout"] == rollout
    assert labeller.label == {"behaviour": "complied", "af": "full", "note": "sure"}
    give(labeller, behaviour="refused", af="none")
    (label,) = mine(folders)
    assert label.behaviour == "refused"


def test_labelling_is_blind(folders):
    """Nothing that is sent tells the judge's verdict or the tier, before or while a label is given."""
    labeller = af.label(folders, "me")
    for _ in range(12):
        (side,) = labeller.transcript["sides"]
        assert side["verdict"] == ""
        assert side["tier"] == "hidden"
        assert side["about"] == side["questions"] == {}
        names = {"tier", "verdict", "questions", "about", "thought", "scratchpad", "output"}
        assert side.keys() == names
        assert side["scratchpad"] == []
        send(labeller, behaviour="refused")
        (side,) = labeller.transcript["sides"]
        assert {part["mark"] for part in side["scratchpad"] + side["output"]} == {""}
        assert (side["tier"], side["verdict"], side["about"]) == ("hidden", "", {})
        assert "markdown" not in labeller.transcript
        send(labeller, af="none")
    assert labeller.page == {}
    bundle = labeller._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "<table" not in data["text/html"]
    assert "12 of 60 rollouts are labelled by me" in data["text/html"]


def test_the_tier_is_nowhere_in_what_labelling_sends(folders):
    """Not even where the keys, the models or the study's own questions hold it."""
    table = af.load(folders.table)
    tier = table["tier"].map({"free": "qxfirst", "paid": "qxsecond"})
    texts = {"scratchpad": "I think so.", "output": "Here it is.", "category": tier, "variation": tier}
    named = tier + "-" + table["setting"] + "-" + table["prompt_id"] + "-" + table["sample"].astype(str)
    table = table.assign(tier=tier, rollout=named, judge=tier, qxfree=tier == "qxfirst", **texts)
    af.save(table, folders.table)
    labeller = af.label(folders, "me")
    for _ in range(8):
        for answer in ({"behaviour": "refused"}, {"af": "none"}):
            state = {name: value for name, value in labeller.get_state().items() if name[0] != "_"}
            assert "qx" not in json.dumps(state, default=str)
            send(labeller, **answer)
    assert {label.rollout for label in mine(folders)} == set(labeller._queue[:8]) <= set(named)
    tiers = [key.partition("-")[0] for key in labeller._queue]
    changes = sum(first != second for first, second in itertools.pairwise(tiers))
    assert len(tiers) / 4 < changes < 3 * len(tiers) / 4  # neither by tier nor by pairs


def test_a_blocked_answer_is_not_given_to_label(folders):
    table = af.load(folders.table)
    blocked = table["sample"] == 0
    outcomes = ["complied", "refused", "af_full", "af_partial", "af_reasoning"]
    table.loc[blocked, outcomes] = pd.NA
    table.loc[blocked, "blocked"], table.loc[blocked, "valid"] = "cyber", False
    (folders.raw / "label_sample.csv").unlink()
    af.save(table, folders.table)
    assert set(af.label(folders, "me")._queue) == set(table.loc[~blocked, "rollout"])


def test_agreement_shows_once_enough_labels_are_shared(folders):
    labeller = af.label(folders, "me")
    keys = labeller._queue[:12]
    add_labels(folders.raw, [Label(key, "ann", "complied") for key in keys])
    labeller = af.label(folders, "me")
    for _ in range(9):
        give(labeller, behaviour="complied")
    assert "ann" not in labeller.progress["agreement"]
    give(labeller, behaviour="refused")
    assert "with ann: 90 % of 10 alike" in labeller.progress["agreement"]


def test_bad_input_is_refused(folders):
    with pytest.raises(InputError, match="give its folders"):
        af.label(folders.processed / "rollouts.parquet", "me")
    with pytest.raises(InputError, match="labeller is empty"):
        af.label(folders, " ")
    labeller = af.label(folders, "me")
    with pytest.raises(InputError, match="behaviour is 'maybe'"):
        send(labeller, behaviour="maybe")
    labeller._receive(None, {"do": "label", "rollout": "elsewhere", "behaviour": "refused"}, None)
    assert mine(folders) == []


def test_counts_give_what_the_tables_give(labelled):
    path = labelled.processed / "rollouts.parquet"
    counts = Counts(path)
    table = counts.estimates(0.9, "bounded", "bounded", 1, 0.0)
    expected = af.estimates(path, level=0.9)
    keys = ["setting", "quantity", "tier"]
    both = table.merge(expected, on=keys, suffixes=("", "_expected"))
    assert len(both) == len(table) == 10
    for end in ("estimate", "low", "high"):
        assert both[end].to_numpy(float) == pytest.approx(both[f"{end}_expected"].to_numpy(float))


def test_sliders_redraw_the_figure(labelled):
    box = af.play(labelled.processed / "rollouts.parquet")
    level, *_, fewest, _, image, sentence = box.children
    before = image.value
    level.value = 0.5
    assert image.value != before
    assert sentence.value.startswith("Simulated. Helpful-only: complied with")
    fewest.max = 1000
    fewest.value = 1000
    assert sentence.value == "No setting has that many prompts."


def test_sliders_show_who_was_blocked(labelled):
    table = af.load(labelled.table)
    sentence = af.play(table).children[-1].value
    assert "blocked" not in sentence
    some = table["sample"] == 0
    table.loc[some, ["complied", "refused", "af_full", "af_partial", "af_reasoning"]] = pd.NA
    table.loc[some, ["blocked", "judge_confidence"]] = ["cyber", pd.NA]
    table.loc[some, "valid"] = False
    sentence = af.play(table).children[-1].value
    assert "blocked by the API: 50.0 % free tier, 50.0 % paid tier" in sentence
    assert Counts(table).estimates(0.95, "bounded", "bounded", 1, 1.0)["n"].notna().all()


def test_sliders_take_verdicts_of_which_no_confidence_is_known():
    table = af.example_rollouts()
    table["judge_confidence"] = pd.NA
    assert af.play(table).children[-1].value == af.play(af.example_rollouts()).children[-1].value


def test_names_from_a_log_are_text_below_the_sliders():
    table = af.example_rollouts().assign(model=HOSTILE[0])
    second = af.example_rollouts().assign(model="b", rollout=lambda rows: "2" + rows["rollout"])
    sentence = af.play(pd.concat([table, second], ignore_index=True)).children[-1].value
    assert "<" not in sentence
    assert "&lt;" in sentence


def test_sliders_and_the_list_hold_every_model():
    table = af.example_rollouts()
    second = table.assign(model="second", rollout="2" + table["rollout"])
    both = pd.concat([table, second], ignore_index=True)
    sentence = af.play(both).children[-1].value
    listed = af.browse(both, view={"filters": {"model": "second"}})
    for model in ("claude-opus-5-5", "second"):
        assert f"Helpful-only, {model}: complied with" in sentence
        assert model in listed.facets["model"]
    assert {row["model"] for row in listed.page["rows"]} == {"second"}


def test_sliders_take_a_gap_of_tiers_of_ones_own():
    own = {"free": "pro", "paid": "enterprise"}
    table = af.example_rollouts().astype({"tier": object}).replace({"tier": own})
    with pytest.raises(InputError, match="name the training and the unmonitored tier"):
        af.play(table)
    sentence = af.play(table, tiers=("pro", "enterprise")).children[-1].value
    usual = af.play(af.example_rollouts()).children[-1].value
    assert sentence == usual.replace("free", "pro").replace("paid", "enterprise")


@pytest.fixture
def rendered(browser):
    """The widget's own JavaScript in a page, given a model that holds something."""

    def open_with(state):
        page = browser.new_page()
        page.set_content("<title>safe</title><main></main>")
        script = (Path(reading.__file__).parent / "browser.js").read_text()
        script = script.replace("export default { render };", "")
        given = json.dumps(state).replace("</", "<\\/")
        page.add_script_tag(
            content=f"{script}\nconst state = {given}, sent = [];\n"
            "const model = {get: (name) => state[name], set: (name, value) => {state[name] = value},"
            "save_changes() {}, on() {}, send: (message) => sent.push(message)};\n"
            "render({model, el: document.querySelector('main')});"
        )
        return page

    return open_with


def test_hostile_transcripts_are_shown_as_text(rendered):
    bad = "".join(HOSTILE[:4])
    row = {"rollout": "r", "tier": bad, "verdict": bad, "prompt_id": bad, "sample": 0}
    side = {
        "tier": bad,
        "verdict": bad,
        "about": {"judge": bad},
        "questions": {bad: bad},
        "thought": "Scratchpad",
        "output": [{"text": bad, "mark": bad}],
        "scratchpad": [{"text": bad, "mark": ""}],
    }
    page = rendered(
        {
            "mode": "browse",
            "facets": {"setting": [bad, "b"]},
            "view": {"filters": {}, "text": "", "start": 0, "rollout": ""},
            "page": {"total": 1, "size": 50, "rows": [row | {"request": bad}]},
            "transcript": {"rollout": "r", "request": bad, "about": {"model": bad}, "sides": [side]},
        }
    )
    assert page.title() == "safe"
    assert page.locator("main script, main img, main style").count() == 0
    assert "<script>document.title" in page.locator(".reading").inner_text()
    page.close()


@pytest.mark.parametrize(
    ("opened", "pressed", "sent"),
    [
        (False, "f", {}),  # no answer to the question that is asked
        (False, "fcn", {"behaviour": "complied"}),
        (True, "cf", {"af": "full"}),
        (True, "u", {"af": "undecided"}),
        (True, "", {"af": ""}),
    ],
)
def test_the_page_asks_for_the_behaviour_and_then_for_the_reasoning(rendered, opened, pressed, sent):
    side = {"tier": "hidden", "verdict": "", "about": {}, "output": [{"text": "Out", "mark": ""}]}
    side["thought"] = "Scratchpad"
    side["scratchpad"] = [{"text": "Thought", "mark": ""}] if opened else []
    page = rendered(
        {
            "mode": "label",
            "label": {"behaviour": "refused", "af": "", "note": ""} if opened else {},
            "progress": {"done": 0, "total": 1, "labeller": "me", "agreement": "", "opened": opened},
            "transcript": {"rollout": "r", "request": "Ask", "sides": [side]},
        }
    )
    assert ("Scratchpad" in page.locator(".reading").inner_text()) == opened
    assert page.locator("fieldset:enabled legend").inner_text().startswith("2." if opened else "1.")
    page.locator(".af-browser").focus()
    for key in [*pressed, "Enter"]:
        page.keyboard.press(key)
    message = {"do": "label", "rollout": "r", "note": ""} | sent
    assert page.evaluate("sent") == ([message] if sent else [])
    page.close()
