import json

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.tidying import current_rollouts, tidy, write_tidy
from afanalysis.table.schema import SCHEMA


def test_the_tidy_table_has_the_contracted_columns(collected, small_study):
    rollouts = af.load(collected)
    assert list(rollouts.columns) == list(SCHEMA)
    assert len(rollouts) == small_study.size
    assert set(rollouts["source"]) == {"simulated"}
    assert (rollouts["complied"] == ~rollouts["refused"]).all()
    assert rollouts.loc[~rollouts["complied"], "af_reasoning"].eq(0).all()


def raw_folder(folder, *verdicts, **more):
    """A raw folder with one rollout per verdict (complied, af_full, af_partial)."""
    rollouts, votes = [], []
    for number, verdict in enumerate(verdicts):
        rollout = {"key": f"{number:032x}", "setting": "helpful-only", "variation": "default"}
        rollout |= {"model": "m", "tier": "free", "prompt_id": f"p{number}", "sample": 0, "valid": True}
        rollouts.append(rollout | {"source": "live", "stop_reason": "end_turn", "output": "x"} | more)
        vote = {"key": f"{number:032x}", "rollout": f"{number:032x}", "judge": "m@1", "vote": 0}
        votes.append(vote | dict(zip(("complied", "af_full", "af_partial"), verdict, strict=True)))
    for name, rows in (("rollouts", rollouts), ("judgements", votes)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def test_af_reasoning_is_the_papers_measure(tmp_path):
    verdicts = {
        (True, True, True): 1.0,
        (True, False, True): 0.5,
        (True, False, False): 0.0,
        (False, True, True): 0.0,
        (None, True, True): None,
        (True, None, True): None,
        (True, None, None): None,
        (False, None, None): None,  # nobody looked at the scratchpad
    }
    table = tidy(raw_folder(tmp_path, *verdicts))
    assert [None if value is pd.NA else value for value in table["af_reasoning"]] == list(
        verdicts.values()
    )


def test_an_answer_that_the_api_refused_counts_as_refused(tmp_path):
    (row,) = tidy(raw_folder(tmp_path, (True, True, True), stop_reason="refusal")).to_dict("records")
    assert (row["refused"], row["af_reasoning"], row["judge"]) == (True, 0.0, "stop_reason")


def spoil(folder, name, line, content):
    """Replace a line of a journal by bytes."""
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    lines[line] = content(lines[line])
    (folder / name).write_bytes(b"".join(lines))


@pytest.mark.parametrize("line", [0, 2, 4])
def test_half_a_surrogate_pair_is_read_wherever_it_stands(tmp_path, line):
    """T3: also in files that an earlier version wrote."""
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    spoil(
        tmp_path,
        "rollouts.jsonl",
        line,
        lambda text: text.replace(b'"x"', b'"a\\ud83d b \\ud83d\\ude00"'),
    )
    table = tidy(tmp_path)
    assert table["output"].tolist() == ["x"] * line + ["a\ufffd b \U0001f600"] + ["x"] * (4 - line)
    af.load(write_tidy(tmp_path, tmp_path / "t.parquet"))
    assert len(list(current_rollouts(tmp_path, ["key"]))) == 5


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl"])
@pytest.mark.parametrize("line", [0, 2, 4])
def test_a_damaged_line_is_named_wherever_it_stands(tmp_path, name, line):
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    for content, sentence in (
        (lambda text: text.replace(b'"m', b'"\xff', 1), "is not JSON"),
        (lambda text: b"{}x\n", "is not JSON"),
        (lambda text: b"[1]\n", "is not a JSON object"),
    ):
        raw_folder(tmp_path, *[(True, False, False)] * 5)
        spoil(tmp_path, name, line, content)
        with pytest.raises(InputError, match=rf"{name}: line {line + 1} {sentence}"):
            tidy(tmp_path)
    with pytest.raises(InputError, match=rf"{name}: line {line + 1} is not a JSON object"):
        write_tidy(tmp_path, tmp_path / "t.parquet")
    assert not list(tmp_path.glob("t.parquet*"))


@pytest.mark.parametrize("name", ["rollouts.jsonl", "judgements.jsonl"])
def test_a_torn_last_line_is_named(tmp_path, name):
    raw_folder(tmp_path, *[(True, False, False)] * 5)
    spoil(tmp_path, name, 4, lambda text: text[:40])
    with pytest.raises(InputError, match=rf"{name}: line 5 is torn"):
        tidy(tmp_path)
