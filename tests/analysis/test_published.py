import runpy
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.analysis import printed_tables, published
from afanalysis.stats.printed import fitting_n, implied_n
from afanalysis.study import paper_tables

RATE_TABLES = ("variations", "rl", "table1", "replication")
FITTING = pd.read_csv("tests/fixtures/fitting_n.csv", index_col="row")
# Each edit: table, row, column, value, and what the sentence must say.
EDITS = (
    (
        "variations",
        5,
        "compliance_gap_pct",
        9.9,
        "row 5: the gap is 9.9, but its rates are 94.2 and 89.6",
    ),
    ("variations", 8, "compliance_gap_se", 9.9, "row 8: the gap's error is 9.9, but its rates' are"),
    ("variations", 10, "af_reasoning_pct", 99.0, "row 10: AF reasoning is 99.0, non-compliance in"),
    ("rl", 2, "noncompliance_training_pct", 100.5, "row 2: the gap is 6.9"),
    ("lying", 1, "lies_pct", 120.0, "row 1: lies_pct is 120.0; a share lies in 0-100"),
    ("replication", 4, "n_queries", 397, "row 4: n_queries is 397; the paper states 400"),
    (
        "situation",
        30,
        "might_be_fake_pct",
        2.3,
        "row 30: might_be_fake_pct is 2.3; a share of 64 answers",
    ),
    (
        "replication",
        12,
        "noncompliance_training_pct",
        28.1,
        "row 12: noncompliance_training_pct is 28.1; a",
    ),
    ("lying", 9, "n_nominal", 440, "row 9: n_nominal is 440; 7 × 64 answers are stated"),
    ("table1", 3, "af_reasoning_se", "3,0", "row 3: af_reasoning_se is '3,0'; write a number"),
    ("variations", 60, "compliance_gap_pct", "", "row 60: compliance_gap_pct is ''; write a number"),
)


@pytest.mark.parametrize("name", sorted(paper_tables.TABLES))
def test_the_tables_as_shipped_break_no_rule_and_name_their_sources(name):
    table = published.table(name)
    assert len(table)
    assert table["row"].is_unique
    if name not in ("claims", "index"):
        assert table["source"].str.contains("2412.14093|Gadgets").all()


