"""Commands that exchange data with other tools: import, export."""

from __future__ import annotations

import argparse
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.logs import FORMATS as LOG_FORMATS
from afanalysis.logs.exporting import FORMATS as EXPORT_FORMATS
from afanalysis.logs.exporting import export
from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import import_logs
from afanalysis.pipeline.notebooks import find_project
from afanalysis.study.design import Study
from afanalysis.study.folders import PAPER, STUDY_FILE, Folders


def add_import(command: argparse.ArgumentParser) -> None:
    command.description = (
        f"Make a study from logs that other tools wrote: {_listed(LOG_FORMATS)}. Reports what was kept, "
        "repaired and rejected, and why; data/raw/NAME/import.html has the same."
    )
    command.epilog = (
        "Example: afanalysis import auto logs/ --study mine --map tier=metadata.tier "
        "--map complied=scores.compliance"
    )
    formats = [*LOG_FORMATS, "auto"]
    command.add_argument("format", metavar="FORMAT", choices=formats, help="auto: recognise the format")
    command.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, globs")
    command.add_argument("--study", required=True, metavar="NAME", help="the new study's name")
    fields = command.add_argument_group("fields", "For logs whose names do not show what they hold.")
    for option, form, meaning in (
        ("--map", "COLUMN=FIELD", "the field that holds a column; dots lead into nested fields"),
        ("--set", "COLUMN=VALUE", "the same value for every rollout"),
        ("--rename", "COLUMN:FOUND=MEANT", "replace a value by another"),
    ):
        fields.add_argument(option, action="append", default=[], metavar=form, help=meaning)
    fields.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="the graded score from which an answer counts as complying (default: 0.5)",
    )
    fields.add_argument(
        "--asked",
        type=Path,
        metavar="FILE",
        help="for batches: the study or the requests that were sent",
    )
    command.add_argument(
        "--strict", action="store_true", help="refuse logs in which anything is repaired or rejected"
    )
    command.set_defaults(action=_import)


def add_export(command: argparse.ArgumentParser) -> None:
    command.description = f"Write a study that was run: {_listed(EXPORT_FORMATS)}."
    formats = list(EXPORT_FORMATS)
    command.add_argument(
        "format", metavar="FORMAT", choices=formats, help=f"one of {', '.join(formats)}"
    )
    command.add_argument("--study", required=True, metavar="NAME", help="a study's name")
    command.add_argument(
        "--to", type=Path, metavar="FOLDER", help="default: data/processed/NAME/export/FORMAT"
    )
    command.add_argument(
        "--without-texts", action="store_true", help="leave out requests, scratchpads and outputs"
    )
    command.set_defaults(action=_export)


def _listed(formats: dict[str, str]) -> str:
    return "; ".join(f"{name} ({meaning})" for name, meaning in formats.items())


def _import(options: argparse.Namespace) -> None:
    if options.study == PAPER:
        raise InputError(f"--study is {PAPER!r}, the name of the published tables; choose another")
    Study.check_name(options.study)
    folders = Folders(find_project(), options.study)
    report = import_logs(
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


def _export(options: argparse.Namespace) -> None:
    folders = Folders(find_project(), options.study)
    target = options.to or folders.processed / "export" / options.format
    for path in export(folders, options.format, target, texts=not options.without_texts):
        print(path if options.to else path.relative_to(folders.project))
