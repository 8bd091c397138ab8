import contextlib
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.study.files import (
    MAX_LINE,
    csv_cells,
    read_csv,
    read_json,
    read_yaml,
    write_csv,
    write_json,
    write_text,
)
from afanalysis.study.labels import Label, add_labels, sample_for_labels, write_label_sample
from afanalysis.table.source import opened
from afanalysis.text.untrusted import guard_formula


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1", "is not valid YAML in line 1 "),
        (b"- 1", "is not a list of prices; write a: 1"),
        (b"", "is not a list of prices; write a: 1"),
        (b"a: \xff", r"is not UTF-8 text \(invalid start byte\)"),
    ],
)
def test_a_file_that_is_not_the_yaml_it_should_be_gives_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "prices.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"prices\.yaml: {sentence}") as raised:
        read_yaml(path, "a list of prices; write a: 1")
    assert "\n" not in str(raised.value)


def test_a_missing_yaml_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read \(No such file"):
        read_yaml(tmp_path / "none.yaml", "a study")


def test_json_is_written_whole_and_read_back(tmp_path):
    path = tmp_path / "a.json"
    assert read_json(path) == {}
    write_json(path, {"tier": "free \u2028"})
    assert read_json(path) == {"tier": "free \u2028"}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("content", "sentence"), [("{", "is not JSON"), ("[1]", "is not a JSON object; move it away")]
)
def test_json_that_is_not_an_object_gives_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"a\.json: {sentence}"):
        read_json(path)


def test_rows_of_csv_have_their_line_numbers_and_no_missing_fields(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffa,b\n"1\n2",x\n3\n', encoding="utf-8")
    assert list(read_csv(path, ["b"])) == [(3, {"a": "1\n2", "b": "x"}), (4, {"a": "3", "b": ""})]
    with pytest.raises(InputError, match=r"a\.csv: has no column 'c'"):
        list(read_csv(path, ["b", "c"]))
    with pytest.raises(InputError, match=r"a\.csv: has no column 'c'; it has a, b$"):
        list(read_csv(path, ["c"]))
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match=r"a\.csv: line 2 is not UTF-8 text; save it as CSV in UTF-8$"):
        list(read_csv(path))


