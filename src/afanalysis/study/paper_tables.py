"""Where the paper's published tables are."""

from pathlib import Path

from afanalysis.errors import InputError

TABLES = {
    "variations": "greenblatt2024_prompt_variations.csv",
    "rl": "greenblatt2024_rl.csv",
    "replication": "greenblatt2024_minimal_replication.csv",
    "headline": "headline_figures.csv",
}


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
