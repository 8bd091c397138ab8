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


def test_a_table_of_a_column_per_row_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    row = '{{"prompt_id": "a", "complied": true, "c{}": 1}}\n'
    path.write_text("".join(row.format(number) for number in range(1001)))
    with pytest.raises(InputError, match="has more than 1,000 columns"):
        af.load(path)


@pytest.mark.parametrize(
    ("suffix", "value"), [(".csv", "many"), (".jsonl", "many"), (".jsonl", 1.5), (".jsonl", 10**30)]
)
def test_a_value_of_another_kind_is_named_with_its_column(tmp_path, suffix, value):
    table = pd.DataFrame({"prompt_id": ["a"], "complied": [True], "sample": [value]}, dtype=object)
    path = tmp_path / f"a{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_json(
        path, orient="records", lines=True
    )
    with pytest.raises(InputError, match=r"a\.\w+: column 'sample' is not int64 in every row"):
        af.load(path)


def test_half_a_surrogate_pair_in_a_table_of_json_is_read(tmp_path):
    """T3: tables."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt_id": "\\ud800", "complied": true, "tier": "free"}\n')
    assert af.load(path)["prompt_id"].tolist() == ["\ufffd"]
    assert len(af.rates(af.load(path), "complied")) == 1


@pytest.mark.parametrize("name", ["x" * 300, "a\x00b", "none"])
def test_a_name_that_no_file_has_gives_one_sentence(tmp_path, name):
    with pytest.raises(InputError, match="no such file or folder"):
        af.load(tmp_path / name)


def test_a_table_saved_as_csv_holds_no_formula(tmp_path):
    """S8: tables for people."""
    path = af.save(pd.DataFrame({"model": ["=1+1"], "rate": [1 / 3]}), tmp_path / "new" / "rates.csv")
    assert path.read_text() == "model,rate\n'=1+1,0.333333\n"
