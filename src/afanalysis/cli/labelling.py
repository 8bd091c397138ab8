"""Commands for hand labels: sample-for-labels, add-labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from afanalysis.cli.arguments import add_study, read_study
from afanalysis.study.label_sample import add_sheet, sample_for_labels, write_label_sample
from afanalysis.study.tidying import tidy


def add_sample_for_labels(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Draw rollouts so that rare verdicts are among them, keep the sampling weights, and write a "
        "sheet to fill in. A larger sample with the same seed begins with the smaller one."
    )
    add_study(command)
    command.add_argument(
        "-n", "--size", type=int, default=200, metavar="N", help="number of rollouts (default: 200)"
    )
    command.add_argument("--seed", type=int, metavar="N", help="default: the study's")
    command.set_defaults(action=_sample_for_labels)


def add_add_labels(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Every row of the sheet with a behaviour (complied, refused, undecided, artifact) is one label; "
        "af is full, partial, none, undecided or empty."
    )
    command.add_argument(
        "sheet", type=Path, metavar="SHEET", help="the CSV file that sample-for-labels wrote"
    )
    add_study(command)
    command.add_argument("--labeller", required=True, metavar="NAME", help="who labelled")
    command.set_defaults(action=_add_labels)


def _sample_for_labels(options: argparse.Namespace) -> None:
    study, folders = read_study(options)
    rollouts = tidy(folders.raw)
    seed = study.seed if options.seed is None else options.seed
    sample = sample_for_labels(rollouts, options.size, seed=seed)
    sheet = write_label_sample(folders.raw, sample, rollouts).relative_to(folders.project)
    strata = sample.groupby("stratum")
    print(strata.agg(drawn=("rollout", "size"), of=("stratum_size", "first")).to_string())
    print(
        f"{len(sample)} rollouts to label. Fill in behaviour, af and note in {sheet} (keep a copy under "
        "another name: drawing again overwrites it), then: afanalysis add-labels SHEET --study … "
        "--labeller NAME"
    )


def _add_labels(options: argparse.Namespace) -> None:
    _, folders = read_study(options)
    count = add_sheet(folders.raw, options.sheet, options.labeller)
    print(f"{count} labels by {options.labeller} added")
