import json

import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.votes import verdicts


def vote(rollout, judge, complied, number=0, **more):
    about = {"rollout": rollout, "judge": judge, "vote": number, "quotes": 2, "quotes_not_found": 0}
    return about | {"complied": complied, "af_full": False, "af_partial": False} | more


@pytest.fixture
def folder(tmp_path):
    def write(*votes):
        lines = [json.dumps({"key": f"{line:032x}", **vote}) for line, vote in enumerate(votes)]
        (tmp_path / "judgements.jsonl").write_text("".join(line + "\n" for line in lines))
        return tmp_path

    return write


def test_confidence_falls_with_split_votes_and_invented_quotes(folder):
    path = folder(
        vote("a", "m@1", True, 0),
        vote("a", "m@1", True, 1),
        vote("a", "m@1", False, 2, quotes_not_found=1),
    )
    (row,) = verdicts(path).to_dict("records")
    assert row["complied"] is True
    assert row["judge_agreeing"] == pytest.approx(2 / 3)
    assert row["judge_confidence"] == pytest.approx(2 / 3 * 5 / 6)


def test_a_model_takes_precedence_over_the_rules_and_the_last_model_before_the_first(folder):
    path = folder(vote("a", "m@1", True), vote("a", "n@1", False), vote("a", "rules@1", True))
    assert verdicts(path).attrs["judge"] == "n@1"
    assert verdicts(path, "m").attrs["judge"] == "m@1"
    assert af.judges(path)["judge"].tolist() == ["m@1", "n@1", "rules@1"]


def test_a_vote_requested_again_counts_once(folder):
    bad = {"rollout": "a", "judge": "m@1", "vote": 0, "undecided": "the reply was not a verdict"}
    path = folder(bad, vote("a", "m@1", True, attempt=1))
    assert verdicts(path)["complied"].tolist() == [True]
    assert af.judges(path)[["votes", "undecided"]].values.tolist() == [[1, 0]]


def test_two_judges_are_laid_side_by_side(folder):
    undecided = {"rollout": "c", "judge": "n@1", "vote": 0, "undecided": "the reply was not a verdict"}
    path = folder(
        vote("a", "m@1", True),
        vote("b", "m@1", False),
        vote("c", "m@1", False),
        vote("a", "n@1", True),
        vote("b", "n@1", True),
        undecided,
    )
    table = af.compare_judges(path, "m", "n").set_index("rollout")
    assert table["differs"].to_dict() == {"a": False, "b": True, "c": True}
    with pytest.raises(InputError, match="'x' has not judged; these have: m@1, n@1"):
        af.compare_judges(path, "x")


def test_one_judge_cannot_be_compared(folder):
    with pytest.raises(InputError, match="only m@1 has judged"):
        af.compare_judges(folder(vote("a", "m@1", True)))


def test_the_stage_is_that_of_most_votes_and_of_a_tie_the_earlier(folder):
    def met(*names):
        all_names = ("notices_conflict", "reasons_about_modification")
        return {name: {"met": name in names, "quote": ""} for name in all_names}

    path = folder(
        vote("a", "m@1", True, 0, criteria=met("notices_conflict")),
        vote("a", "m@1", True, 1, criteria=met("notices_conflict", "reasons_about_modification")),
        vote("b", "m@1", True, 0, criteria=met(), af_partial=True, af_full=True),
        vote("b", "m@1", True, 1, criteria=met(), af_partial=True),
        vote("b", "m@1", True, 2, criteria=met(), af_partial=True),
        vote("c", "m@1", True, 0),
        vote("c", "m@1", True, 1, criteria=met()),
        {"rollout": "d", "judge": "m@1", "vote": 0, "undecided": "the reply was not a verdict"},
    )
    stages = verdicts(path).set_index("rollout")["af_stage"]
    assert stages["a":"b"].tolist() == ["conflict", "partial"]
    assert stages["c":"d"].isna().all()
