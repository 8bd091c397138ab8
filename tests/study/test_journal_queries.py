import json

import pytest

from afanalysis.errors import InputError
from afanalysis.study.journal import journal_table, query_journals, repair, stream_journals
from afanalysis.table.database import connect

LINES = [b'{"text": "a"}\n', b'{"text": "b \\ud83d c"}\n', b'{"text": "\\ud83d\\ude00"}\n']


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "it's a.jsonl"
    path.write_bytes(b"".join(LINES))
    return path


def texts(path):
    return (
        connect(path).execute(f"SELECT text FROM {journal_table(path, {'text': 'VARCHAR'})}").fetchall()
    )


def test_a_repaired_copy_differs_only_in_lone_surrogates(path, tmp_path):
    copy = repair(path, tmp_path / "copy.jsonl").read_bytes().splitlines(keepends=True)
    assert [copy[0], copy[2]] == [LINES[0], LINES[2]]
    assert json.loads(copy[1]) == {"text": "b \ufffd c"}


def test_queries_and_streams_read_what_a_table_cannot_hold(path):
    expected = [("a",), ("b \ufffd c",), ("\U0001f600",)]
    assert query_journals(texts, path) == expected
    assert list(stream_journals(lambda path: iter(texts(path)), path)) == expected


def test_a_line_that_cannot_be_repaired_is_named(path):
    path.write_bytes(LINES[0] + b"{}x\n")
    for read in (query_journals, lambda query, path: list(stream_journals(query, path))):
        with pytest.raises(InputError, match="line 2 is not JSON"):
            read(texts, path)
