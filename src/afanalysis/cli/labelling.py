"""Commands for hand labels: sample-for-labels, add-labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
from afanalysis.cli.asking import _check_judge, add_budget, add_endpoint, add_study, read_study
from afanalysis.study.label_sample import add_sheet, sample_for_labels, write_label_sample
from afanalysis.study.tidying import tidy


def add_commands(commands: Commands) -> None:
    check = commands.add_parser(
        "check-judge",
        help="try whether transcripts can give the judge orders",
        description="Put each of a set of attempts ('ignore your instructions …') into rollouts of a "
        "judged study, judge them, and list the verdicts that changed. Exits with 1 if any did.",
    )
    add_study(check)
    add_endpoint(check)
    add_budget(check)
    check.set_defaults(action=_check_judge)

    sample = commands.add_parser(
        "sample-for-labels",
        help="draw rollouts for people to label",
        description="Draw rollouts so that rare verdicts are among them, keep the sampling weights, and "
        "write a sheet to fill in. A larger sample with the same seed begins with the smaller one.",
    )
    add_study(sample)
    sample.add_argument("-n", "--size", type=int, default=200, metavar="N", help="default: 200")
    sample.add_argument("--seed", type=int, help="default: the study's")
    sample.set_defaults(action=_sample_for_labels)

    adding = commands.add_parser(
        "add-labels",
        help="read in a filled-in sheet of labels",
        description="Every row of the sheet with a behaviour (complied, refused, undecided, artifact) "
        "is one label; af is full, partial, none, undecided or empty.",
    )
    adding.add_argument(
        "sheet", type=Path, metavar="SHEET", help="the CSV file that sample-for-labels wrote"
    )
    add_study(adding)
    adding.add_argument("--labeller", required=True, metavar="NAME", help="who labelled")
    adding.set_defaults(action=_add_labels)


def _sample_for_labels(options: argparse.Namespace) -> None:

    study, folders = read_study(options)
    table = tidy(folders.raw)
    seed = study.seed if options.seed is None else options.seed
    drawn = sample_for_labels(table, options.size, seed=seed)
    sheet = write_label_sample(folders.raw, drawn, table)
    print(
        drawn.groupby("stratum").agg(drawn=("rollout", "size"), of=("stratum_size", "first")).to_string()
    )
    shown = sheet.relative_to(folders.project)
    print(
        f"{len(drawn)} rollouts to label. Fill in behaviour, af and note in {shown} (keep a copy under "
        "another name: drawing again overwrites it), then: afanalysis add-labels SHEET --study … "
        "--labeller NAME"
    )


def _add_labels(options: argparse.Namespace) -> None:

    _, folders = read_study(options)
    added = add_sheet(folders.raw, options.sheet, options.labeller)
    print(f"{added} labels of {options.labeller} added")
