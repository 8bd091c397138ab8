"""Write the parts of the documentation that are made from code: `python tools/write_docs.py`.

The table of columns in docs/data.md and those of docs/importing.md, between their marks, are made from
what the package declares; docs/paper.md is made from the paper's published tables.
"""

from __future__ import annotations

import re
from pathlib import Path

from afanalysis.analysis import published
from afanalysis.analysis.paper import headline, headline_by_method
from afanalysis.logs.fields import FORMS
from afanalysis.logs.formats import FORMATS
from afanalysis.study.paper_tables import TABLES
from afanalysis.table.schema import COLUMNS
from afanalysis.text.markup import to_markdown
from afanalysis.text.wording import in_words

PAPER_PAGE = Path(__file__).parents[1] / "docs" / "paper.md"

DATA_PAGE = Path(__file__).parents[1] / "docs" / "data.md"

IMPORT_PAGE = Path(__file__).parents[1] / "docs" / "importing.md"

_TYPES = {"text": "text", "number": "number", "whole": "whole number", "yes/no": "true/false"}


def _table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *others])


def with_table(page: str, name: str, table: str) -> str:
    """The page with a current table between its marks."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page, count = re.subn(f"{begin}.*{end}", lambda _: f"{begin}\n{table}\n{end}", page, flags=re.S)
    if not count:
        raise SystemExit(f"a page lacks the marks {begin} and {end}")
    return page


def with_columns(page: str) -> str:
    """docs/data.md with a current table of columns."""
    rows = [(f"`{column.name}`", _TYPES[column.kind], column.meaning) for column in COLUMNS]
    return with_table(page, "columns", _table(("column", "type", "meaning"), *rows))


def with_import_tables(page: str) -> str:
    """docs/importing.md with current tables of formats, texts, identity and states."""
    formats = [(f"`{name}`", meaning) for name, (meaning, _) in FORMATS.items()]
    texts = [(name, text["rule"]) for name, text in FORMS["texts"].items()]
    fields = [
        (f"`{name}`", ", ".join(f"{column} from `{field}`" for column, field in columns.items()))
        for name, columns in FORMS["fields"].items()
    ]
    named = [(rule["what"], rule["same"], rule["else"]) for rule in FORMS["identity"].values()]
    states = [(name, how["where"], how["decision"]) for name, how in FORMS["states"].items()]
    page = with_table(page, "formats", _table(("format", "what"), *formats))
    page = with_table(page, "texts", _table(("text", "where it is found"), *texts))
    page = with_table(page, "fields", _table(("format", "which of its fields fill columns"), *fields))
    heads = ("what the log names an answer by", "equal", "different")
    page = with_table(page, "identity", _table(heads, *named))
    return with_table(page, "states", _table(("state", "how a log says it", "what is done"), *states))


_PAPER = """# The paper, figure by figure

Made by `make docs` from `data/raw/published/` ([its README](../data/raw/published/README.md)); do not
edit. The paper is Greenblatt et al. 2024, *Alignment faking in large language models*,
[arXiv:2412.14093v2](https://arxiv.org/abs/2412.14093). `make figures` draws what is named here into
`figures/paper/`. The same tables, with all figures, are in `data/processed/paper/report.html`.

## The headline, by method

With the default prompt of the helpful-only setting, 353 is the only number of queries (of 20 to 800)
that gives both refusal rates, the gap and their errors as printed, so the rates are counts. The rate and
the error of AF reasoning fit it too, but were not searched: in 24 helpful-only rows the rate is no count
of half verdicts of the row's n. Each query was asked once per tier. Both tiers asked the same queries;
which answers belong together is not printed, so the gap has a row for the pairings under which its
paired interval is widest and narrowest. AF reasoning is the mean of two verdicts; how many answers
count a half is not printed either; halves are not binomial, so Wilson's and the exact interval are given
for none only.

{headline}
## The gap, by how the answers of its tiers are paired

{pairings}
## Every figure and table

What each shows, how many of its numbers are printed, in which file they are (by the names of
`published.table`), and which figure is drawn from them. Numbers that exist in plots only are not
measured, so they are not drawn.

{index}
## Sample sizes

The n from 20 to 800 that give both refusal rates of a row, their errors, the gap and its error as
printed: `derived` where there is one, `consistent` where there are several, of which one is chosen. The
rate and error of AF reasoning are not searched (`published.sample_sizes()`).

{sizes}
## Where the text and the tables differ

Found in a text copy of the paper, and to be checked against the PDF before anything is made of it. The
claims are in our words. *Beyond error*: the interval of the difference, samples taken as independent,
leaves 0 out, or the stated number lies outside the interval of the printed one; *within error*: it does
not. The other kinds say what a difference lies in: *rounding* of printed numbers, a *caption* that
differs from the text or a table, two numbers of one *table*, or a number that is *impossible*, as no
count gives it. Claims about both settings have a row per setting, and only rows that differ are listed.
The paper's main results are those of its tables.

{discrepancies}"""


def paper_page() -> str:
    """docs/paper.md."""
    methods = {name: [name] for name in ("quantity", "tier", "method")} | {
        "estimate (%, gaps in points)": ["estimate", "low", "high"],
        "assumes": ["assumes"],
    }
    pairings = {
        "setting": ["setting"],
        "independent, as in the paper": ["estimate", "low", "high"],
        "widest": ["estimate", "widest_low", "widest_high"],
        "narrowest": ["estimate", "narrowest_low", "narrowest_high"],
    }
    index = published.table("index").drop(columns="row")
    names = {file: f"`{name}`" for name, file in TABLES.items()}
    index["numbers_in"] = index["numbers_in"].replace(names, regex=True)
    index["drawn"] = index["drawn"].str.replace(r"([\w-]+)", r"`\1`", regex=True)
    sizes = published.sample_sizes()
    counted = sizes.groupby(["setting", "n_is"], sort=False)["n"].agg(["size", "min", "max"])
    counted = counted.rename(columns={"size": "rows", "min": "smallest n", "max": "largest n"})
    counted = counted.astype("Int64").astype(object).fillna("–").reset_index()
    gaps = headline().dropna(subset=["widest_low"])
    differ = published.discrepancies().drop(columns="level")
    return _PAPER.format(
        headline=to_markdown(in_words(headline_by_method(), [], methods)),
        pairings=to_markdown(in_words(gaps, ["setting"], pairings)),
        index=to_markdown(index),
        sizes=to_markdown(counted),
        discrepancies=to_markdown(differ),
    )


if __name__ == "__main__":
    PAPER_PAGE.write_text(paper_page(), encoding="utf-8")
    DATA_PAGE.write_text(with_columns(DATA_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    IMPORT_PAGE.write_text(with_import_tables(IMPORT_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
