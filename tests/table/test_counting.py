import pandas as pd
import pytest

from afanalysis.errors import InputError
from afanalysis.study.tidying import tidy
from afanalysis.table.counting import NUMBERS, counts


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "prompt_id": list("aaabbb"),
            "tier": ["free", "free", "paid"] * 2,
            "complied": pd.array([True, None, False, True, False, True], dtype="boolean"),
            "valid": [True, True, True, True, True, False],
        }
    )


@pytest.mark.parametrize("kind", ["frame", "parquet", "csv", "jsonl", "parts"])
def test_counts_are_the_same_from_every_kind_of_source(table, tmp_path, kind):
    source: object = table
    if kind == "parquet":
        source = tmp_path / "a.parquet"
        table.to_parquet(source)
    elif kind == "csv":
        source = tmp_path / "a.csv"
        table.to_csv(source, index=False)
    elif kind == "jsonl":
        source = tmp_path / "a.jsonl"
        table.to_json(source, orient="records", lines=True)
    elif kind == "parts":
        source = tmp_path / "parts"
        for tier, part in table.groupby("tier"):
            folder = source / f"tier={tier}"
            folder.mkdir(parents=True)
            part.drop(columns="tier").to_parquet(folder / "0.parquet")
    counted = counts(source, "complied", ["tier"]).set_index(["tier", "prompt_id"])
    assert counted["n"].to_dict() == {
        ("free", "a"): 1,
        ("free", "b"): 2,
        ("paid", "a"): 1,
        ("paid", "b"): 0,
    }
    assert counted.loc[("free", "a"), "n_missing"] == 1
    assert counted.loc[("paid", "b"), "n_invalid"] == 1
    assert counted["s"].tolist() == [1, 1, 0, 0]


def test_nan_counts_as_missing(table):
    table["complied"] = table["complied"].astype("Float64").astype(float)
    assert counts(table, "complied", [])["n_missing"].sum() == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.drop(columns="prompt_id"), "no column 'prompt_id'"),
        (lambda t: t.drop(columns="complied"), "no column 'complied'"),
        (lambda t: t.iloc[:0], "the table is empty"),
        (lambda t: t.assign(complied=[2, 0, 1, 0, 1, 1]), "an outcome must lie in 0-1"),
        (lambda t: t.assign(complied=["yes"] * 6), "an outcome is true/false or 0-1"),
    ],
)
def test_a_table_that_is_not_as_it_must_be_gives_one_sentence(table, change, sentence):
    with pytest.raises(InputError, match=sentence):
        counts(change(table), "complied", ["tier"])


def test_counts_of_parts_add_up_to_counts_of_the_whole_in_any_order(collected):
    table = tidy(collected)
    by = ["setting", "tier"]
    whole = counts(table, ["complied", "af_reasoning"], by)
    parts = [counts(table.iloc[start::3], ["complied", "af_reasoning"], by) for start in range(3)]
    for order in ([0, 1, 2], [2, 0, 1]):
        table = pd.concat([parts[number] for number in order])
        keys = [name for name in table if name not in NUMBERS]
        added = table.groupby(keys, dropna=False, as_index=False).sum()
        expected = whole.sort_values(keys, ignore_index=True)
        pd.testing.assert_frame_equal(added[list(whole)], expected, check_dtype=False)


def test_a_prompt_whose_outcomes_are_all_missing_counts_none(table):
    table = table.drop(columns="valid").assign(complied=pd.array([pd.NA] * 6, dtype="boolean"))
    counted = counts(table, "complied", [])
    assert counted[["n", "s", "n_missing"]].to_numpy().tolist() == [[0, 0, 3], [0, 0, 3]]
