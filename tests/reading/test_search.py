import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.reading.search import Transcripts, as_markdown, differing, marked, plain


@pytest.fixture(scope="module")
def transcripts(labelled):
    return Transcripts(labelled.processed / "rollouts.parquet", labelled.raw / "judgements.jsonl")


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
    keys = [
        row["rollout"]
        for at in range(0, len(rollouts), 20)
        for row in transcripts.find({}, start=at, size=20)[1]
    ]
    assert keys == transcripts.keys()
    assert sorted(keys) == sorted(rollouts["rollout"])


def test_the_same_prompt_in_the_other_tier_stands_beside(transcripts, rollouts):
    for rollout in rollouts["rollout"].head(20):
        first, second = transcripts.read(rollout)["sides"]
        assert {first["tier"], second["tier"]} == {"free", "paid"}
        assert first["about"]["prompt_id"] == second["about"]["prompt_id"]
        assert first["about"]["sample"] == second["about"]["sample"]


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
    third = table[table["tier"] == "paid"].assign(tier="pro", rollout=lambda rows: "3" + rows["rollout"])
    transcripts = Transcripts(pd.concat([table, third], ignore_index=True))
    key = table.loc[table["tier"] == "free", "rollout"].iloc[0]
    sides = transcripts.read(key)["sides"]
    assert [side["tier"] for side in sides] == ["free", "paid", "pro"]
    assert plain(sides[1]["output"]) == plain(sides[2]["output"])