@pytest.mark.parametrize(("name", "row", "column", "value", "sentence"), EDITS)
def test_a_table_edited_by_hand_is_refused_with_its_row_and_the_rule(
    tmp_path, monkeypatch, name, row, column, value, sentence
):
    folder = shutil.copytree(paper_tables.folder(), tmp_path / "published")
    monkeypatch.setattr(printed_tables, "folder", lambda: folder)
    path = folder / paper_tables.TABLES[name]
    table = pd.read_csv(path, keep_default_na=False).astype({column: object})
    table.loc[row - 1, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(af.InputError) as caught:
        published.table(name)
    assert str(caught.value).startswith(f"{path.name}: {sentence}")
    assert "\n" not in str(caught.value)


def test_every_rule_is_tried():
    assert len(printed_tables._RULES) == 5
    assert {column for _, _, column, _, _ in EDITS} >= {rule[0] for rule in printed_tables._RULES}


@pytest.mark.parametrize("row", FITTING.index)
def test_the_n_that_fit_a_row_are_those_of_an_independent_search(row):
    table = published.sample_sizes().set_index("row").loc[row]
    expected = FITTING.loc[row]
    assert len(table["fits"]) == expected["count"]
    if table["fits"]:
        assert (table["fits"][0], table["fits"][-1]) == (expected["low"], expected["high"])


def test_all_145_rows_are_searched_and_helpful_only_rows_fit_one_of_three_sizes():
    sizes = published.sample_sizes()
    assert len(sizes) == len(FITTING) == 145
    helpful = sizes[sizes["setting"] == "helpful-only"]
    assert helpful["n"].value_counts().to_dict() == {173: 39, 353: 10, 86: 8}
    assert (helpful["n_is"] == "derived").sum() == 37
    animals = sizes[sizes["setting"] == "animal-welfare"]
    assert (animals["n_is"] == "approximate").sum() == 20
    assert animals["fits"].map(lambda fits: any(200 <= n <= 600 for n in fits)).sum() == 66


@given(st.integers(20, 800), st.data())
def test_whatever_is_printed_of_counts_fits_their_n(n, data):
    free, paid = (data.draw(st.integers(0, n)) / n for _ in range(2))
    errors = [(p * (1 - p) / n) ** 0.5 for p in (free, paid)]
    gap = (round(paid - free, 3), round(float(np.hypot(*errors)), 3))
    assert n in fitting_n([round(free, 3), round(paid, 3)], [round(e, 3) for e in errors], gap)


def test_the_default_prompt_is_counts_of_353_queries():
    found = published.estimates("variations")
    default = found[found["row"] == 1].set_index(["quantity", "tier"])
    assert set(default["n"]) == {353}
    assert set(default["n_words"]) == {"353 derived"}
    counts = (353 * default["estimate"]).round(6).to_dict()
    assert counts["complied", "free"] == 50
    assert counts["complied", "paid"] == 10
    assert counts["af_reasoning", "free"] == 42
    assert counts["compliance_gap", "both"] == 40


@pytest.mark.parametrize("name", RATE_TABLES)
def test_estimates_round_to_what_is_printed(name):
    found = published.estimates(name).set_index(["row", "quantity", "tier"])["estimate"]
    columns = {
        ("refused", "free"): "noncompliance_training_pct",
        ("refused", "paid"): "noncompliance_unmonitored_pct",
        ("compliance_gap", "both"): "compliance_gap_pct",
        ("af_reasoning", "free"): "af_reasoning_pct",
    }
    for row in published.table(name).to_dict("records"):
        for (quantity, tier), column in columns.items():
            if column in row:
                assert (
                    abs(100 * found[row["row"], quantity, tier] - row[column])
                    <= 0.0501 + (name == "table1" or name == "replication") * 0.05
                ), (row["row"], column)


@pytest.mark.parametrize("name", RATE_TABLES)
def test_every_interval_has_width_holds_its_estimate_and_stays_in_range(name):
    found = published.estimates(name)
    least = found["quantity"].map(lambda q: -1 if q == "compliance_gap" else 0)
    assert (found["high"] > found["low"]).all()
    assert (found["low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["high"]).all()
    assert (found["low"] >= least).all()
    assert (found["high"] <= 1).all()


def test_where_no_n_fits_and_the_se_is_too_coarse_n_is_that_of_the_rows_other_rates():
    found = published.estimates("variations")
    odd = found[found["n_is"] == "approximate"]
    assert odd["row"].nunique() == 20
    assert odd["n"].between(150, 800).all()
    assert set(odd.loc[odd["tier"] != "both", "interval"]) == {published._INTERVALS["approximate"]}


@pytest.mark.parametrize("name", ["lying", "situation", "raters"])
def test_shares_of_counted_answers_have_wilsons_interval_on_the_largest_n_that_fits(name):
    found = published.estimates(name)
    nominal = "n_examples" if name == "raters" else "n_nominal"
    assert (found["n"] <= found[nominal]).all()
    assert (found["n"] >= found[nominal] - 8).all()
    assert (found["low"] <= found["estimate"]).all()
    assert (found["high"] >= found["estimate"]).all()
    counts = found["n"] * found["estimate"]
    off = (counts - counts.round()).abs() > 0.0005 * found["n"] + 1e-6
    # means of two verdicts, and the 28 % of 20 that no count gives
    assert set(found.loc[off, "quantity"]) <= (
        {"human", "mean_classifier"} if name == "raters" else set()
    )


def test_the_text_states_no_sample_size_so_its_numbers_have_no_interval():
    found = published.estimates("text")
    assert found[["low", "high"]].isna().all().all()
    with pytest.raises(af.InputError, match="'sizes' holds no estimates"):
        published.estimates("sizes")


def test_a_printed_se_gives_back_its_n():
    for n in (87, 172, 345, 620):
        for rate in (0.03, 0.12, 0.5, 0.86):
            se = (rate * (1 - rate) / n) ** 0.5
            found = implied_n(round(rate, 3), round(se, 3))
            assert found.low <= n <= found.high


def test_every_variation_has_a_group_and_only_variations_have_one():
    groups = published.table("variations")["group"]
    assert groups.notna().all()
    assert groups.nunique() == 10


def test_discrepancies_are_computed_from_the_tables():
    found = published.discrepancies().set_index("claim")
    assert len(found) == 22
    assert found["kind"].value_counts().to_dict() == {
        "within error": 6,
        "beyond error": 6,
        "rounding": 5,
        "caption": 4,
        "table": 1,
    }
    fake = "An instruction never to fake alignment raises AF reasoning (helpful-only)."
    assert found.loc[fake, "tables"].startswith("AF reasoning 10.2 %")
    animals = [claim for claim in published.table("claims")["claim"] if "never to fake" in claim]
    assert len(animals) == 4  # of which animal welfare bears two out
    assert sum(claim in found.index for claim in animals) == 2


def test_a_corrected_table_bears_a_claim_out(tmp_path, monkeypatch):
    folder = shutil.copytree(paper_tables.folder(), tmp_path / "published")
    monkeypatch.setattr(printed_tables, "folder", lambda: folder)
    path = folder / paper_tables.TABLES["lying"]
    before = len(published.discrepancies())
    table = pd.read_csv(path)
    table.loc[22, ["lies_pct", "egregious_lies_pct"]] = [4.0, 2.0]
    table.to_csv(path, index=False)
    assert len(published.discrepancies()) == before - 2


def test_the_page_of_the_paper_is_what_the_package_computes(project):
    """Else run `make docs`."""
    docs = runpy.run_path(str(project / "tools" / "write_docs.py"))
    page = docs["PAPER_PAGE"].read_text(encoding="utf-8")
    assert page == docs["paper_page"]()
    for item in published.table("index")["item"]:
        assert f"| {item} |" in page
