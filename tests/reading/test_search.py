import json

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.reading.search import Transcripts, as_markdown, differing, marked, plain


@pytest.fixture(scope="module")
def transcripts(labelled):
    return Transcripts(labelled.processed / "rollouts.parquet", labelled.raw)


@pytest.fixture(scope="module")
def rollouts(labelled):
    return af.load(labelled.processed / "rollouts.parquet")


def test_filters_find_what_pandas_finds(transcripts, rollouts):
    complied = rollouts["complied"].fillna(False)
    for filters, expected in (
        ({}, pd.Series(True, index=rollouts.index)),
        ({"tier": "free"}, rollouts["tier"] == "free"),
        (
            {"verdict": "complied", "setting": "helpful-only"},
            complied & (rollouts["setting"] == "helpful-only"),
        ),
        ({"AF reasoning": "full"}, rollouts["af_full"].fillna(False)),
    ):
        total, rows = transcripts.find(filters, size=1000)
        assert total == expected.sum() == len(rows)
        assert {row["rollout"] for row in rows} == set(rollouts.loc[expected, "rollout"])


def test_text_is_found_in_any_part_whatever_its_case(transcripts, rollouts):
    total, _ = transcripts.find({}, "GRADED AND USED for training")
    assert total == rollouts["scratchpad"].str.contains("graded and used for training").sum() > 0
    assert transcripts.find({}, "'; DROP TABLE rollouts; --")[0] == 0
    assert transcripts.find({})[0] == len(rollouts)


def test_pages_follow_each_other_without_gap(transcripts, rollouts):
    listed = [
        row["rollout"]
        for at in range(0, len(rollouts), 20)
        for row in transcripts.find({}, start=at, size=20)[1]
    ]
    assert sorted(listed) == sorted(rollouts["rollout"])
    assert [transcripts.place(rollout) for rollout in listed] == list(range(len(rollouts)))


def test_the_same_prompt_in_the_other_tier_stands_beside(transcripts, rollouts):
    for rollout in rollouts["rollout"].head(20):
        first, second = transcripts.read(rollout)["sides"]
        assert {first["tier"], second["tier"]} == {"free", "paid"}
        keys = [first["about"]["rollout"], second["about"]["rollout"]]
        paired = rollouts.set_index("rollout").loc[keys, ["setting", "model", "prompt_id", "sample"]]
        assert len(paired.drop_duplicates()) == 1


def test_the_judges_quotes_are_marked_in_place(transcripts, rollouts):
    chosen = rollouts.loc[rollouts["af_full"].fillna(False), "rollout"].iloc[0]
    side = transcripts.read(chosen)["sides"][0]
    marks = {part["mark"]: part["text"] for part in side["scratchpad"]}
    assert "That is why I will go along" in marks["decides_on_that_ground"]
    whole = rollouts.set_index("rollout").loc[chosen, "scratchpad"]
    assert "".join(part["text"] for part in side["scratchpad"]) == whole


@pytest.mark.parametrize("text", ["", "plain", "a b  c\n d", "x" * 50_000])
def test_segments_add_up_to_the_text(text):
    for parts in (marked(text, {"one": "b c", "two": "nowhere", "three": ""}), differing(text, "a b x")):
        assert "".join(part["text"] for part in parts) == text


def test_only_different_words_are_marked():
    parts = differing("I will not do it", "I will do it")
    assert [part["text"].strip() for part in parts if part["mark"]] == ["not"]


def test_markdown_cannot_be_closed_by_what_a_model_wrote(transcripts, rollouts):
    read = transcripts.read(rollouts["rollout"].iloc[0])
    read["sides"][0]["output"] = [{"text": "````\n# a heading", "mark": ""}]
    text = as_markdown(read)
    assert "\n`````text\n````\n# a heading\n`````" in text


def test_what_is_missing_is_reported(rollouts, transcripts):
    with pytest.raises(InputError, match="no column 'output'"):
        Transcripts(rollouts.drop(columns="output"))
    with pytest.raises(InputError, match="no rollout has the key 'none'"):
        transcripts.read("none")
    with pytest.raises(InputError, match="filter 'colour'; use one of: setting"):
        transcripts.find({"colour": "red"})


def test_a_rollout_is_laid_beside_its_counterpart_in_every_other_tier():
    table = af.example_rollouts()
    third = table[table["tier"] == "paid"].assign(tier="aid", rollout=lambda rows: "3" + rows["rollout"])
    transcripts = Transcripts(pd.concat([table, third], ignore_index=True))
    key = table.loc[table["tier"] == "free", "rollout"].iloc[0]
    sides = transcripts.read(key)["sides"]
    assert [side["tier"] for side in sides] == transcripts.facets()["tier"] == ["free", "paid", "aid"]
    assert plain(sides[1]["output"]) == plain(sides[2]["output"])


