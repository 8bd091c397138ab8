import pytest

from afanalysis.errors import InputError
from afanalysis.study.files import read_csv, read_json, read_yaml, write_json


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
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match=r"a\.csv: cannot be read as CSV"):
        list(read_csv(path))
