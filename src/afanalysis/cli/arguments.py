"""Arguments of commands as data, and what several commands share."""

import argparse
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.pipeline.notebooks import find_project
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders

Argument = tuple[str, dict[str, Any]]


def flag(name: str, help: str) -> Argument:
    """An option that is on or off."""
    return name, {"action": "store_true", "help": help}


def value(names: str, metavar: str, help: str, **settings: Any) -> Argument:
    """An option or argument with a value; several names of an option are separated by spaces."""
    return names, {"metavar": metavar, "help": help, **settings}


def format_of(formats: dict[str, str]) -> Argument:
    """The argument that chooses a format, from names and meanings."""
    listed = "; ".join(f"{name}: {meaning}" for name, meaning in formats.items())
    return value("format", "FORMAT", listed, choices=list(formats))


STUDY_FILE = value("--study", "FILE", "a study file (YAML)", type=Path, required=True)
STUDY_NAME = value("--study", "NAME", "the study's name", required=True)
LIVE = flag("--live", "call the real API (costs money)")
BUDGET = value("--budget", "USD", "limit on the study's total cost; a live run needs one", type=float)
ENDPOINT = (
    LIVE,
    value("--base-url", "URL", "another server of the Messages API"),
    BUDGET,
    value("--budget-tokens", "N", "the same in input and output tokens", type=int),
    flag("--any-price", "run without a limit"),
    value("--prices", "FILE", "prices to add or correct (YAML)", type=Path),
)
LEVEL = value("--level", "LEVEL", "confidence level (default: 0.95)", type=float, default=0.95)
FORCE = flag("--force", "also run notebooks that are up to date")
DRY_RUN = flag("--dry-run", "print what would run, and why; run nothing")


def read_study(options: argparse.Namespace) -> tuple[Study, Folders]:
    """The study of a command, and its folders."""
    study = Study.from_yaml(options.study)
    return study, Folders(find_project(), study.name)


def check_level(level: float) -> None:
    """Raise `InputError` unless a confidence level lies in (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"--level is {level}; it must lie in (0, 1), as 0.95 does")
