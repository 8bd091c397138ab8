import pandas as pd

from afanalysis.text.markup import to_latex, to_markdown
from afanalysis.text.pages import render

HOSTILE = "<b>\u202eturned\x1b[31m"


def test_a_page_shows_hidden_characters_and_holds_no_foreign_html():
    """S7: pages."""
    row = dict.fromkeys(("setting", "tier", "prompt_id", "request", "output"), HOSTILE)
    page = render("transcripts.html.j2", rows=[row | {"verdict": "complied", "af": "none"}], total=1)
    assert "&lt;b&gt;⟨U+202E⟩turned⟨U+001B⟩[31m" in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_tables_show_hidden_characters():
    """S7: tables."""
    table = pd.DataFrame({HOSTILE: [HOSTILE]})
    for text in (to_markdown(table), to_latex(table, ["all"])):
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "U+202E" in text
