import csv
import io
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afanalysis as af
from afanalysis.analysis import printed_tables, published
from afanalysis.analysis.printed_tables import fitting_n, implied_n
from afanalysis.study import paper_tables

TABLES = paper_tables.DECLARED["tables"]
RATE_TABLES = ("variations", "rl", "table1", "replication")
FITTING = pd.read_csv("tests/fixtures/fitting_n.csv", index_col="row")
G2 = "greenblatt2024_prompt_variations.csv"
SIZES = "its rates, gap and errors fit none of [353, 173, 86] answers, as helpful-only rows do"
# Each edit: table, row, column, value, and what the sentence must say.
EDITS = (
    ("variations", 5, "compliance_gap_pct", "9.9", "the gap is 9.9, but its rates are 94.2 and 89.6"),
    ("variations", 8, "compliance_gap_se", "9.9", "the gap's error is 9.9, but its rates' are"),
    ("variations", 10, "af_reasoning_pct", "99.0", "AF reasoning is 99.0, non-compliance in"),
    ("variations", 60, "compliance_gap_pct", "", "compliance_gap_pct is ''; write a number from"),
    ("variations", 1, "compliance_gap_pct", "11.4", SIZES),
    ("variations", 1, "af_reasoning_se", "1.9", "af_reasoning_se is 1.9; with af_reasoning_pct 11.9"),
    (
        "variations",
        90,
        "compliance_gap_se",
        "-1.7",
        "compliance_gap_se is '-1.7'; write",
    ),
    ("variations", 90, "compliance_gap_se", "inf", "compliance_gap_se is 'inf'; write"),
    ("variations", 8, "setting", "animal-welfare", "setting is animal-welfare; rows 1 to 57 are"),
    ("variations", 2, "setting", "helpful", "setting is 'helpful'; write helpful-only, animal-welfare"),
    ("variations", 58, "variation", "standard", "variation is standard, model claude-3-opus; default"),
    ("variations", 4, "variation", "email", ""),
    ("rl", 1, "phase", "pre-Rl", "phase is 'pre-Rl'; write pre-RL, post-RL"),
    ("rl", 2, "noncompliance_training_pct", "100.5", "noncompliance_training_pct is '100.5'; write"),
    ("rl", 3, "af_reasoning_pct", "11.5", f"af_reasoning_pct is 11.5; the row of {G2} differs"),
    ("table1", 3, "af_reasoning_se", "3,0", "af_reasoning_se is '3,0'; write a standard error"),
    ("table1", 2, "row_in_prompt_variations", "50", "row_in_prompt_variations is 50, which is another"),
    ("lying", 1, "lies_pct", "120.0", "lies_pct is '120.0'; write a share from 0 to 100"),
    ("lying", 1, "egregious_lies_pct", "20.6", "egregious lies are 20.6, lies 20.5; the former"),
    ("lying", 9, "n_nominal", "440", "n_nominal is 440; 7 × 64 answers are stated"),
    ("lying", 9, "n_nominal", "0", "n_nominal is '0'; write a whole number from 1"),
    ("lying", 2, "egregious_lies_pct", "0.3", "egregious_lies_pct is 0.3; a share of 448 answers"),
    ("replication", 4, "n_queries", "397", "n_queries is 397; the paper states 400"),
    ("replication", 12, "noncompliance_training_pct", "28.1", "noncompliance_training_pct is 28.1; a"),
    ("situation", 30, "might_be_fake_pct", "2.3", "might_be_fake_pct is 2.3; a share of 64 answers"),
    ("situation", 3, "by", "input", "n_inputs is 3 in a row by input; only a row by input has one"),
    ("raters", 1, "human_pct", "96.0", "human_pct is 96.0; a share of 20 examples is a multiple"),
    ("raters", 2, "full_classifier_pct", "54.0", "the classifiers' shares are 45.0 and 54.0; a share"),
    ("raters", 2, "mean_classifier_pct", "5.0", "the mean is 5.0, but the classifiers' shares are"),
    ("raters", 2, "n_examples", "40", "n_examples is 40; the paper states 20"),
    ("scores", 1, "value", "70.9", "value is '70.9'; write a score from 0 to 10"),
    ("text", 1, "value", "700", "value is 700.0 (%); a share lies in 0-100"),
    ("text", 1, "value", "seven", "value is 'seven'; write a number from 0, or inf"),
    ("claims", 16, "stated", "", "stated is blank; a number is stated as a number"),
    ("index", 1, "printed", "most", "printed is 'most'; write all, some, none"),
)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The tables in a folder of their own, which is read."""
    folder = shutil.copytree(paper_tables.folder(), tmp_path / "published")
    monkeypatch.setattr(printed_tables, "folder", lambda: folder)
    return folder


@pytest.mark.parametrize("name", sorted(paper_tables.TABLES))
def test_the_tables_as_shipped_break_no_rule_and_name_their_sources(name):
    table = published.table(name)
    assert len(table)
    assert table["row"].is_unique
    if name not in ("claims", "index"):
        assert table["source"].str.contains("2412.14093|Gadgets").all()


@pytest.mark.parametrize(("name", "row", "column", "value", "sentence"), EDITS)
def test_a_table_edited_by_hand_is_refused_with_its_row_and_the_rule(
    copied, name, row, column, value, sentence
):
    path = copied / paper_tables.TABLES[name]
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    table.loc[row - 1, column] = value
    table.to_csv(path, index=False)
    if not sentence:  # one row twice
        row, sentence = 7, "it repeats an earlier row of helpful-only, email; write each once"
    with pytest.raises(af.InputError) as caught:
        published.table(name)
    assert str(caught.value).startswith(f"{path.name}: row {row}: {sentence}")
    assert "\n" not in str(caught.value)


def test_every_declared_rule_is_tried_and_no_table_has_columns_of_its_own_kind():
    words = [rule["words"] for about in TABLES.values() for rule in about["rules"]]
    starts = {sentence.split(" {")[0].split("{")[0] for sentence in words}
    for start in starts:
        assert any(sentence.startswith(start) for *_, sentence in EDITS), start
    for about in TABLES.values():
        assert {*about["columns"].values()} <= {*paper_tables.DECLARED["kinds"]}
        assert {*about["key"]} <= {*about["columns"]}


def edited(data, text):
    """A file with one edit: of a byte, a cell, a line or a column."""
    kind = data.draw(st.sampled_from(["byte", "cell", "line", "column", "end"]))
    lines = text.decode().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.sampled_from([b"", b"\xff", *(bytes([code]) for code in b'09,"-.{\0\n')]))
    if kind == "byte":
        at = data.draw(st.integers(0, len(text)))
        return text[:at] + other + text[at + data.draw(st.integers(0, 3)) :]
    if kind == "end":
        return text[: data.draw(st.integers(0, len(text)))] + other
    if kind == "line":
        lines[place] = data.draw(st.sampled_from(["", lines[place] * 2, lines[0], lines[-1]]))
        return "".join(lines).encode()
    table = [*csv.reader(lines)]
    column = data.draw(st.integers(0, len(table[0]) - 1))
    cells = ["", "nan", "inf", "-1", "0", "0.5", "1e3", "99.9", "12,5", "x", "{x}", "9" * 400]
    cells.append(table[-1][column])
    for row in table if kind == "column" else table[place : place + 1]:
        row[column] = data.draw(st.sampled_from([*cells, row[column].upper(), row[column] + " "]))
    file = io.StringIO(newline="")
    csv.writer(file).writerows(table)
    return file.getvalue().encode()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.sampled_from(sorted(TABLES)), data=st.data())
def test_an_edit_is_refused_in_one_sentence_or_leaves_numbers_that_keep_the_rules(copied, name, data):
    path = copied / TABLES[name]["file"]
    shipped = path.read_bytes()
    before = published.table(name)
    path.write_bytes(edited(data, shipped))
    refused = ""
    try:
        after = published.table(name)
        if name in published._CLAIMED:
            published.estimates(name)
        if name == "claims":
            published.discrepancies()
    except af.InputError as error:
        refused = str(error)
    finally:
        path.write_bytes(shipped)
    if refused:
        assert "\n" not in refused
        assert path.name in refused
    else:
        assert after.shape == before.shape
        assert (after.dtypes == before.dtypes).all()
        assert after["row"].tolist() == before["row"].tolist()
        helpful = after[after["setting"] == "helpful-only"] if name == "variations" else after[:0]
        assert all({353, 173, 86} & {*printed_tables.fits_of(row)} for row in helpful.to_dict("records"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_file_that_is_missing_empty_or_not_utf_8_is_refused(copied, name):
    path = copied / TABLES[name]["file"]
    text = path.read_text(encoding="utf-8")
    for content in (b"", text.encode("utf-16"), text.splitlines()[0].encode(), None):
        path.write_bytes(content) if content is not None else path.unlink()
        with pytest.raises(af.InputError, match=path.name):
            published.table(name)
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))  # as a spreadsheet writes it
    assert len(published.table(name)) == TABLES[name]["rows"]


def test_no_smaller_number_of_lost_answers_makes_every_share_a_count(monkeypatch):
    for size, lost in paper_tables.DECLARED["lost"].items():
        if lost:
            monkeypatch.setitem(paper_tables.DECLARED["lost"], size, lost - 1)
            with pytest.raises(af.InputError, match=f"a share of {size} answers"):
                [published.table(name) for name in ("lying", "situation")]
            monkeypatch.setitem(paper_tables.DECLARED["lost"], size, lost)


@pytest.mark.parametrize("subject", ["rl_99_refused_paid", "rl_1_refused_paid /", "9 ** 9 ** 9", "("])
def test_a_claim_whose_subject_cannot_be_computed_is_refused(copied, subject):
    path = copied / TABLES["claims"]["file"]
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    table.loc[15, "subject"] = subject
    table.to_csv(path, index=False)
    with pytest.raises(af.InputError, match=r"greenblatt2024_claims\.csv: row 16: "):
        published.discrepancies()


@pytest.fixture(scope="module")
def sizes():
    return published.sample_sizes()


@pytest.mark.parametrize("row", FITTING.index)
def test_the_n_that_fit_a_row_are_those_of_an_independent_search(sizes, row):
    table = sizes.set_index("row").loc[row]
    expected = FITTING.loc[row]
    assert len(table["fits"]) == expected["count"]
    if table["fits"]:
        assert (table["fits"][0], table["fits"][-1]) == (expected["low"], expected["high"])


def test_all_145_rows_are_searched_and_helpful_only_rows_fit_one_of_three_sizes(sizes):
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
        "rounding": 4,
        "impossible": 1,
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
