import json
import os

import pytest

from afanalysis.errors import InputError
from afanalysis.study import journal
from afanalysis.study.journal import Journal, LockedFile, read_records
from tests.helpers import CHILDREN

KEYS = [f"{i:032x}" for i in range(5)]


def write(path, keys):
    with Journal(path) as opened:
        for key in keys:
            opened.append(key, {"text": "ünï\u2028code"})


def test_what_is_written_is_read_back_and_known_again(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    write(path, KEYS)
    assert [record["key"] for record in read_records(path)] == KEYS
    with Journal(path) as opened:
        assert KEYS[0] in opened
        assert "f" * 32 not in opened


def test_a_torn_last_line_is_set_aside_and_the_rest_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, KEYS)
    whole = path.read_bytes()
    for cut in (1, 10, 60):
        path.write_bytes(whole[:-cut])
        with Journal(path) as opened:
            assert len(opened.keys) == len(KEYS) - 1
            opened.append(KEYS[-1], {"text": "again"})
        assert [record["key"] for record in read_records(path)] == KEYS
    assert len(path.with_name("a.jsonl.torn").read_bytes().splitlines()) == 3


def test_reading_a_torn_file_names_the_line_and_the_way_out(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, KEYS)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"a\.jsonl: line 5 is torn"):
        list(read_records(path))


def hold(path, ready, done):
    with Journal(path):
        ready.set()
        done.wait(20)


def test_a_second_process_is_refused_with_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    monkeypatch.setattr(journal, "PATIENCE", 0.1)
    ready, done = CHILDREN.Event(), CHILDREN.Event()
    holder = CHILDREN.Process(target=hold, args=(path, ready, done))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(InputError, match="another process is writing to it"), Journal(path):
        pass
    done.set()
    holder.join()
    with Journal(path):
        pass


def test_a_file_of_something_else_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"hello": 1}) + "\n")
    with pytest.raises(InputError, match="line 1 is not a record"), Journal(path):
        pass
    assert path.read_text() == json.dumps({"hello": 1}) + "\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), Journal(tmp_path / "file" / "a.jsonl"):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_loses_nothing_already_written(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    write(path, KEYS[:3])
    real = os.write

    def full(descriptor, content):
        real(descriptor, content[:7])  # a partial write, as a filling disk makes
        raise OSError(28, "No space left on device")

    with Journal(path) as opened:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(
            InputError, match=r"No space left on device.*everything written before is safe"
        ):
            opened.append(KEYS[3], {})
        monkeypatch.undo()
    assert [record["key"] for record in read_records(path)] == KEYS[:3]


def test_a_locked_file_keeps_what_it_held(tmp_path):
    path = tmp_path / "new" / "a.csv"
    for content in (b"one\n", b"two\n"):
        with LockedFile(path) as file:
            file.write(content)
    assert path.read_bytes() == b"one\ntwo\n"
