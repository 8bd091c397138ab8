"""Links of the documentation lead somewhere, and the README stays short."""

import re
from types import SimpleNamespace

import pytest

from afanalysis.cli.running import _print_what_to_open
from tests.helpers import PROJECT

PAGES = [
    *(PROJECT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "data").glob("*/**/README.md")),
]


def prose(page):
    """A page without its blocks and spans of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page):
    """The anchors that a code host gives a page's headings: lower case, hyphens, no punctuation."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    for link in links:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in set(anchors(target)), f"{page.name}: {link}"


def test_the_readme_is_two_screens_and_names_every_page_of_the_documentation():
    text = (PROJECT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 1000
    linked = set(re.findall(r"\((docs/[\w.-]+\.md)\)", text))
    assert linked == {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs").glob("*.md")}


def test_a_run_ends_with_what_the_readme_tells_to_open(tmp_path, capsys):
    text = (PROJECT / "README.md").read_text("utf-8")
    told = re.findall(r"^\d\. `(.+?)`", text, flags=re.M)
    for page in told:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).touch()
    _print_what_to_open(tmp_path, [SimpleNamespace(study="paper"), SimpleNamespace(study="demo")])
    assert re.findall(r"^Open (.+?):", capsys.readouterr().out, flags=re.M) == told
