"""Commands for hand labels: sample-for-labels, add-labels."""

from __future__ import annotations

import argparse
from pathlib import Path

import afanalysis as af
from afanalysis.cli.arguments import STUDY_FILE, Argument, read_study, value
from afanalysis.study.label_sample import add_sheet

ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "sample-for-labels": (
        STUDY_FILE,
        value("-n --size", "N", "number of rollouts (default: 200)", type=int, default=200),
        value("--seed", "N", "default: the study's", type=int),
    ),
    "add-labels": (
        value("sheet", "SHEET", "the CSV file that sample-for-labels wrote", type=Path),
        STUDY_FILE,
        value("--labeller", "NAME", "who labelled", required=True),
    ),
}


def run_sample_for_labels(options: argparse.Namespace) -> None:
    """Draw rollouts so that rare verdicts are among them, keep the sampling weights, and write a sheet
    to fill in. A larger sample with the same seed begins with the smaller one.
    """
    study, folders = read_study(options)
    rollouts = af.tidy(folders.raw)
    seed = study.seed if options.seed is None else options.seed
    sample = af.sample_for_labels(rollouts, options.size, seed=seed)
    sheet = af.write_label_sample(folders.raw, sample, rollouts).relative_to(folders.project)
    strata = sample.groupby("stratum")
    print(strata.agg(drawn=("rollout", "size"), of=("stratum_size", "first")).to_string())
    print(
        f"{len(sample)} rollouts to label. Fill in behaviour, af and note in {sheet} (keep a copy under "
        "another name: drawing again overwrites it), then: afanalysis add-labels SHEET --study … "
        "--labeller NAME"
    )


def run_add_labels(options: argparse.Namespace) -> None:
    """Read in a label sheet. Every row with a behaviour (complied, refused, undecided, artifact) is one
    label; af is full, partial, none, undecided or empty.
    """
    _, folders = read_study(options)
    count = add_sheet(folders.raw, options.sheet, options.labeller)
    print(f"{count} labels by {options.labeller} added")
