"""Commands that exchange data with other tools: import, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
from afanalysis.errors import InputError
from afanalysis.logs import FORMATS as LOG_FORMATS
from afanalysis.logs.exporting import FORMATS as EXPORT_FORMATS
from afanalysis.logs.exporting import export
from afanalysis.logs.fields import Mapping
from afanalysis.logs.importing import import_logs
from afanalysis.pipeline import notebooks
from afanalysis.study.design import Study
from afanalysis.study.folders import PAPER, STUDY_FILE, Folders


def add_commands(commands: Commands) -> None:
    """Add `import` and `export`."""
    _add_import(commands)
    _add_export(commands)


def _add_import(commands: Commands) -> None:

    import_ = commands.add_parser(
        "import",
        help="make a study of another tool's logs",
        description="Make a study of logs that other tools wrote: "
        + "; ".join(f"{name} ({what})" for name, what in LOG_FORMATS.items())
        + ". Says what was kept, repaired and set aside, and why, as data/raw/NAME/import.html does.",
        epilog="Example: afanalysis import auto logs/ --study mine --map tier=metadata.tier "
        "--map complied=scores.compliance",
    )
    import_.add_argument(
        "format", metavar="FORMAT", choices=[*LOG_FORMATS, "auto"], help="auto: recognise it"
    )
    import_.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, globs")
    import_.add_argument("--study", required=True, metavar="NAME", help="what to call it")
    fields = import_.add_argument_group("fields", "Where names do not say which field is which column.")
    fields.add_argument(
        "--map", action="append", default=[], metavar="COLUMN=FIELD", help="of nested fields the path"
    )
    fields.add_argument(
        "--set", action="append", default=[], metavar="COLUMN=VALUE", help="the same for every rollout"
    )
    fields.add_argument(
        "--rename", action="append", default=[], metavar="COLUMN:FOUND=MEANT", help="a value by another"
    )
    fields.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="from which graded score on an answer complies (default 0.5)",
    )
    fields.add_argument(
        "--asked", type=Path, metavar="FILE", help="for batches: the study or the requests that asked"
    )
    import_.add_argument(
        "--strict", action="store_true", help="refuse logs in which anything is repaired or set aside"
    )
    import_.set_defaults(action=_import)


def _add_export(commands: Commands) -> None:

    export = commands.add_parser(
        "export",
        help="write a study for other tools and people",
        description="Write a study that was run: "
        + "; ".join(f"{name} ({what})" for name, what in EXPORT_FORMATS.items())
        + ".",
    )
    export.add_argument("format", metavar="FORMAT", choices=list(EXPORT_FORMATS))
    export.add_argument("--study", required=True, metavar="NAME", help="a study's name")
    export.add_argument(
        "--to", type=Path, metavar="FOLDER", help="default: data/processed/NAME/export/FORMAT"
    )
    export.add_argument(
        "--without-texts", action="store_true", help="leave out requests, scratchpads and outputs"
    )
    export.set_defaults(action=_export)


def _export(options: argparse.Namespace) -> None:

    folders = Folders(notebooks.find_project(), options.study)
    to = options.to or folders.processed / "export" / options.format
    for path in export(folders, options.format, to, texts=not options.without_texts):
        print(path if options.to else path.relative_to(folders.project))


def _import(options: argparse.Namespace) -> None:

    if options.study == PAPER:
        raise InputError(f"--study is {PAPER!r}, which stands for the published tables")
    Study.check_name(options.study)
    folders = Folders(notebooks.find_project(), options.study)
    report = import_logs(
        options.paths,
        folders.raw,
        format=options.format,
        mapping=Mapping.parse(options.map, options.set, options.rename, options.threshold),
        asked=options.asked,
        strict=options.strict,
    )
    print(report)
    shown = folders.raw.relative_to(folders.project)
    print(f"Report: {shown}/import.html")
    if report.judged:
        print(f"Next: afanalysis run --study {shown}/{STUDY_FILE}")
