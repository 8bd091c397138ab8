"""Commands that take in what other tools and people made: import, sample-for-labels, add-labels."""

import argparse
from typing import Any

import afanalysis as af
from afanalysis.cli.arguments import folders_of, read_study
from afanalysis.errors import InputError
from afanalysis.logs import formats
from afanalysis.logs.fields import Mapping
from afanalysis.pipeline.projects import nearest_project
from afanalysis.study.folders import PAPER, STUDY_FILE
from afanalysis.study.labels import add_sheet

FORMATS = {name: meaning for name, (meaning, *_) in formats.FORMATS.items()}
FORMATS["auto"] = "recognise the format"


def run_import(options: argparse.Namespace) -> None:
    """Make a study from logs that other tools wrote.

    Reports what was kept, repaired and rejected, and why; data/raw/NAME/import.html has the same.
    Example: afanalysis import auto logs/ --study mine --map tier=metadata.tier
    --map complied=scores.compliance
    """
    if options.study == PAPER:
        raise InputError(f"--study is {PAPER!r}, the name of the published tables; choose another")
    folders = folders_of(options.study)
    mapping = Mapping.parse(
        options.map, options.set, options.rename, options.threshold, options.scale, options.rows
    )
    given: dict[str, Any] = {name: getattr(options, name) for name in ("format", "asked", "strict")}
    report = af.import_logs(options.paths, folders.raw, mapping=mapping, **given)
    raw = folders.raw.relative_to(folders.project)
    print(f"{report}\nReport: {raw}/import.html")
    if nearest_project() is None:
        print("Figures and a report need a project: afanalysis new NAME, and import again inside it")
    elif report.judged:
        print(f"Next: afanalysis run --study {raw}/{STUDY_FILE}")


def run_sample_for_labels(options: argparse.Namespace) -> None:
    """Draw rollouts so that rare verdicts are among them, keep the sampling weights, and write a sheet
    to fill in. A larger sample begins with the smaller one.
    """
    study, folders = read_study(options)
    rollouts = af.tidy(folders.raw)
    sample = af.sample_for_labels(rollouts, options.size, seed=study.seed)
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
