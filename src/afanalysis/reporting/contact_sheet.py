"""One page with every figure of every study."""

from pathlib import Path

from afanalysis.study.files import read_json, write_text
from afanalysis.text.pages import render

_KINDS = ("svg", "pdf", "png", "csv", "json")


def write_contact_sheet(folder: Path) -> Path:
    """Write `index.html` into the folder of figures: every figure of every study, with what it shows."""
    studies = []
    for study in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = []
        for path in sorted(study.glob("*.json")):
            about = read_json(path)
            kinds = [kind for kind in _KINDS if path.with_suffix(f".{kind}").exists()]
            pictures.append(about | {"name": path.stem, "kinds": kinds})
        if pictures:
            studies.append({"name": study.name, "pictures": pictures})
    return write_text(folder / "index.html", render("contact_sheet.html.j2", studies=studies))