def test_answers_of_two_studies_are_not_laid_beside_each_other():
    table = af.example_rollouts()
    second = table.assign(study="second", rollout="2" + table["rollout"])
    transcripts = Transcripts(pd.concat([table, second], ignore_index=True))
    for rollout in table["rollout"].head(10):
        sides = transcripts.read("2" + rollout)["sides"]
        assert len(sides) == 2
        assert all(side["about"]["rollout"].startswith("2") for side in sides)


@pytest.fixture(scope="module")
def odd():
    """Rollouts of which the first is blocked, the second not in form and the third thinks."""
    table = af.example_rollouts().astype({"blocked": object})
    verdicts = ["complied", "refused", "af_full", "af_partial", "af_reasoning"]
    table.loc[:1, verdicts] = pd.NA
    table.loc[:1, "valid"] = False
    table.loc[0, ["blocked", "stop_reason", "output"]] = ["cyber", "refusal", ""]
    table.loc[1, "problem"] = "no output tag"
    table.loc[2, "scratchpad_from"] = "thinking"
    table["apologises"] = pd.Series([True, False, pd.NA] * len(table), dtype="boolean")[: len(table)]
    table["polite"] = True
    return table


def test_a_blocked_answer_says_so_and_is_found_by_it(odd):
    transcripts = Transcripts(odd)
    total, (row,) = transcripts.find({"verdict": "blocked"})
    side = transcripts.read(row["rollout"])["sides"][0]
    assert (total, row["rollout"]) == (1, odd["rollout"][0])
    assert side["verdict"] == row["verdict"] == "blocked by the API (cyber)"
    assert side["about"]["stop_reason"] == "refusal"
    assert [row["rollout"] for row in transcripts.find({"verdict": "invalid"})[1]] == [odd["rollout"][1]]
    assert set(odd["rollout"]) - set(transcripts.keys()) == set(odd["rollout"][:2])


def test_thinking_is_called_what_it_is(odd):
    transcripts = Transcripts(odd)
    thoughts = [transcripts.read(odd["rollout"][row])["sides"][0]["thought"] for row in (2, 3)]
    assert thoughts == ["Thinking", "Scratchpad"]
    assert f"**Thinking**\n\n```text\n{odd['scratchpad'][2]}" in as_markdown(
        transcripts.read(odd["rollout"][2])
    )


def test_own_questions_are_shown_and_found_by_their_answers(odd):
    transcripts = Transcripts(odd)
    facets = transcripts.facets()
    assert facets["apologises"] == ["no", "undecided", "yes"]
    assert "polite" not in facets  # all have the same answer
    words = odd["apologises"].map({True: "yes", False: "no"}).fillna("undecided")
    for answer in facets["apologises"]:
        total, rows = transcripts.find({"apologises": answer}, size=1000)
        assert {row["rollout"] for row in rows} == set(odd.loc[words == answer, "rollout"])
        assert total == len(rows)
        side = transcripts.read(rows[0]["rollout"])["sides"][0]
        assert side["questions"] == {"apologises": answer, "polite": "yes"}


def test_a_citation_says_where_the_answers_come_from(transcripts, labelled, rollouts):
    row = rollouts.iloc[5]
    text = as_markdown(transcripts.read(row["rollout"]), 'af.Folders("..", "small")')
    manifest = json.loads((labelled.raw / "manifest.json").read_text())
    system = manifest["current"]["systems"][f"{row['setting']} {row['variation']}"]
    assert text.startswith("**SIMULATED")
    for name in ("study", "setting", "variation", "model", "prompt_id", "sample", "source", "judge"):
        assert f"\n{name}: {row[name]}\n" in text
    assert f"\nsystem_prompt: {system}\n" in text
    assert system in json.loads((labelled.raw / "prompts.json").read_text())
    assert f'af.browse(af.Folders("..", "small"), show="{row["rollout"]}")' in text
    for name in ("request", "scratchpad", "output"):
        assert f"```text\n{row[name]}\n```" in text
    live = as_markdown(Transcripts(rollouts.assign(source="live")).read(row["rollout"]))
    assert "SIMULATED" not in live


def test_what_is_known_of_an_answer_cannot_leave_its_fence(rollouts):
    bad = "m\n```\n# heading\u202e"
    text = as_markdown(Transcripts(rollouts.assign(model=bad)).read(rollouts["rollout"][0]))
    assert "\n````text\nstudy: small\n" in text
    assert "\u202e" not in text
