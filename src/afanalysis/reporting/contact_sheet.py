"""One page with every figure of every study."""

from pathlib import Path
from typing import Any

from afanalysis.study.files import read_json, write_text
from afanalysis.study.folders import RUNS, Folders
from afanalysis.text.pages import render

_KINDS = ("svg", "pdf", "png", "csv", "json")


def write_contact_sheet(folder: Path) -> Path:
    """Write `index.html` into the folder of figures: every figure of every study, with what it shows.

    The runs of a sweep are folded into one section.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for study in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = []
        for path in sorted(study.glob("*.json")):
            about = read_json(path)
            kinds = [kind for kind in _KINDS if path.with_suffix(f".{kind}").exists()]
            pictures.append(about | {"name": path.stem, "kinds": kinds})
        sweep = study.name.partition(".")[0]
        is_run = (Folders(folder.parent, sweep).processed / RUNS).exists()
        if pictures:
            section = sections.setdefault(sweep if is_run else study.name, [])
            section.append({"name": study.name, "pictures": pictures})
    return write_text(folder / "index.html", render("contact_sheet.html.j2", sections=sections))
