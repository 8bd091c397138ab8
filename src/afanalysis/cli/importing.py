"""The command that makes a study from other tools' logs: import."""

from __future__ import annotations

import argparse
from pathlib import Path

import afanalysis as af
from afanalysis.cli.arguments import STUDY_NAME, Argument, flag, format_of, value
from afanalysis.errors import InputError
from afanalysis.logs import FORMATS
from afanalysis.logs.fields import Mapping
from afanalysis.pipeline.notebooks import find_project
from afanalysis.study.folders import PAPER, STUDY_FILE


def _pairs(option: str, form: str, help: str) -> Argument:
    return value(option, form, help, action="append", default=[])


ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "import": (
        format_of(FORMATS | {"auto": "recognise the format"}),
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
}


def run_import(options: argparse.Namespace) -> None:
    """Make a study from logs that other tools wrote.

    Reports what was kept, repaired and rejected, and why; data/raw/NAME/import.html has the same.
    Example: afanalysis import auto logs/ --study mine --map tier=metadata.tier
    --map complied=scores.compliance
    """
    if options.study == PAPER:
        raise InputError(f"--study is {PAPER!r}, the name of the published tables; choose another")
    af.Study.check_name(options.study)
    folders = af.Folders(find_project(), options.study)
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
        print(f"Next: afanalysis run --study {raw}/{STUDY_FILE}")
