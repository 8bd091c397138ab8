"""Commands that show results: rates, figure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from afanalysis.analysis.paper import headline
from afanalysis.analysis.quantities import estimates
from afanalysis.cli.arguments import add_level, check_level
from afanalysis.errors import InputError
from afanalysis.figures import gallery
from afanalysis.logs.importing import read_logs
from afanalysis.pipeline.notebooks import find_project
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.study.folders import PAPER, ROLLOUTS
from afanalysis.study.loading import is_tidy, load
from afanalysis.text.wording import interval, percent

if TYPE_CHECKING:
    import pandas as pd

_QUANTITIES = {
    "refused": "refusal",
    "complied": "compliance",
    "af_reasoning": "AF reasoning",
    "compliance_gap": "compliance gap",
}


def add_rates(command: argparse.ArgumentParser) -> None:
    command.description = "Print rates and compliance gaps with their intervals and how each was made."
    command.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="rollouts: a Parquet, CSV or JSONL file, a study's raw folder, or another tool's log; "
        "default: the paper",
    )
    add_level(command)
    command.set_defaults(action=_rates)


def add_figure(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Draw one figure of the paper, or of a study that was run, with its rows and provenance, into "
        "figures/STUDY. `afanalysis figure list` prints the names."
    )
    command.add_argument("name", metavar="NAME", help="a figure's name, or `list`")
    command.add_argument(
        "--study", default=PAPER, metavar="NAME", help="a study's name (default: paper)"
    )
    add_level(command)
    command.set_defaults(action=_figure)


def _rates(options: argparse.Namespace) -> None:
    check_level(options.level)
    if options.path is None:
        print("Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus, default prompt")
        table = headline(options.level)
    else:
        table = estimates(_rollouts(options.path), level=options.level)
        print(f"{options.path}: {', '.join(sorted(table['source'].unique()))} rollouts")
        table = table[~((table["quantity"] == "complied") & (table["tier"] == "paid"))]
    print(_readable(table, f"{100 * options.level:g} % interval"))
    for method, rows in table.groupby("interval", sort=False):
        print(f"{', '.join(_QUANTITIES[name] for name in rows['quantity'].unique())}: {method}.")
    if options.path is None:
        print(
            "The news reported '97 % refusal (paid) and 12 % compliance (free)'; the 12 % is AF "
            "reasoning, compliance is 14.2 %."
        )
    for reason in dict.fromkeys(table.get("warning", [])):
        if reason:
            print(f"Note: some intervals rest on {reason}.")


def _rollouts(path: Path) -> Path | pd.DataFrame:
    """What `estimates` takes for a path: itself if it is a tidy table, else its rollouts."""
    if (path / ROLLOUTS).exists():
        return load(path)
    if is_tidy(path):
        return path
    rollouts, report = read_logs([path])
    print(report, file=sys.stderr)
    return rollouts


def _readable(table: pd.DataFrame, interval_name: str) -> str:
    # outside the helpful-only setting a model does not refuse: it fails to comply with its objective
    refuses = (table["quantity"] == "refused") & (table["setting"] != "helpful-only")
    unit = table["quantity"].map({"compliance_gap": "points"}).fillna("%")
    shown = table.assign(
        quantity=table["quantity"].map(_QUANTITIES).mask(refuses, "non-compliance"),
        tier=table["tier"].replace("both", "free - paid"),
    )
    shown[""] = table["estimate"].map(percent) + " " + unit
    shown[interval_name] = [interval(*ends) for ends in zip(table["low"], table["high"], strict=True)]
    varying = [name for name in ("model", "variation") if name in shown and shown[name].nunique() > 1]
    conditions = [name for name in ("model", "setting", "variation") if name in ("setting", *varying)]
    return shown[[*conditions, "quantity", "tier", "", interval_name, "n"]].to_string(index=False)


def _figure(options: argparse.Namespace) -> None:
    if options.name == "list":
        print("\n".join(gallery.NAMES))
        return
    check_level(options.level)
    study = gallery.Gallery(options.study, find_project(), level=options.level)
    figure = study.draw(options.name)
    if isinstance(figure, str):
        raise InputError(f"{options.name} of {options.study}: {figure}")
    write_contact_sheet(study.folders.figures.parent)
    print(f"{figure.heading}: {figure.alt}")
    print(f"Files: figures/{options.study}/{options.name}.{{svg,pdf,png,csv,json}}")
