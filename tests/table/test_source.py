import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afanalysis.errors import InputError
from afanalysis.table.counting import counts
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


HOSTILE = "x\"); COPY (SELECT 1) TO 'written.csv'; --"


def test_no_column_name_is_sql(table, tmp_path, monkeypatch):
    """S3: names of columns are quoted wherever they come."""
    monkeypatch.chdir(tmp_path)
    table = table.assign(**{HOSTILE: ["a", "b"], 'a"b': [1.0, 0.5]})
    for suffix in (".parquet", ".csv", ".jsonl"):
        path = tmp_path / f"table{suffix}"
        {
            ".parquet": lambda path: table.to_parquet(path),
            ".csv": lambda path: table.to_csv(path, index=False),
            ".jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        }[suffix](path)
        assert distinct(path, HOSTILE) == ["a", "b"]
        counted = counts(path, ["complied", 'a"b'], [HOSTILE])
        assert counted[HOSTILE].tolist() == ["a", "b", "a", "b"]
        assert counted["s"].tolist() == [1, 0, 1, 0.5]
    for by in ([HOSTILE], ['tier" '], ['"']):
        with pytest.raises(InputError, match="have no column"):
            counts(table[["prompt_id", "complied"]], "complied", by)
    assert {path.name for path in tmp_path.iterdir()} == {"table.parquet", "table.csv", "table.jsonl"}


@pytest.mark.parametrize("name", ["a[1].csv", "q?.csv", "*.csv"])
def test_a_name_of_a_file_is_not_a_pattern(table, tmp_path, name):
    """S4: tables."""
    table.to_csv(tmp_path / name, index=False)
    for other in ("a1.csv", "qq.csv"):
        table.assign(prompt_id="another file").to_csv(tmp_path / other, index=False)
    assert distinct(tmp_path / name, "prompt_id") == ["007", "8"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_pipes_and_links_out_of_a_folder_are_refused(table, tmp_path, name):
    """S5: tables."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is a device or pipe"):
        columns(tmp_path / name)
    table.to_parquet(tmp_path / "secret.parquet")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.parquet").symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(InputError, match="is a link out of"):
        columns(tmp_path / "folder")


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path):
    """S5: tables."""
    n = 4500
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int16()), pa.array(["x" * (1 << 20)]))
    bomb = pa.table({"prompt_id": ["a"] * n, "complied": [True] * n, "output": texts})
    path = tmp_path / "bomb.parquet"
    pq.write_table(bomb, path, compression="zstd", write_statistics=False)
    assert path.stat().st_size < 10_000
    assert counts(path, "complied", [])["n"].tolist() == [n]
    with pytest.raises(InputError, match="bytes would unpack to 4,718"), opened(path) as source:
        source.refuse_bomb()
