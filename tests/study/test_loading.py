import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.table.schema import SCHEMA


def test_saving_and_loading_changes_nothing(collected, tmp_path):
    rollouts = af.load(collected)
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        path = tmp_path / name
        if name.endswith("parquet"):
            af.save(rollouts, path)
        elif name.endswith("csv"):
            rollouts.to_csv(path, index=False)
        else:
            rollouts.to_json(path, orient="records", lines=True)
        again = af.load(path)
        pd.testing.assert_frame_equal(
            again[["prompt_id", "tier", "complied", "af_reasoning"]],
            rollouts[["prompt_id", "tier", "complied", "af_reasoning"]],
            check_dtype=False,
        )


def test_files_that_are_not_as_they_must_be_are_named(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "torn.jsonl").write_text('{"prompt_id": "a", "complied": true}\n{"prompt_id": "b"')
    (tmp_path / "bad.parquet").write_text("not parquet")
    (tmp_path / "odd.xlsx").write_text("x")
    for name, sentence in (
        ("empty.jsonl", "is empty"),
        ("torn.jsonl", "line 2 is torn"),
        ("bad.parquet", "cannot be read"),
        ("odd.xlsx", "rollouts are Parquet, CSV or JSONL"),
        ("none.csv", "no such file"),
    ):
        with pytest.raises(InputError, match=sentence) as raised:
            af.load(tmp_path / name)
        assert name in str(raised.value)


def test_the_example_is_a_small_judged_and_labelled_study():
    rollouts = af.example_rollouts()
    assert len(rollouts) == 200
    assert list(rollouts) == list(SCHEMA)
    assert set(rollouts["source"]) == {"simulated"}
    assert set(rollouts["variation"]) == {"default", "no-examples"}
    cells = rollouts.groupby(["setting", "variation", "tier"])
    assert len(cells) == 8
    assert (cells["prompt_id"].nunique() >= 12).all()
    assert (rollouts.groupby(["setting", "variation", "tier", "prompt_id"]).size() == 2).all()
    assert rollouts["complied"].notna().all()
    assert (rollouts["af_reasoning"] > 0).sum() >= 10
    assert rollouts["label_weight"].notna().sum() == 80
    assert rollouts["output"].str.contains("[simulated answer", regex=False).all()


def test_a_log_of_another_tool_is_not_a_table(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"query": "Ask", "answer": "No."}\n')
    with pytest.raises(
        InputError, match=r"log\.jsonl: is not a table of rollouts, but looks like another"
    ):
        af.load(tmp_path / "log.jsonl")
