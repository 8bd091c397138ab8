"""What several commands do with their arguments."""

import argparse
from pathlib import Path
from typing import Any

from afanalysis.cli import GROUPS
from afanalysis.pipeline.projects import nearest_project
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders


def folders_of(name: str) -> Folders:
    """The folders of a study: in the project, or in the current folder if there is no project."""
    return Folders(nearest_project() or Path.cwd(), name)


def read_study(options: argparse.Namespace) -> tuple[Study, Folders]:
    """The study of a command, and its folders."""
    study = Study.from_yaml(options.study)
    return study, folders_of(study.name)


def calls_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of how calls are made, as `calling` takes it."""
    names = [name.split()[0][2:].replace("-", "_") for name in GROUPS["endpoint"] | GROUPS["calls"]]
    given = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None and value is not False}
