"""Files that are damaged, or made to do harm, give a clear error in bounded time and memory."""

import json
import os
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afanalysis.errors import InputError
from afanalysis.logs import formats, records
from afanalysis.logs.importing import read_logs
from afanalysis.logs.records import Rejected
from tests.logs.samples import both_tiers, pipeline_row

GOOD = json.dumps(pipeline_row(0, model="m"))


def lines(folder, *content, name="rows.jsonl"):
    path = folder / name
    path.write_bytes(b"\n".join(c if isinstance(c, bytes) else c.encode() for c in content) + b"\n")
    return path


def archive(folder, members):
    path = folder / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def bomb(folder):
    """Some megabytes that unpack to some gigabytes."""
    path = folder / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("header.json", "{}")
        with made.open("samples/a.json", "w", force_zip64=True) as member:
            for _ in range(1200):
                member.write(bytes(1 << 20))
    return path


def liar(folder):
    """An archive whose directory says that a member is small."""
    path = archive(folder, {"header.json": "{}", "samples/a.json": bytes(64 << 20)})
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    return path


def pipe(folder):
    os.mkfifo(folder / "rows.jsonl")
    return folder


def link_out(folder, target):
    (folder / "logs").mkdir()
    lines(folder / "logs", GOOD)
    (folder / "logs" / "link.jsonl").symlink_to(target)
    return folder / "logs"


