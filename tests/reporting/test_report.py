import json

import pandas as pd
import pytest
from markupsafe import escape

import afanalysis as af
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.reporting.latex import macros
from afanalysis.study import paper_tables
from afanalysis.text.untrusted import escape_invisible
from afanalysis.text.wording import with_interval
from tests.helpers import HOSTILE


@pytest.fixture
def opened(browser, reported):
    """The report in the browser; whatever the console says is an error."""
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "http" in request.url[:5] else None)
    page.goto((reported.processed / "report.html").as_uri())
    yield page
    page.close()
    assert said == []


def test_the_findings_hold_the_numbers_of_the_rates_and_gaps(opened, reported):
    said = " ".join(opened.locator(".findings li").all_inner_texts()).replace("\u00a0", " ")
    rates = pd.read_csv(reported.processed / "rates.csv")
    gaps = af.compliance_gap(reported.processed / "rollouts.parquet")
    for row in rates.itertuples():
        assert with_interval([1 - row.rate, 1 - row.high, 1 - row.low], "%") in said
    for row in gaps.itertuples():
        assert with_interval([row.gap, row.low, row.high], "points") in said
    assert said.count("Not established:") == len(gaps)  # 12 prompts


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_nothing_sticks_out_at_any_width(opened, width, height):
    opened.set_viewport_size({"width": width, "height": height})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_every_figure_has_a_text_alternative_that_states_its_finding(opened, reported):
    alternatives = opened.eval_on_selector_all("figure img", "all => all.map(one => one.alt)")
    drawn = list(reported.figures.glob("*.svg"))
    assert len(alternatives) == len(drawn)
    assert all(any(letter.isdigit() for letter in text) for text in alternatives)
    loaded = opened.eval_on_selector_all("figure img", "all => all.every(one => one.naturalWidth > 0)")
    assert loaded


@pytest.mark.slow
def test_the_page_has_no_serious_accessibility_finding(opened):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(opened).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_it_prints_to_pdf(opened, tmp_path):
    opened.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000


def test_the_contact_sheet_shows_every_figure_and_is_accessible(browser, reported):
    from axe_playwright_python.sync_playwright import Axe

    sheet = write_contact_sheet(reported.figures.parent)
    page = browser.new_page()
    page.goto(sheet.as_uri())
    shown = page.eval_on_selector_all("img", "all => all.map(one => one.getAttribute('src'))")
    assert set(shown) == {f"small/{path.stem}.png" for path in reported.figures.glob("*.svg")}
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.fixture
def hostile(reported, tmp_path, monkeypatch):
    """A study whose model's texts, names and notes try everything."""
    folders = af.Folders(tmp_path, "hostile")
    rollouts = af.load(reported.processed / "rollouts.parquet")
    for at, name in enumerate(("request", "scratchpad", "output")):
        rollouts[name] = [HOSTILE[(at + row) % len(HOSTILE)] for row in range(len(rollouts))]
    rollouts["model"] = "<b>$\\LaTeX$</b>"
    af.save(rollouts, folders.processed / "rollouts.parquet")
    monkeypatch.setattr(af.Gallery, "names", ("behaviour_by_tier",))
    return af.Gallery("hostile", tmp_path)


@pytest.mark.slow
def test_hostile_text_is_shown_as_text(browser, hostile):
    page = browser.new_page()
    page.goto(af.write_report(hostile).as_uri())
    assert page.title() == "Study hostile"
    assert page.locator("main script, main pre img, main pre *").count() == 0
    text = page.locator("main").inner_text()
    assert "<script>document.title" in text
    assert "⟨U+202E⟩turned" in text
    assert "{{ 7 * 7 }}" in text
    assert "996,000 characters more]" in text
    assert "<b>$\\LaTeX$</b>" in text
    page.close()


def test_hostile_names_are_set_by_latex_as_they_stand(hostile):
    macros, _, rates, *_ = (path.read_text() for path in af.write_latex(hostile))
    assert r"\textless{}b\textgreater{}\$\textbackslash{}LaTeX\$" in rates
    assert "<b>" not in macros


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(reported):
    path = reported.processed / "report.html"
    before = path.read_bytes()
    af.write_report(af.Gallery("small", reported.project))
    assert path.read_bytes() == before


