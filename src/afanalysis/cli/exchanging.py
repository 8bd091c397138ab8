"""Commands that take in what other tools and people made: import, sample-for-labels, add-labels."""

import argparse
from pathlib import Path

import afanalysis as af
from afanalysis.cli.arguments import (
    STUDY_FILE,
    STUDY_NAME,
    Argument,
    flag,
    folders_of,
    format_of,
    read_study,
    value,
)
from afanalysis.errors import InputError
from afanalysis.logs.fields import Mapping
from afanalysis.logs.formats import FORMATS
from afanalysis.study.folders import PAPER
from afanalysis.study.folders import STUDY_FILE as IMPORTED_STUDY
from afanalysis.study.label_sample import add_sheet


def _pairs(option: str, form: str, help: str) -> Argument:
    return value(option, form, help, action="append", default=[])


_MEANINGS = {name: meaning for name, (meaning, *_) in FORMATS.items()}
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "import": (
        format_of(_MEANINGS | {"auto": "recognise the format"}),
        value("paths", "PATH", "files, folders, globs", nargs="+"),
        STUDY_NAME,
        _pairs("--map", "COLUMN=FIELD", "the field that holds a column; dots lead into nested fields"),
        _pairs("--set", "COLUMN=VALUE", "the same value for every rollout"),
        _pairs("--rename", "COLUMN:FOUND=MEANT", "replace a value by another"),
        value(
            "--threshold",
            "SCORE",
            "the graded score from which an answer counts as complying (default: 0.5)",
            type=float,
            default=0.5,
        ),
        value("--asked", "FILE", "for batches: the study or the requests that were sent", type=Path),
        flag("--strict", "refuse logs in which anything is repaired or rejected"),
    ),
    "sample-for-labels": (
        STUDY_FILE,
        value("-n --size", "N", "number of rollouts (default: 200)", type=int, default=200),
    ),
    "add-labels": (
        value("sheet", "SHEET", "the CSV file that sample-for-labels wrote", type=Path),
        STUDY_FILE,
        value("--labeller", "NAME", "who labelled", required=True),
    ),
}


def run_import(options: argparse.Namespace) -> None:
    """Make a study from logs that other tools wrote.

    Reports what was kept, repaired and rejected, and why; data/raw/NAME/import.html has the same.
    Example: afanalysis import auto logs/ --study mine --map tier=metadata.tier
    --map complied=scores.compliance
    """
    if options.study == PAPER:
        raise InputError(f"--study is {PAPER!r}, the name of the published tables; choose another")
    folders = folders_of(options.study)
    report = af.import_logs(
        options.paths,
        folders.raw,
        format=options.format,
        mapping=Mapping.parse(options.map, options.set, options.rename, options.threshold),
        asked=options.asked,
        strict=options.strict,
    )
    raw = folders.raw.relative_to(folders.project)
    print(f"{report}\nReport: {raw}/import.html")
    if report.judged:
        print(f"Next: afanalysis run --study {raw}/{IMPORTED_STUDY}")


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
