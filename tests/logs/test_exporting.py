import pandas as pd
import pytest

import afanalysis as af
from afanalysis.errors import InputError
from afanalysis.logs.exporting import TEXTS, export
from afanalysis.table.schema import COLUMNS, SCHEMA

MEANINGS = {column.name: column.meaning for column in COLUMNS}


def test_every_column_has_a_meaning_there_and_in_the_docs(project):
    assert set(MEANINGS) == set(SCHEMA)
    docs = (project / "docs" / "data.md").read_text()
    assert [name for name in SCHEMA if f"`{name}`" not in docs] == []


def test_parquet_and_csv_come_back_as_they_were(reported, tmp_path):
    table = af.load(reported.processed / "rollouts.parquet")
    for kind in ("parquet", "csv"):
        path, dictionary = export(reported, kind, tmp_path / kind)
        again = af.load(path)
        if kind == "csv":  # which cannot tell an empty text from a missing one
            texts = [name for name, type_ in SCHEMA.items() if type_ == "string"]
            again, expected = again.copy(), table.copy()
            for frame in (again, expected):
                frame[texts] = frame[texts].fillna("")
        else:
            expected = table
        pd.testing.assert_frame_equal(again[list(expected)], expected, check_dtype=False)
        described = pd.read_csv(dictionary).set_index("column")
        assert list(described.index) == list(table)
        assert described.meaning.to_dict() == {name: MEANINGS[name] for name in table}
        assert described.known.to_dict() == table.notna().sum().to_dict()


def test_a_text_that_a_spreadsheet_would_run_is_guarded_in_csv(reported, tmp_path):
    """S8: exports."""
    table = af.load(reported.table)
    table["output"] = '=HYPERLINK("http://evil.example")'
    folders = af.Folders(tmp_path, "evil")
    af.save(table, folders.table)
    path, _ = export(folders, "csv", tmp_path / "out")
    assert set(pd.read_csv(path).output) == {'\'=HYPERLINK("http://evil.example")'}
    path, _ = export(folders, "parquet", tmp_path / "out")
    assert set(pd.read_parquet(path).output) == {'=HYPERLINK("http://evil.example")'}


def test_ids_with_leading_zeros_survive_csv(tmp_path):
    (tmp_path / "t.csv").write_text("prompt_id,tier,complied\n007,free,True\n007,paid,False\n")
    assert set(af.load(tmp_path / "t.csv").prompt_id) == {"007"}


def test_texts_can_stay_at_home(reported, tmp_path):
    path, _ = export(reported, "parquet", tmp_path, texts=False)
    assert not set(TEXTS) & set(pd.read_parquet(path))
    assert len(af.rates(path)) == 4
    with pytest.raises(InputError, match="consists of texts"):
        export(reported, "inspect", tmp_path, texts=False)


def test_a_dataset_has_a_card_with_its_results(reported, tmp_path):
    export(reported, "dataset", tmp_path)
    table = af.load(reported.processed / "rollouts.parquet")
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\n")
    assert "SIMULATED" in card
    gap = af.compliance_gap(table, ["setting"]).set_index("setting").gap["helpful-only"]
    assert f"{100 * gap:.1f}" in card
    assert "nan" not in card


def test_what_cannot_be_exported_is_said(reported, tmp_path):
    with pytest.raises(InputError, match="there is no format 'xlsx'"):
        export(reported, "xlsx", tmp_path)
    with pytest.raises(InputError, match="run the study first"):
        export(af.Folders(tmp_path, "none"), "csv", tmp_path)
