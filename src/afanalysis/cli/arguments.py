"""What several commands share: their options, and what is read from them."""

from __future__ import annotations

import argparse
from pathlib import Path

from afanalysis.errors import InputError
from afanalysis.pipeline.notebooks import find_project
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders
from afanalysis.study.ledger import Budget, Prices


def add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("--study", type=Path, required=True, metavar="FILE", help="a study file (YAML)")


def add_endpoint(command: argparse.ArgumentParser) -> None:
    command.add_argument("--live", action="store_true", help="call the real API (costs money)")
    command.add_argument("--base-url", metavar="URL", help="another server of the Messages API")
    limits = command.add_argument_group("budget", "What the study may cost in total, with earlier runs.")
    limits.add_argument("--budget", type=float, metavar="USD", help="in US dollars")
    limits.add_argument("--budget-tokens", type=int, metavar="N", help="in input and output tokens")
    limits.add_argument("--any-price", action="store_true", help="run without a limit")
    limits.add_argument("--prices", type=Path, metavar="FILE", help="prices to add or correct (YAML)")


def add_level(command: argparse.ArgumentParser) -> None:
    command.add_argument("--level", type=float, default=0.95, help="confidence level (default: 0.95)")


def add_rerun(command: argparse.ArgumentParser) -> None:
    command.add_argument("--force", action="store_true", help="also run notebooks that are up to date")
    command.add_argument(
        "--dry-run", action="store_true", help="print what would run, and why; run nothing"
    )


def read_study(options: argparse.Namespace) -> tuple[Study, Folders]:
    study = Study.from_yaml(options.study)
    return study, Folders(find_project(), study.name)


def read_budget(options: argparse.Namespace) -> Budget | None:
    """The budget of a live run; None for a simulated one, which costs nothing."""
    if not options.live:
        return None
    prices = Prices.load(options.prices)
    return Budget(options.budget, options.budget_tokens, options.any_price, prices)


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"--level is {level}; it must lie in (0, 1), as 0.95 does")