def parquet_bomb(folder):
    """One text of a megabyte, which a thousand rows and more refer to."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), ["x" * (1 << 20)])
    pq.write_table(pa.table({"response": text}), folder / "bomb.parquet", compression="zstd")
    return folder / "bomb.parquet"


HOSTILE = {
    "a zip bomb": (bomb, "that is a bomb and not a log"),
    "a zip that lies about its sizes": (liar, "cannot be read|is damaged"),
    "a member that points outside": (
        lambda folder: archive(folder, {"header.json": "{}", "../../evil.json": "{}"}),
        "points outside of the archive",
    ),
    "an absolute member": (
        lambda folder: archive(folder, {"header.json": "{}", "/etc/evil.json": "{}"}),
        "points outside of the archive",
    ),
    "a member longer than a rollout": (
        lambda folder: archive(folder, {"header.json": "{}", "samples/a.json": os.urandom(33 << 20)}),
        "longer than 32 MB",
    ),
    "no zip": (lambda folder: lines(folder, "PK nothing", name="log.eval"), "not a zip archive"),
    "a zip of something else": (
        lambda folder: archive(folder, {"word/document.xml": "<x/>"}),
        "is not a log of Inspect",
    ),
    "a line of 100 MB": (
        lambda folder: lines(folder, GOOD, b'{"user_input": "' + b"a" * 100_000_000 + b'"}'),
        "line 2 is longer than 32 MB",
    ),
    "a field of 100 MB in a CSV": (
        lambda folder: lines(folder, "prompt,response", b"a," + b"b" * 100_000_000, name="t.csv"),
        "line 2 is longer than 32 MB",
    ),
    "a list whose element is 100 MB": (
        lambda folder: lines(folder, b'[{"user_input": "' + b"a" * 100_000_000 + b'"}]', name="l.json"),
        "is longer than 32 MB",
    ),
    "NUL bytes in a line": (lambda folder: lines(folder, b'{"a": "\0\0\0"}'), "holds NUL bytes"),
    "NUL bytes in a CSV": (
        lambda folder: lines(folder, "prompt,response", b"a,\0", name="t.csv"),
        "a row that holds NUL bytes",
    ),
    "NUL bytes in a list": (
        lambda folder: lines(folder, b'[{"user_input": "a\0"}]', name="l.json"),
        r"no rollout can be read.*Invalid control character",
    ),
    "a line that is not UTF-8": (
        lambda folder: lines(folder, b'{"user_input": "\xff\xfe"}'),
        "is not UTF-8",
    ),
    "a list that is not UTF-8": (
        lambda folder: lines(folder, b'[{"user_input":', b'"\xff"}]', name="l.json"),
        r"a row that is not UTF-8 \(byte 0xff\) \(l.json, row 1\)",
    ),
    "a CSV in another encoding": (
        lambda folder: lines(folder, "prompt,response", b"caf\xe9,b", name="t.csv"),
        "line 2 is not UTF-8 text; save it as CSV in UTF-8",
    ),
    "UTF-16": (
        lambda folder: lines(folder, GOOD.encode("utf-16"), name="l.json"),
        "is UTF-16",
    ),
    "a line nested 10 000 deep": (
        lambda folder: lines(folder, '{"a":' * 10_000 + "1" + "}" * 10_000),
        r"no rollout can be read.*recursion",
    ),
    "a list nested 10 000 deep": (
        lambda folder: lines(folder, "[" * 10_000 + "]" * 10_000, name="l.json"),
        r"no rollout can be read.*recursion",
    ),
    "a pipe": (pipe, "is a device or pipe"),
    "a link out of the folder": (lambda folder: link_out(folder, folder.parent), "is a link out of"),
    "a link to a folder elsewhere": (lambda folder: link_out(folder, "/etc"), "is a link out of"),
    "a Parquet file of some kB that unpacks to some GB": (parquet_bomb, "would unpack to"),
    "an empty file": (lambda folder: lines(folder, b"", name="l.json"), "is empty"),
    "an empty folder": (lambda folder: folder, "holds no file that ends in"),
    "nothing there": (lambda folder: folder / "none.json", "there is no such file"),
    "something else": (lambda folder: lines(folder, "<html>", name="l.json"), "of no format known"),
    "two columns of one name": (
        lambda folder: lines(folder, "a,b,a", "1,2,3", name="t.csv"),
        "two columns are called 'a'",
    ),
    "no Parquet": (
        lambda folder: lines(folder, "x", name="t.parquet"),
        r"t\.parquet: cannot be read as Parquet",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gives_one_sentence(name, tmp_path):
    """S5 and S6: logs."""
    make, sentence = HOSTILE[name]
    path = make(tmp_path)
    with pytest.raises(InputError, match=sentence) as raised:
        read_logs([path])
    assert "\n" not in str(raised.value)


_WATCHED = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from afanalysis.errors import InputError
from afanalysis.logs.importing import read_logs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_logs([sys.argv[1]])
except InputError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "a zip bomb",
        "a zip that lies about its sizes",
        "a line of 100 MB",
        "a list whose element is 100 MB",
        "a line nested 10 000 deep",
        "a list nested 10 000 deep",
        "a Parquet file of some kB that unpacks to some GB",
    ],
)
def test_a_hostile_file_takes_little_memory(name, tmp_path):
    """S5: logs."""
    path = HOSTILE[name][0](tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert float(done.stdout) < 400  # MB beyond what Python and the package take


def test_one_bad_row_does_not_cost_the_others(tmp_path):
    rows = [json.dumps(row | {"model": "m"}) for row in both_tiers()]
    path = lines(tmp_path, *rows[:5], b'{"a": "\xff"}', b"{not json", b"", *rows[5:])
    table, report = read_logs([path])
    assert len(table) == 12
    assert report.rows == 14
    assert sum(report.set_aside.counts.values()) == 2
    assert [examples[0][1] for examples in report.set_aside.examples.values()] == [6, 7]


def test_links_in_a_circle_are_not_followed(tmp_path):
    """S5: folders of logs."""
    (tmp_path / "inner").mkdir()
    lines(tmp_path, GOOD)
    (tmp_path / "inner" / "again").symlink_to("..")
    logs, others = formats.find_logs([tmp_path])
    assert [path.name for _, path, _ in logs] == ["rows.jsonl"]
    assert not others


@pytest.mark.parametrize("name", ["a[1].jsonl", "a?.jsonl"])
def test_the_name_of_a_log_is_not_a_pattern(tmp_path, name):
    """S4: logs."""
    lines(tmp_path, GOOD, name="a1.jsonl")
    with pytest.raises(InputError, match="there is no such file"):
        formats.find_logs([tmp_path / name])
    lines(tmp_path, GOOD, name=name)
    logs, _ = formats.find_logs([tmp_path / name])
    assert [path.name for _, path, _ in logs] == [name]


def test_folders_and_globs_give_each_file_once(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for name in ("one.jsonl", "two.jsonl", "notes.txt"):
        lines(inner, GOOD, name=name)
    os.symlink(inner / "one.jsonl", inner / "linked.jsonl")
    found, others = formats.find_logs([tmp_path, str(tmp_path / "**" / "*.jsonl"), inner / "one.jsonl"])
    assert sorted(path.resolve().name for _, path, _ in found) == ["one.jsonl", "two.jsonl"]
    assert others == ["a/b/notes.txt"]


@pytest.mark.parametrize("end", [b"", b'"the last line does not end"'])
def test_lines_have_their_numbers_and_ends_whatever_their_lengths(end, tmp_path):
    content = [
        b"\n",
        b"1\n",
        b'"' + b"b" * 5000 + b'"\n',
        b"\n",
        b"\xff\n",
        b"\0\n",
        *([end] if end else []),
    ]
    path = tmp_path / "lines"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(content))
    (_, one, _), (_, long, _), (_, bad, _), (_, nul, _), *last = rows = list(records.json_lines(path))
    assert [number for number, *_ in rows] == [2, 3, 5, 6, *([7] if end else [])]
    assert (one, long, [row for _, row, _ in last]) == (1, "b" * 5000, [json.loads(end)] if end else [])
    assert str(bad) == "a row that is not UTF-8 (byte 0xff)"
    assert str(nul) == "a row that holds NUL bytes"


def test_a_long_list_is_read_in_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_WINDOW", 256)
    rows = [{"n": at, "text": "é" * at, "deep": [[at]], "number": 1.5} for at in range(200)]
    path = tmp_path / "list.json"
    for indent in (None, 2):
        path.write_text(" \n" + json.dumps(rows, indent=indent, ensure_ascii=bool(indent)))
        assert [row for _, row, _ in records.json_list(path)] == rows
    path.write_bytes(json.dumps(rows).encode().replace(b'"text": ""', b'"text": "\xff"'))
    (_, first, _), *others = records.json_list(path)
    assert str(first) == "a row that is not UTF-8 (byte 0xff)"
    assert [row for _, row, _ in others] == rows[1:]
    path.write_text(json.dumps(rows)[:-30])
    *found, (number, last, _) = records.json_list(path)
    assert [row for _, row, _ in found] == rows[: len(found)]
    assert number == len(found) + 1
    assert isinstance(last, Rejected)
