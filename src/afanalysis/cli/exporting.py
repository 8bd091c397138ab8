"""The command that writes a study for other tools and people: export."""

from __future__ import annotations

import argparse
from pathlib import Path

import afanalysis as af
from afanalysis.cli.arguments import STUDY_NAME, Argument, flag, format_of, value
from afanalysis.logs.exporting import FORMATS, export
from afanalysis.pipeline.notebooks import find_project

ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "export": (
        format_of(FORMATS),
        STUDY_NAME,
        value("--to", "FOLDER", "default: data/processed/NAME/export/FORMAT", type=Path),
        flag("--without-texts", "leave out requests, scratchpads and outputs"),
    ),
}


def run_export(options: argparse.Namespace) -> None:
    """Write a study that was run in a form for other tools and people."""
    folders = af.Folders(find_project(), options.study)
    target = options.to or folders.processed / "export" / options.format
    for path in export(folders, options.format, target, texts=not options.without_texts):
        print(path if options.to else path.relative_to(folders.project))
