"""HTML pages from templates: everything in them escaped, and readable whatever it holds."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

_MOST_CHARACTERS = 4000


def render(template: str, **content: Any) -> str:
    """A page from a template of the package, with everything in it escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("afanalysis", "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(content)


def visible(text: str | None, most: int = _MOST_CHARACTERS) -> str:
    r"""A model's text for reading: cut where it is very long, with hidden characters spelled out.

    Characters that turn, hide or break text (control, format, private, unassigned) are written as their
    code points, so that what one sees is what there is.

    Examples
    --------
    >>> visible("a\u202eb")
    'a⟨U+202E⟩b'
    """
    text = text or ""
    shown = "".join(
        f"⟨U+{ord(letter):04X}⟩"
        if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
        and letter not in "\n\t"
        else letter
        for letter in text[:most]
    )
    return shown if len(text) <= most else f"{shown}… [{len(text) - most:,} characters more]"


def write_contact_sheet(folder: Path) -> Path:
    """Write `index.html` into the folder of figures: every figure of every study, with what it shows."""
    studies = []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = []
        for said in sorted(inside.glob("*.json")):
            about = json.loads(said.read_text(encoding="utf-8"))
            kinds = [
                kind
                for kind in ("svg", "pdf", "png", "csv", "json")
                if said.with_suffix(f".{kind}").exists()
            ]
            pictures.append(
                {"name": said.stem, "heading": about["heading"], "alt": about["alt"], "kinds": kinds}
            )
        if pictures:
            studies.append({"name": inside.name, "pictures": pictures})
    path = folder / "index.html"
    path.write_text(render("contact_sheet.html.j2", studies=studies), encoding="utf-8")
    return path
