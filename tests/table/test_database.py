import os
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from afanalysis.table.database import connect, quote_names, quote_path, quote_target


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO 'written.csv'",
        "COPY (SELECT 1) TO '{temporary}/written.csv'",
        "COPY (SELECT 1) TO '{folder}/a.parquet.csv'",
        "EXPORT DATABASE '{folder}/exported'",
        "ATTACH '{folder}/attached.db'",
        "FROM '/etc/passwd'",
        "FROM read_text('/etc/passwd')",
        "FROM read_csv('{folder}/other.csv')",
        "FROM glob('/etc/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM read_csv('https://example.invalid/a.csv')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "SET temp_directory = '.'",
    ],
)
def test_sql_reaches_nothing_but_the_named_files(table, sql):
    """S3: external access is off, the settings are locked."""
    (table.parent / "other.csv").write_text("a\n1\n")
    before = set(table.parent.iterdir())
    connection = connect(table)
    with pytest.raises(duckdb.Error):
        connection.execute(sql.format(folder=table.parent, temporary=tempfile.gettempdir()))
    assert set(table.parent.iterdir()) == before
    assert connection.execute(f"FROM read_parquet({quote_path(table)})").fetchall() == [(1,)]


def test_what_does_not_fit_into_memory_goes_to_the_systems_temporary_folder(table):
    [(folder,)] = connect(table).execute("SELECT current_setting('temp_directory')").fetchall()
    assert Path(folder).parent == Path(tempfile.gettempdir())
    assert not os.path.exists(folder)


@pytest.mark.parametrize(
    "name", ["a[1].parquet", "q?.parquet", "*.parquet", "[!a].parquet", "**", "it's", "a{b,c}", "é\n"]
)
def test_the_name_of_a_file_is_never_a_pattern(tmp_path, name):
    """S4: quoting."""
    for other in ("a1.parquet", "qq.parquet", "b.parquet"):
        pd.DataFrame({"a": ["another file"]}).to_parquet(tmp_path / other)
    folder = tmp_path / "tier=[free]"
    folder.mkdir()
    for path in (tmp_path / name, folder / name):
        connection = connect(path)
        connection.execute(f"COPY (SELECT 'this' AS a) TO {quote_target(path)} (FORMAT parquet)")
        assert path.exists()
        assert connection.execute(f"SELECT a FROM read_parquet({quote_path(path)})").fetchall() == [
            ("this",)
        ]


@pytest.mark.parametrize("name", ['x" y', '"', "\"; COPY (SELECT 1) TO 'f'; --", "a'b", "tier.x", ""])
def test_any_name_is_quoted(name):
    """S3: the one function that quotes."""
    sql = f"SELECT 1 AS {quote_names(name or 'empty')}"
    relation = duckdb.connect().execute(sql)
    assert relation.description[0][0] == (name or "empty")
    assert relation.fetchall() == [(1,)]
