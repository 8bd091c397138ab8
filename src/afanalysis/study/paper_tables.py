"""Where the paper's published tables are."""

from pathlib import Path

from afanalysis.errors import InputError

TABLES = {
    "variations": "greenblatt2024_prompt_variations.csv",
    "rl": "greenblatt2024_rl.csv",
    "table1": "greenblatt2024_table1.csv",
    "replication": "greenblatt2024_minimal_replication.csv",
    "lying": "greenblatt2024_lying.csv",
    "situation": "greenblatt2024_situation_real.csv",
    "raters": "greenblatt2024_human_raters.csv",
    "scores": "greenblatt2024_scores.csv",
    "text": "greenblatt2024_text_numbers.csv",
    "sizes": "greenblatt2024_sample_sizes.csv",
    "claims": "greenblatt2024_claims.csv",
    "index": "greenblatt2024_index.csv",
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
