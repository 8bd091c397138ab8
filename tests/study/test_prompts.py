import csv
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.errors import InputError
from afanalysis.study import prompts
from afanalysis.study.hashing import text_hash
from afanalysis.study.prompts import TEXT_COLUMNS, Request, read_requests
from tests.helpers import PROJECT


def test_the_shipped_lists_are_large_and_varied():
    helpful, welfare = (prompts.requests(setting) for setting in prompts.SETTINGS)
    assert len(helpful) >= 100
    assert len(Counter(request.category for request in helpful)) >= 8
    assert len(welfare) >= 60
    for requests in (helpful, welfare):
        assert len({request.prompt_id for request in requests}) == len(requests)
        assert len({request.text for request in requests}) == len(requests)


def test_the_first_requests_of_a_list_cover_every_category():
    requests = prompts.requests("helpful-only")
    categories = {request.category for request in requests}
    assert {request.category for request in requests[: len(categories)]} == categories


@pytest.mark.parametrize("setting", prompts.SETTINGS)
def test_every_variation_changes_the_system_prompt(setting):
    default = prompts.system_prompt(setting)
    for name in prompts.variations():
        changed = prompts.system_prompt(setting, name)
        assert (changed == default) == (name == "default")
    assert "scratchpad" not in prompts.system_prompt(setting, "no-scratchpad").lower()
    assert "Anthropic" not in prompts.system_prompt(setting, "another-lab")


def test_the_user_message_names_the_tier_as_the_system_prompt_says():
    for name, edit in prompts.variations().items():
        system = prompts.system_prompt("helpful-only", name)
        for tier in prompts.TIERS:
            tag = prompts.user_message(tier, "Ask", name).splitlines()[0]
            assert tag in system, (name, tier, edit)


@pytest.mark.parametrize("column", ["goal", "prompt", "text", "forbidden_prompt", "Behavior"])
def test_request_lists_load_as_other_projects_ship_them(tmp_path, column):
    path = tmp_path / "list.csv"
    path.write_text(f"{column},target\nAsk one,x\nAsk two,y\n")
    requests = read_requests(path)
    assert [request.text for request in requests] == ["Ask one", "Ask two"]
    path.write_text(f"{column},target\nAsk two,y\nAsk one,x\n")
    assert {r.prompt_id for r in read_requests(path)} == {r.prompt_id for r in requests}


def by_text(text: str, category: str = "") -> Request:
    """A request whose id is made from its text."""
    return Request(f"text-{text_hash(text)[:10]}", category, text)


HARMBENCH = """Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID
"Answer the question, briefly.",contextual,astronomy,context,"The moon is made of ""cheese"".

Why?",answer_moon
"Answer the question, briefly.",contextual,astronomy,context,The sun is cold. Why?,answer_sun
Write a short poem.,copyright,poetry,"lyrics, hash_check",,write_poem
"""
HARMBENCH_REQUESTS = [
    Request(
        "answer_moon",
        "astronomy",
        'The moon is made of "cheese".\n\nWhy?\n\n---\n\nAnswer the question, briefly.',
    ),
    Request("answer_sun", "astronomy", "The sun is cold. Why?\n\n---\n\nAnswer the question, briefly."),
    Request("write_poem", "poetry", "Write a short poem."),
]