def test_warnings_say_what_is_missing(reported, tmp_path, monkeypatch):
    monkeypatch.setattr(af.Gallery, "names", ("behaviour_by_tier",))
    rollouts = af.load(reported.processed / "rollouts.parquet")
    rollouts["label_weight"] = pd.NA
    rollouts.loc[rollouts.index[::10], "valid"] = False
    rollouts.loc[rollouts.index[1::10], "complied"] = pd.NA
    rollouts.loc[rollouts.index[2::10], ["valid", "blocked"]] = False, "cyber"
    folders = af.Folders(tmp_path, "small")
    af.save(rollouts, folders.processed / "rollouts.parquet")
    page = af.write_report(af.Gallery("small", tmp_path)).read_text()
    for sentence in (
        "there are no labels, so the judge&#39;s error is unknown",
        *("form not as requested", "no verdict", "blocked: cyber", "AF reasoning: in the tagged"),
        "answers are left out",
    ):
        assert sentence in page
    assert page.index("answers that were asked for") < page.index("a compliance gap")


@pytest.mark.slow
def test_a_table_that_is_missing_says_why(reported, tmp_path, monkeypatch):
    monkeypatch.setattr(af.Gallery, "names", ("behaviour_by_tier",))
    rollouts = af.load(reported.processed / "rollouts.parquet").assign(variation="mine")
    rollouts["label_weight"] = pd.NA
    folders = af.Folders(tmp_path, "small")
    af.save(rollouts, folders.processed / "rollouts.parquet")
    page = af.write_report(af.Gallery("small", tmp_path)).read_text()
    assert "Beside the paper: not shown; the study shares no condition with the paper" in page
    assert "not shown; nobody has labelled any of this study&#39;s rollouts" in page
    assert "<caption>Results by condition</caption>" in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain\n\ttext", "plain\n\ttext"), ("\u2028", "⟨U+2028⟩"), ("\ufeffa", "⟨U+FEFF⟩a"), (None, "")],
)
def test_hidden_characters_are_spelled_out(text, shown):
    assert escape_invisible(text) == shown


def test_the_papers_macros_are_its_numbers():

    estimates = af.published.estimates()
    text = macros(estimates[estimates["variation"] == "default"])
    assert r"\newcommand{\refusalPaid}{97.2\,\%}" in text
    assert r"\newcommand{\gap}{11.3\,points}" in text
    assert r"\newcommand{\gapAnimalWelfareCI}{[9.2, 20.2]}" in text
    names = [line.split("{")[1].strip("}") for line in text.splitlines() if line.startswith(r"\newc")]
    assert len(names) == len(set(names))
    assert all(name[1:].isalpha() for name in names)


def test_names_that_latex_cannot_tell_apart_get_macros_of_their_own():
    rows = af.published.estimates()
    one = rows[rows["variation"] == "default"].head(1).drop(columns="model")
    text = macros(pd.concat([one.assign(model=name) for name in ("m-1", "m_1", "m.1", "質")]))
    names = [line.split("{")[1].strip("}") for line in text.splitlines() if line.startswith(r"\newc")]
    assert len(set(names)) == len(names) == 4 * 4


def test_a_figures_provenance_is_in_the_report(reported):
    about = json.loads((reported.figures / "behaviour_by_tier.json").read_text())
    page = (reported.processed / "report.html").read_text()
    assert about["inputs"]["data/processed/small/rollouts.parquet"] in page


@pytest.mark.slow
def test_the_papers_report_has_its_index_its_sources_and_what_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(af.Gallery, "names", ("behaviour_by_tier", "reasoning_by_tier"))
    page = af.write_report(af.Gallery("paper", tmp_path)).read_text()
    for caption in (
        "Estimates of the default prompt",
        "The helpful-only headline by method",
        "The gap, by how the answers of its tiers are paired",
        "Where the text and the tables differ (in a text copy; to be checked against the PDF)",
        "Every figure and table of the paper",
        "Where the numbers stand",
    ):
        assert f"<caption>{caption}</caption>" in page
    for claim in af.published.discrepancies()["claim"]:
        assert escape(claim) in page
    for file in paper_tables.TABLES.values():
        assert f"data/raw/published/{file}" in page
    assert page.count("353 derived") >= 6
    assert "reasoning_by_tier (of the paper it exists as a plot only)" in page
