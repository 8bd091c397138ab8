"""One page with every figure of every study."""

from __future__ import annotations

import json
from pathlib import Path

from afanalysis.text.pages import render


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