@pytest.mark.parametrize(
    "content",
    [
        'a;b\r\n1,5;"x;\r\ny"\r\n2,5;\r\n',
        '\ufeff"a";b\n1,5;"x;\r\ny"\n2,5;\n',
        'sep=;\na;b\n1,5;"x;\r\ny"\n2,5\n',
        ' a \tb \t\t\r\n\t\t\t\r\n1,5\t"x;\r\ny"\t\t\r\n\t\r\n2,5\t\t\t\r\n\t\t\t\r\n',
        'a|b\n1,5|"x;\r\ny"\n2,5|\n',
        '\n,,\na,b\n"1,5","x;\r\ny"\n"2,5"\n',
        'sep=,\ra,b\r"1,5","x;\r\ny"\r"2,5"',
    ],
    ids=["semicolons", "a mark", "sep", "tabs and empty cells", "bars", "empty lines", "old line ends"],
)
def test_a_table_is_the_same_however_a_spreadsheet_saved_it(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    rows = [row for _, row in read_csv(path, ["a"])]
    assert rows == [{"a": "1,5", "b": "x;\r\ny"}, {"a": "2,5", "b": ""}]
    assert [cells for _, cells in csv_cells(path)][:2] == [["a", "b"], ["1,5", "x;\r\ny"]]


def test_rows_of_a_table_may_be_longer_than_its_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sep=,\na,b\n1,2,3,\n1,2,,\n")
    assert list(csv_cells(path)) == [(2, ["a", "b"]), (3, ["1", "2", "3", ""]), (4, ["1", "2"])]
    assert list(read_csv(path)) == [(3, {"a": "1", "b": "2"}), (4, {"a": "1", "b": "2"})]


def test_a_table_has_long_cells_but_no_endless_ones(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "x" * 200_000 + ",y\n")
    assert [len(row["a"]) for _, row in read_csv(path)] == [200_000]
    path.write_text("a\n" + "x" * (MAX_LINE + 1))
    with pytest.raises(InputError, match=r"a\.csv: line 2 is longer than 32 MB$"):
        list(read_csv(path))
    path.write_text('a\n"' + ("x" * 999 + "\n") * (MAX_LINE // 1000 + 1))
    with pytest.raises(InputError, match=r"a\.csv: cannot be read as CSV \(field larger"):
        list(read_csv(path))
    with pytest.raises(InputError, match=r"a\.csv: holds .* bytes; .* has at most 1,000$"):
        list(csv_cells(path, 1000))


ALIASES = "\n".join(
    [f"a0: &a0 [{', '.join(['x'] * 9)}]"]
    + [f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 9)}]" for depth in range(1, 30)]
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (ALIASES, r".*its aliases \(\*\) make it larger than 2,097,152 characters"),
        ("a: &a [*a]", ".*make it larger than 2,097,152 characters"),
        ("a: " + "[" * 5000, r"is not valid YAML in line 1 \(exceeded maximum nesting depth\)"),
        ("a: " + "{a: " * 60 + "1" + "}" * 60, ".*line 1 .nested more than 50 levels deep"),
        ("a: " + "x" * (1 << 20), "holds 1,048,579 bytes; a file of this kind has at most 1,048,576"),
        ("a: 2020-99-99", "is not valid YAML"),
        ("a: " + "1" * 5000, "is not valid YAML"),
        ("a: !!bool maybe", "is not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
        ("a: *" + "b" * 1000, "is not valid YAML"),
        ("1: a", "is not a thing; write a: 1"),
        ("a: 1\n---\na: 2", "is not valid YAML"),
    ],
    ids=range(12),
)
def test_yaml_that_is_made_to_do_harm_gives_one_short_sentence_soon(tmp_path, content, sentence):
    """S6: aliases, depth, size, names and values."""
    path = tmp_path / "a.yaml"
    path.write_text(content)
    started = time.process_time()
    with pytest.raises(InputError, match=rf"a\.yaml: {sentence}") as raised:
        read_yaml(path, "a thing; write a: 1")
    assert time.process_time() - started < 2
    assert len(str(raised.value)) < len(str(path)) + 300


def test_aliases_that_people_write_are_followed(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {b: [1, 2]}\nc: *a\nd: {<<: *a, e: 3}")
    shared = {"b": [1, 2]}
    assert read_yaml(tmp_path / "a.yaml", "") == {"a": shared, "c": shared, "d": shared | {"e": 3}}


@pytest.mark.parametrize(
    "read", [lambda path: read_yaml(path, ""), read_json, lambda path: list(read_csv(path))]
)
def test_pipes_and_devices_are_not_read(tmp_path, read):
    """S5 and S6: small files."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="is a device or pipe; name a file"):
            read(path)


def test_json_of_any_depth_and_text_is_read_or_refused(tmp_path):
    """T3 and S10: JSON."""
    path = tmp_path / "a.json"
    path.write_text('{"a": "\\ud800"}')
    assert read_json(path) == {"a": "\ufffd"}
    write_json(path, {"\udc00": ["\ud83d\ude00"]})
    assert read_json(path) == {"\ufffd": ["\U0001f600"]}
    for content in ('{"a":' * 100_000, '{"a": ' + "1" * 5000 + "}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"a\.json: is not JSON"):
            read_json(path)


def test_csv_of_more_columns_than_any_list_has_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(map(str, range(1001))) + "\n1\n")
    with pytest.raises(InputError, match="has 1,001 columns; at most 1,000 are read"):
        list(read_csv(path))


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\r\nb", "=\r", '"\r"', "é\0"])
def test_csv_of_any_line_ends_is_read_back(tmp_path, text):
    """T3: a lone carriage return, which Python does not quote, ends no row."""
    path = write_csv(tmp_path / "a.csv", pd.DataFrame({"output": [text] * 3, "tier": ["free"] * 3}))
    rows = [row for _, row in read_csv(path)]
    assert rows == [{"output": guard_formula(text), "tier": "free"}] * 3
    with opened(path) as source:
        assert (
            source.connection.sql("SELECT output FROM rollouts").fetchall()
            == [(guard_formula(text),)] * 3
        )


def test_text_that_no_file_can_hold_is_made_valid(tmp_path):
    """T3: what is written."""
    assert write_text(tmp_path / "a", "a\udcff").read_text() == "a\ufffd"
    write_json(tmp_path / "b", {"\ud800": "\udcff"})
    assert read_json(tmp_path / "b") == {"\ufffd": "\ufffd"}


def test_csv_is_written_without_formulas(tmp_path):
    """S8: every CSV."""
    table = pd.DataFrame({"=a": ["=1+1", "b"], "n": [-1.5, 2], "m": ["@x", None]})
    path = write_csv(tmp_path / "a.csv", table)
    assert path.read_text() == "'=a,n,m\n'=1+1,-1.5,'@x\nb,2.0,\n"


def label_some(folder):
    rollouts = af.example_rollouts()
    write_label_sample(folder, sample_for_labels(rollouts, 150), rollouts)


WRITERS = {
    "JSON": lambda folder: write_json(folder / "a.json", ["x" * 9000]),
    "CSV": lambda folder: write_csv(folder / "a.csv", pd.DataFrame({"a": ["x" * 9000]})),
    "a table": lambda folder: af.save(af.example_rollouts(), folder / "a.parquet"),
    "a tidy table": lambda folder: af.write_tidy(folder, folder / "a.parquet", unjudged=True),
    "a label sheet": label_some,
    "labels": lambda folder: add_labels(folder, [Label("r", "ann", "refused", note="x" * 9000)]),
}


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which no file can grow beyond a few bytes."""

    @contextlib.contextmanager
    def limited():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # half a module would break later runs
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_gives_one_sentence_and_leaves_every_file_as_it_was(
    collected, tmp_path, full_disk, writer, before
):
    """T5: every writer."""
    shutil.copy(collected / "rollouts.jsonl", tmp_path)
    if before:
        WRITERS[writer](tmp_path)
    contents = {path: path.read_bytes() for path in tmp_path.iterdir()}
    full = r"cannot be written \(.*(File too large|No space left)"
    with full_disk(), pytest.raises(InputError, match=full) as raised:
        WRITERS[writer](tmp_path)
    assert "\n" not in str(raised.value)
    left = {path: path.read_bytes() for path in tmp_path.iterdir() if not path.name.startswith(".")}
    left = {path: content for path, content in left.items() if content or path in contents}
    assert left == {path: content for path, content in contents.items() if not path.name.startswith(".")}


def test_a_folder_that_cannot_be_written_to_gives_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for writer in (WRITERS["JSON"], WRITERS["CSV"], WRITERS["a table"]):
        with pytest.raises(InputError, match="cannot be written"):
            writer(tmp_path / "file" / "folder")
