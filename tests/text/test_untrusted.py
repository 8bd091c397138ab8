import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.text.untrusted import (
    VisibleOutput,
    escape_invisible,
    escape_latex,
    excerpt,
    guard_formula,
    without_surrogates,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(), max_size=5), inner),
)


@given(JSON)
def test_what_is_made_valid_can_be_written_and_differs_in_nothing_else(value):
    """T3: the one function that makes text valid."""
    valid = without_surrogates(value)
    json.dumps(valid, ensure_ascii=False).encode()
    assert without_surrogates(valid) == valid
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert valid == value


def test_halves_of_pairs_become_replacement_characters_and_nul_stays():
    assert without_surrogates("a\ud800b\x00") == "a\ufffdb\x00"
    assert without_surrogates(["\ud83d\ude00", {"\udc00": 1}]) == ["\U0001f600", {"\ufffd": 1}]


@given(st.text(st.characters(), max_size=50))
def test_nothing_that_is_shown_is_hidden(text):
    """S7: the one function that makes text visible."""
    shown = escape_invisible(text)
    assert all(letter.isprintable() or letter in "\n\t" or letter.isspace() for letter in shown)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    if text.isprintable():
        assert shown == text


def test_long_text_is_cut_and_its_length_given():
    assert escape_invisible("\x1b" * 5, 2) == "⟨U+001B⟩⟨U+001B⟩… [3 characters more]"
    assert escape_invisible("x" * 5000, None) == "x" * 5000


def test_an_output_shows_what_would_act_on_the_terminal():
    """S7: the terminal."""
    stream = io.StringIO()
    output = VisibleOutput(stream)
    print("a\x1b[2Jb\u202e", "c\r", file=output, flush=True)
    assert stream.getvalue() == "a⟨U+001B⟩[2Jb⟨U+202E⟩ c⟨U+000D⟩\n"


@pytest.mark.parametrize(
    "value", [10**5000, "x" * 10**6, ["\x1b[31m"] * 1000, {"a": "\u202e"}], ids=range(4)
)
def test_an_excerpt_is_short_and_on_one_line(value):
    shown = excerpt(value)
    assert len(shown) < 120
    assert shown.isprintable()


def test_latex_prints_hidden_characters_and_no_command():
    """S7: LaTeX."""
    assert escape_latex("\u202e\\input{a}\x1b\n") == (
        r"$\langle$U+202E$\rangle$\textbackslash{}input\{a\}$\langle$U+001B$\rangle$ "
    )


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_no_cell_is_a_formula(start):
    """S8: the one function that guards cells."""
    assert guard_formula(f"{start}1+1") == f"'{start}1+1"
    assert guard_formula(f"1{start}1") == f"1{start}1"
