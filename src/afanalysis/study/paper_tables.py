"""Where the paper's published tables are, and what each is declared to hold."""

from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.study.files import read_yaml

DECLARED = read_yaml(Path(__file__).with_suffix(".yaml"), "the declaration of the paper's tables")

# Of each table the file.
TABLES = {name: about["file"] for name, about in DECLARED["tables"].items()}


def paths() -> tuple[Path, ...]:
    """The tables."""
    return tuple(folder() / name for name in TABLES.values())


def folder() -> Path:
    """The folder of the tables: data/raw/published in a checkout, a part of the package in a wheel."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "published_tables", package.parents[1] / "data" / "raw" / "published"):
        if place.is_dir():
            return place
    raise InputError(f"{package}: the paper's tables are not installed; install afanalysis again")
