"""Commands that show results, or write them for other tools and people, and that plan the next study."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

import afanalysis as af
from afanalysis.analysis.left_out import readable
from afanalysis.analysis.study_size import assumed_from
from afanalysis.cli.arguments import folders_of
from afanalysis.errors import InputError
from afanalysis.figures import gallery
from afanalysis.logs import exporting
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.study.folders import ROLLOUTS
from afanalysis.study.loading import is_tidy
from afanalysis.text.pages import render
from afanalysis.text.wording import QUANTITIES, interval, percent, scratchpad_note, split_remarks

# The paper speaks of refusal in its headline numbers.
_QUANTITIES = QUANTITIES | {"refused": "refusal"}
FORMATS = exporting.FORMATS


def run_rates(options: argparse.Namespace) -> None:
    """Print rates and compliance gaps with their intervals and how each was made."""
    remarks: list[str] = []
    if options.path is None:
        print("Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus, default prompt")
        table = af.headline(options.level)
    else:
        rollouts = _rollouts(options.path)
        answers = af.answer_counts(rollouts)
        print(f"{options.path}, what was asked and what counts:")
        print(f"{readable(answers).to_string(index=False)}\n", flush=True)
        table = af.estimates(rollouts, level=options.level, tiers=options.tiers)
        print(f"Rates of {', '.join(sorted(table['source'].unique()))} rollouts:")
        remarks = [*answers["warning"], *table["warning"]]
        print(scratchpad_note(table.get("scratchpad_from", ())))
    table = table.dropna(subset="estimate")  # of a tier of which nothing is known
    print(_readable(table, f"{100 * options.level:g} % interval"))
    for method, rows in table.groupby("interval", sort=False):
        names, settings = rows["quantity"].map(_QUANTITIES).unique(), rows["setting"].unique()
        where = f" ({', '.join(settings)})" if len(settings) < table["setting"].nunique() else ""
        print(f"{', '.join(names)}{where}: {method}.")
    if options.path is None:
        gaps = table[table["quantity"] == "compliance_gap"].to_dict("records")
        print(render("paper_headline.txt.j2", gaps=gaps, interval=interval))
    _print_notes(remarks)


def _print_notes(remarks: Iterable[str]) -> None:
    for remark in filter(None, dict.fromkeys(split_remarks("; ".join(remarks)))):
        print(f"Note: {remark}.")


def _rollouts(path: Path) -> Path | pd.DataFrame:
    """What `estimates` takes for a path: itself if it is a tidy table, else its rollouts."""
    if (path / ROLLOUTS).exists():
        return af.load(path)
    if is_tidy(path):
        return path
    rollouts, report = af.read_logs([path])
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
    shown["n"] = shown.get("n_words", shown["n"])
    return shown[[*conditions, "quantity", "tier", "", interval_name, "n"]].to_string(index=False)


def run_contrast(options: argparse.Namespace) -> None:
    """Print how much gaps or rates differ between models, variations, settings, judges or tiers, on the
    prompts that they share.

    Example: afanalysis contrast data/processed/demo/rollouts.parquet variation --by setting
    """
    names = ("of", "reference", "by", "outcome", "level", "tiers")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    table = af.contrast(_rollouts(options.path), options.between, **given)
    shown = table.loc[:, :"reference"].assign(
        difference=table["difference"].map(percent) + " points",
        interval=[interval(*ends) for ends in zip(table["low"], table["high"], strict=True)],
    )
    shown = shown.join(table[["p_value", "p_holm", "n_shared"]].round(4))
    of = "rate" if options.between == "tier" else options.of
    print(f"Differences of the {of} in {options.outcome}, paired by prompt:")
    print(shown.to_string(index=False))
    _print_notes(table["warning"])


def run_plan(options: argparse.Namespace) -> None:
    """Print how many prompts find a gap, for each number of samples per prompt.

    With PATH, what is not given is assumed to be as in those rollouts; where no answer complied in the
    unmonitored tier, the upper end of the rate's interval.
    """
    assumed: dict[str, Any] = {"paid": 0.03, "icc": 0.3}
    origin = "a guess"
    if options.path:
        assumed, origin = assumed_from(_rollouts(options.path), options.tiers or ("free", "paid"))
    if options.paid is not None:
        origin = "as given"
    given = {name: getattr(options, name) for name in ("paid", "icc", "samples")}
    assumed |= {name: number for name, number in given.items() if number is not None}
    goal: dict[str, Any] = {name: getattr(options, name) for name in ("power", "width", "level")}
    try:
        table = af.plan(options.gap, **goal, **assumed)
    except ValueError as error:
        raise InputError(f"plan: {error}") from error
    print(f"To find a gap of {percent(options.gap)} points over a rate of {percent(assumed['paid'])} %")
    print(f"({origin}), with an intraclass correlation of {assumed['icc']:.2f}:")
    print(table.round(3).to_string(index=False))


def run_figure(options: argparse.Namespace) -> None:
    """Draw one figure of the paper, or of a study that was run, with its rows and provenance, into
    figures/STUDY. `afanalysis figure list` prints the names.
    """
    if options.name == "list":
        print("\n".join(gallery.NAMES))
        return
    study = gallery.Gallery(options.study, folders_of(options.study).project, level=options.level)
    figure = study.draw(options.name)
    if isinstance(figure, str):
        raise InputError(f"{options.name} of {options.study}: {figure}")
    write_contact_sheet(study.folders.figures.parent)
    print(f"{figure.heading}: {figure.alt}")
    print(f"Files: figures/{options.study}/{options.name}.{{svg,pdf,png,csv,json}}")


def run_export(options: argparse.Namespace) -> None:
    """Write a study that was run in a form for other tools and people, into
    data/processed/STUDY/export/FORMAT.
    """
    folders = folders_of(options.study)
    target = folders.processed / "export" / options.format
    for path in exporting.export(folders, options.format, target, texts=not options.without_texts):
        print(path.relative_to(folders.project))
