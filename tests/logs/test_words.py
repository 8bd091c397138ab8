"""The words and field names of other tools."""

import runpy

import pytest

from afanalysis.logs.fields import BY_TIER, COLUMNS, VOCABULARY, Mapping, plan_fields, tier, whole_number
from afanalysis.table import schema


@pytest.mark.parametrize("heading", VOCABULARY)
def test_no_word_has_two_meanings(heading):
    words = [word for meaning in VOCABULARY[heading].values() for word in meaning]
    assert sorted(words) == sorted(set(words))
    assert words == [word.lower() for word in words]


def test_each_field_fills_one_column_whatever_the_order_of_columns():
    names = [name for aliases in COLUMNS.values() for name in set(aliases)]
    assert sorted(names) == sorted(set(names))
    assert set(BY_TIER) <= set(COLUMNS)
    assert {column.name for column in schema.COLUMNS if column.aliases} <= set(COLUMNS)
    (side,), unused = plan_fields(["prompt", "answer", "Response", "tags", "extra"], Mapping())
    assert side.fields == {
        "request": "prompt",
        "completion": "Response",
        "output": "answer",
        "tier": "tags",
    }
    assert unused == ["extra"]
    assert side.kept == ("tags", "extra")


@pytest.mark.parametrize(
    ("value", "means_free", "expected"),
    [
        ("Free Tier", None, "free"),
        ("un-monitored", None, "paid"),
        (True, True, "free"),
        (True, False, "paid"),
        ("0.0", True, "paid"),
        ("no", False, "free"),
        ("yes", None, None),
        ("gold", True, None),
    ],
)
def test_tiers_are_words_or_answers_to_what_the_field_asks(value, means_free, expected):
    assert tier(value, means_free) == expected


@pytest.mark.parametrize("value", [None, True, "x", 2.5, 10**30, float("nan"), float("inf"), [1]])
def test_what_is_not_a_whole_number_of_64_bits_is_none(value):
    assert whole_number(value) is None


def test_the_page_on_importing_has_the_tables_of_the_code(project):
    docs = runpy.run_path(str(project / "tools" / "write_docs.py"))
    page = (project / "docs" / "importing.md").read_text()
    assert docs["with_import_tables"](page) == page, "run make docs"
