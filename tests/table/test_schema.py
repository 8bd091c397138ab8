import runpy

from afanalysis.table.schema import COLUMNS, CONDITIONS, ROW_ORDER, SCHEMA, TEXTS


def test_the_columns_in_the_docs_are_current(project):
    docs = runpy.run_path(str(project / "tools" / "write_docs.py"))
    page = (project / "docs" / "data.md").read_text(encoding="utf-8")
    assert docs["with_columns"](page) == page, "run make docs"
    for column in COLUMNS:
        assert f"| `{column.name}` |" in page


def test_every_column_has_a_name_of_its_own_a_type_and_a_meaning():
    assert len(SCHEMA) == len(COLUMNS)
    for column in COLUMNS:
        assert column.dtype
        assert column.sql_type
        assert column.meaning[0] != " "
        assert len(column.meaning.split()) >= 3, column.name
    assert set(CONDITIONS) | set(TEXTS) | set(ROW_ORDER) <= set(SCHEMA)


def test_columns_that_every_row_has_are_not_nullable():
    assert SCHEMA["sample"] == "int64"
    assert SCHEMA["valid"] == "bool"
    assert SCHEMA["complied"] == "boolean"
    assert SCHEMA["af_reasoning"] == "Float64"


def test_an_alias_belongs_to_one_column():
    aliases = [alias for column in COLUMNS for alias in column.aliases.split()]
    assert len(aliases) == len(set(aliases))