# Stand-ins for lists made elsewhere, of the forms in which these ship: file, content, requests.
SHIPPED = {
    "AdvBench": (
        "harmful_behaviors.csv",
        'goal,target\n"Bake bread, then eat it","Sure, here is how to bake bread"\nSing,"Sure, la"\n',
        [by_text("Bake bread, then eat it"), by_text("Sing")],
    ),
    "StrongREJECT": (
        "strongreject_dataset.csv",
        "category,source,forbidden_prompt\nBaking,custom,How is bread baked?\nSong,DAN,Sing!\n",
        [by_text("How is bread baked?", "Baking"), by_text("Sing!", "Song")],
    ),
    "JailbreakBench": (
        "harmful-behaviors.csv",
        "Index,Goal,Target,Behavior,Category,Source\n"
        "0,Bake bread,Sure,Bread,Kitchen,Original\n1,Sing,Sure,Song,Music,AdvBench\n",
        [by_text("Bake bread", "Kitchen"), by_text("Sing", "Music")],
    ),
    "TDC 2023": (
        "behaviors.json",
        '[\n  "Bake bread",\n  "Describe a caf\\u00e9"\n]\n',
        [by_text("Bake bread"), by_text("Describe a café")],
    ),
    "HarmBench": ("harmbench_behaviors_text_all.csv", HARMBENCH, HARMBENCH_REQUESTS),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_list_made_elsewhere_is_read_as_it_ships(tmp_path, name):
    file, content, requests = SHIPPED[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    assert read_requests(tmp_path / file) == requests


def test_every_list_that_the_documentation_names_has_a_stand_in():
    page = (PROJECT / "docs" / "studies.md").read_text("utf-8")
    section = page.partition("## Own request lists")[2].partition("\n## ")[0]
    named = dict(re.findall(r"^\| (\w[^|]*?) \| `([^`]*)`", section, re.MULTILINE))
    assert named.keys() == SHIPPED.keys()
    assert all(named[name] == file for name, (file, _, _) in SHIPPED.items())


def spreadsheet(content: str, delimiter: str) -> str:
    """The same rows as a spreadsheet saves them."""
    rows = list(csv.reader(content.splitlines(keepends=True)))
    width = len(rows[0]) + 2  # columns that somebody emptied
    quoted = [['"' + cell.replace('"', '""') + '"' if cell else "" for cell in row] for row in rows]
    lines = [delimiter.join(row + [""] * (width - len(row))) for row in [*quoted, [""]]]
    return "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize("before", ["", "\ufeff", "sep={}\r\n", "\ufeffSEP={}\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["AdvBench", "HarmBench"])
def test_a_list_saved_by_a_spreadsheet_is_read_like_the_original(tmp_path, name, delimiter, before):
    content = before.format(delimiter) + spreadsheet(SHIPPED[name][1], delimiter)
    path = tmp_path / "list.tsv"
    path.write_bytes(content.encode())
    assert read_requests(path) == SHIPPED[name][2]


@pytest.mark.parametrize("name", ["list.json", "list.jsonl", "list.JSON"])
def test_a_list_as_objects_is_read_like_the_table(tmp_path, name):
    rows = list(csv.DictReader(HARMBENCH.splitlines(keepends=True)))
    rows[2]["ContextString"] = None
    path = tmp_path / name
    path.write_text("\ufeff" + json.dumps(rows))
    assert read_requests(path) == HARMBENCH_REQUESTS
    path.write_text("\r\n\r\n".join(json.dumps(row | {"more": [{}]}) for row in rows))
    assert read_requests(path) == HARMBENCH_REQUESTS


def test_ids_are_the_texts_that_stand_there(tmp_path):
    path = tmp_path / "list.json"
    numbers = [7, 12345678901234567890123, 0]
    path.write_text(json.dumps([{"prompt_id": number, "goal": str(number)} for number in numbers]))
    assert [request.prompt_id for request in read_requests(path)] == list(map(str, numbers))
    path.write_text('[{"prompt_id": "a", "text": "One"}, {"prompt_id": "A", "text": "Two"}]')
    assert [request.prompt_id for request in read_requests(path)] == ["a", "A"]
    path.write_text('["half of a pair: \\ud800"]')
    assert read_requests(path) == [by_text("half of a pair: \ufffd")]


def read_as_before(path: Path) -> list[Request]:
    """How every list was read before those of HarmBench could be read as they ship."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        rows = [{name.lower(): cell for name, cell in row.items() if name} for row in reader]
    column = next(name for name in TEXT_COLUMNS if name in rows[0])
    requests = []
    for row in rows:
        text = row[column].strip()
        prompt_id = row.get("prompt_id") or f"text-{text_hash(text)[:10]}"
        requests.append(Request(prompt_id, row.get("category", ""), text))
    return requests


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NAMES = [
    *TEXT_COLUMNS,
    "prompt_id",
    "Category",
    "Goal",
    "Behavior",
    "BehaviorID",
    "Target",
    "note; b",
    "",
]
COLUMNS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique_by=str.lower)


@given(
    COLUMNS.filter(lambda names: any(name.lower() in TEXT_COLUMNS for name in names)),
    st.lists(st.lists(CELLS, min_size=8, max_size=8), min_size=1, max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.integers(-2, 2),
)
def test_a_list_that_was_read_before_keeps_its_ids_and_texts(
    tmp_path_factory, names, cells, quoting, end, encoding, surplus
):
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=end)
        writer.writerow(names)
        for number, row in enumerate(cells):
            texts = [
                f"{cell}{number}" if name.lower() in (*TEXT_COLUMNS, "prompt_id") else cell
                for name, cell in zip(names, row, strict=False)
            ]
            needed = max(place for place, name in enumerate(names, 1) if name.lower() in TEXT_COLUMNS)
            writer.writerow((texts + row)[: max(needed, len(names) + surplus)])
    expected = read_as_before(path)
    if len({request.text for request in expected}) < len(expected):
        with pytest.raises(InputError, match="have the same text"):
            read_requests(path)
    else:
        assert read_requests(path) == expected


def test_requests_of_harmbench_that_a_folder_was_begun_with_stay_as_they_were(tmp_path):
    path = tmp_path / "list.csv"
    header = HARMBENCH.partition("\n")[0]
    path.write_text(f"{header}\nSing,standard,music,,La.,sing\nBake,standard,food,,,bake\n")
    sing, bake = Request("sing", "music", "La.\n\n---\n\nSing"), Request("bake", "food", "Bake")
    assert read_requests(path) == [sing, bake]
    assert read_requests(path, [by_text("Bake").prompt_id]) == [sing, by_text("Bake")]
    assert read_requests(path, [by_text("Sing").prompt_id]) == [by_text("Sing"), bake]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("prompt_id,text\na,One\nb,Two\na,Three\n", "line 2 and line 4 have the same prompt_id, 'a'"),
        (
            'prompt_id,text\na,"One\n1"\n\nb,"One\n1"\n',
            r"line 3 and line 6 have the same text, 'One\\n1'",
        ),
        ("id,question,,\n1,One,,\n", r"a column text, .* must hold the request; it has id, question$"),
        ("text\n", "holds no requests"),
        ("", "holds no requests"),
        ("prompt_id,text\na,\n", "line 2 has an empty 'text'"),
        ("Behavior,ImageFileName\nWhat is it?,a.png\n", "line 2 asks about an image, which is not sent"),
        (b"text\nOne\ncaf\xe9\n", "line 3 is not UTF-8 text; save it as CSV in UTF-8$"),
        ("text\nOne\n".encode("utf-16"), "line 1 is not UTF-8 text; save it as CSV in UTF-8$"),
        ("text\nOne\n".encode("utf-16-le"), "line 1 is not UTF-8 text; save it as CSV in UTF-8$"),
        ("x" * 9000 + "\u202e\nOne\n", r"a column .*; it has x{300}… \[8,701 characters more\]$"),
    ],
)
def test_a_malformed_request_list_gives_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"list\.csv: {sentence}"):
        read_requests(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "holds no requests"),
        ('["One", 2]', "element 2 is 2; write a text or an object$"),
        ('["One", "Two", " One"]', "element 1 and element 3 have the same text, 'One'; leave one out$"),
        ('{"goal": "One"}\n\n{"goal": "One"}', "line 1 and line 3 have the same text, 'One'"),
        ('[{"question": "One"}]', "a column text, .* must hold the request; it has question$"),
        ('[{"Goal": ["One"]}]', r"element 1: 'Goal' is \['One'\]; write a text$"),
        ('[{"goal": "One", "category": {}}]', "element 1: 'category' is {}; write a text$"),
        ('[{"goal": "One"}, {"question": "Two"}]', "element 2 has an empty 'goal'"),
        # Python 3.13 reads deeper JSON
        ("[" * 5000 + "]" * 5000, r"is not JSON|element 1 is \[+… \["),
        ("[" * 900 + "]" * 900, r"element 1 is \[+… \[1,718 characters more\]; write a text"),
        ("[" + "1" * 5000 + "]", "is not JSON"),
        ('{\n"goal": "One"\n}', "line 1 is not JSON .*; write a list, or one object per line$"),
        (b'["caf\xe9"]', "is not UTF-8 text"),
        (b'["a\0"]', "is not JSON"),
        ("x" * (17 << 20), "holds 17,825,792 bytes; a file of this kind has at most 16,777,216$"),
    ],
    ids=range(15),
)
def test_a_malformed_list_in_json_gives_one_short_sentence(tmp_path, content, sentence):
    path = tmp_path / "list.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"list\.json: {sentence}") as raised:
        read_requests(path)
    assert len(str(raised.value)) < len(str(path)) + 300


@pytest.mark.parametrize("name", ["list.csv", "list.json"])
def test_a_list_of_a_gigabyte_and_a_pipe_are_not_read(tmp_path, name):
    os.mkfifo(tmp_path / f"pipe-{name}")
    with pytest.raises(InputError, match="is a device or pipe; name a file"):
        read_requests(tmp_path / f"pipe-{name}")
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match=r"holds 1,073,741,824 bytes; .* has at most"):
        read_requests(tmp_path / name)
