"""Arguments of commands as data, and what several commands share."""

import argparse
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.pipeline.projects import nearest_project
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
    value("--budget", "USD", "limit on the study's total cost; a live run needs one", type=float),
    value("--budget-tokens", "N", "the same in input and output tokens", type=int),
    flag("--any-price", "run without a limit"),
    value("--prices", "FILE", "prices to add or correct (YAML)", type=Path),
)
CALLS = (
    *ENDPOINT,
    flag("--batch", "use Message Batches, at half the price"),
    value("--concurrency", "N", "calls at once (default: 32)", type=int),
    value("--poll-seconds --poll", "SECONDS", "between checks (default: 30)", type=float),
    flag("--resend", "pay again for calls of batches whose results are gone"),
    value("--stop-after", "SECONDS", "stop as Ctrl-C does (default: when all is done)", type=float),
)
RULES = flag("--rules", "judge by phrases, without a model: a free baseline")
LEVEL = value("--level", "LEVEL", "confidence level (default: 0.95)", type=float, default=0.95)
FORCE = flag("--force", "also run notebooks that are up to date")
DRY_RUN = flag("--dry-run", "print what would run, and why; run nothing")


def folders_of(name: str) -> Folders:
    """The folders of a study: in the project, or in the current folder if there is no project."""
    return Folders(nearest_project() or Path.cwd(), name)


def read_study(options: argparse.Namespace) -> tuple[Study, Folders]:
    """The study of a command, and its folders."""
    study = Study.from_yaml(options.study)
    return study, folders_of(study.name)


def calls_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of `CALLS`, as `calling` takes it."""
    names = [names.split()[0][2:].replace("-", "_") for names, _ in CALLS]
    given = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None and value is not False}


def check_level(level: float) -> None:
    """Raise `InputError` unless a confidence level lies in (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"--level is {level}; it must lie in (0, 1), as 0.95 does")
