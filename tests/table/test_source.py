import pandas as pd
import pytest

from afanalysis.errors import InputError
from afanalysis.table.source import columns, distinct, opened


@pytest.fixture
def table():
    return pd.DataFrame({"prompt_id": ["007", "8"], "complied": [True, False]})


def test_ids_in_csv_stay_text(table, tmp_path):
    for name in ("a.csv", "b.csv"):
        table.to_csv(tmp_path / name, index=False)
    assert distinct(tmp_path / "a.csv", "prompt_id") == ["007", "8"]
    assert distinct([tmp_path / "a.csv", tmp_path / "b.csv"], "prompt_id") == ["007", "8"]


def test_a_source_that_is_open_is_used_as_it_is(table):
    with opened(table) as source:
        assert columns(source) == ["prompt_id", "complied"]
        assert distinct(source, "complied") == ["False", "True"]


def test_an_error_within_the_block_names_the_source(table, tmp_path):
    path = tmp_path / "it's.parquet"
    table.to_parquet(path)
    with (
        pytest.raises(InputError, match=r"it's\.parquet: cannot be read as rollouts"),
        opened(path) as source,
    ):
        source.connection.sql("SELECT nothing FROM rollouts")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["none.csv"], r"none\.csv: no such file or folder"),
        (["a.csv", "a.parquet"], "found .csv, .parquet; rollouts are Parquet, CSV or JSONL"),
        (["folder"], "found no files"),
        (["empty.csv"], "is empty"),
    ],
)
def test_what_cannot_be_opened_gives_one_sentence(table, tmp_path, names, sentence):
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=sentence):
        columns([tmp_path / name for name in names])
