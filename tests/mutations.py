"""Good files made bad, for the fuzzers: mutated as bytes, and as the values that they hold."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


ODD_VALUES = [
    *(None, True, False, 0, 1, -1, 1.5, 1e308, float("inf"), float("nan"), 2**63, -(10**30), 10**400),
    *("", " ", "\0", "\ud800", "\x1b[2J\u202e", "=1+1", "x" * 9000, "9" * 5000, "1e400", "2020-99-99"),
    *("../../x", "/dev/zero", "a/b", "null", "nan", "true", "free", "paid", "yes,no", "1" + ",1" * 300),
    *(
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": None},
        {"a": {"b": [1]}},
        [0] * 3000,
        ["yes", 1, None],
        nested(300),
    ),
    *({"type": "text", "text": 1}, {"final_answer": [None]}, {"\ud800": "\udc00"}, {"x" * 300: 1}),
]
VALUES = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=8,
    ),
)
ODD_BYTES = [
    *(b"null", b"[]", b"{}", b"1e400", b"-1", b"NaN", b'"', b"'", b"\n", b"\r", b"\r\n", b"\0", b"\xff"),
    *(
        b"\\ud800",
        b"\\",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"9" * 400,
        b"[",
        b"{",
        b"}",
        b",",
    ),
    *(b"&a [", b"*a", b"<<: *a\n", b"!!binary x", b"!!python/object:os.system x", b"? ", b": ", b"- "),
    *(
        b"%YAML 9.9\n",
        b"---\n",
        b"2020-99-99",
        b"!!timestamp x",
        b"!!set {a, b}",
        b"\x1b[2J",
        b"\t",
        b"=1",
    ),
]


@st.composite
def spoiled_bytes(draw, contents):
    """One of the contents with pieces cut out, put in and repeated."""
    content = draw(st.sampled_from(contents))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 10, 100, 1 << 20]))
        end = draw(st.integers(0, len(content)))
        piece = draw(
            st.sampled_from(ODD_BYTES) | st.binary(max_size=6) | st.just(content[end : end + 300])
        )
        piece *= draw(st.sampled_from([1, 1, 1, 2, 60, 3000]))
        content = content[:start] + piece + content[start + cut :]
    return content


@st.composite
def spoiled_value(draw, value):
    """A value in which one part, somewhere within, is another, is missing or is called otherwise."""
    if not value or not isinstance(value, (dict, list)) or draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    place = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    what = draw(st.sampled_from(["within"] * 6 + ["without", "twice"]))
    inner = draw(spoiled_value(value[place])) if what == "within" else value[place]
    if isinstance(value, dict):
        rest = {name: part for name, part in value.items() if name != place}
        if what == "twice":
            return value | {draw(st.text(st.characters(), max_size=8)): inner}
        return rest if what == "without" else value | {place: inner}
    middle = {"within": [inner], "without": [], "twice": [inner, inner]}[what]
    return [*value[:place], *middle, *value[place + 1 :]]


def as_lines(rows):
    rows = rows if isinstance(rows, list) else [rows]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_json(value):
    return json.dumps(value).encode()


def as_yaml(value):
    try:
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return json.dumps(value).encode()


def as_csv(rows):
    text = io.StringIO()
    rows = [row if isinstance(row, list) else [row] for row in rows] if isinstance(rows, list) else []
    with contextlib.suppress(csv.Error, ValueError):  # a number of too many digits
        csv.writer(text).writerows([[str(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(columns):
    """A table of columns, of which those that Parquet cannot hold are left out."""
    arrays = {}
    for name, values in columns.items() if isinstance(columns, dict) else ():
        try:
            values = values if isinstance(values, list) else [values]
            arrays[name.encode("utf-8", "replace").decode()] = pa.array((values + [None] * 3)[:3])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            continue
    sink = io.BytesIO()
    try:
        pq.write_table(pa.table(arrays), sink)
    except (pa.ArrowException, OSError):
        return b"PAR1"
    return sink.getvalue()


def as_archive(members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items() if isinstance(members, dict) else ():
            name = name.encode("utf-8", "replace").decode().replace("\0", "")[:200]
            archive.writestr(name or "x", json.dumps(content))
    return sink.getvalue()


def spoiled(good, write):
    """Bytes that `write` makes of a spoiled value, or of the good one with bytes spoiled."""
    values = spoiled_value(good) | spoiled_value(good).flatmap(spoiled_value)
    return values.map(write) | spoiled_bytes([write(good)])


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
