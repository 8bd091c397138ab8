"""One page with every figure of every study."""

from __future__ import annotations

import json
from pathlib import Path

from afanalysis.text.pages import render

_KINDS = ("svg", "pdf", "png", "csv", "json")


def write_contact_sheet(folder: Path) -> Path:
    """Write `index.html` into the folder of figures: every figure of every study, with what it shows."""
    studies = []
    for study in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = []
        for path in sorted(study.glob("*.json")):
            about = json.loads(path.read_text(encoding="utf-8"))
            kinds = [kind for kind in _KINDS if path.with_suffix(f".{kind}").exists()]
            pictures.append(
                {"name": path.stem, "heading": about["heading"], "alt": about["alt"], "kinds": kinds}
            )
        if pictures:
            studies.append({"name": study.name, "pictures": pictures})
    path = folder / "index.html"
    path.write_text(render("contact_sheet.html.j2", studies=studies), encoding="utf-8")
    return path
