"""Commands that ask: collect, judge, check-judge."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
from afanalysis.collection.calls import CallOptions, CallSummary
from afanalysis.collection.endpoint import connect
from afanalysis.collection.forecasting import forecast
from afanalysis.collection.rollouts import collect
from afanalysis.judging.injections import check_judge
from afanalysis.judging.model import judge
from afanalysis.judging.rules import judge_by_rules
from afanalysis.pipeline import notebooks
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders
from afanalysis.study.ledger import Budget, Prices


def add_commands(commands: Commands) -> None:
    for name, action, help_ in (
        ("collect", _collect, "sample a study's rollouts"),
        ("judge", _judge, "judge a study's rollouts"),
    ):
        command = commands.add_parser(
            name,
            help=help_,
            description=f"{help_[0].upper()}{help_[1:]}. Can be stopped at any time: the same command "
            "goes on where it stopped. Without --live the answers are simulated, free and say so.",
        )
        add_study(command)
        add_endpoint(command)
        command.add_argument(
            "--batch", action="store_true", help="ask through Message Batches, at half the price"
        )
        command.add_argument(
            "--concurrency", type=int, default=32, metavar="N", help="calls at once (default 32)"
        )
        command.add_argument(
            "--poll", type=float, default=30, metavar="SECONDS", help="between looks at a batch"
        )
        add_budget(command)
        if name == "collect":
            command.add_argument(
                "--dry-run", action="store_true", help="print calls, tokens and price; ask nothing"
            )
        else:
            command.add_argument(
                "--rules", action="store_true", help="judge by phrases, without a model: a free baseline"
            )
        command.set_defaults(action=action)


def add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("--study", type=Path, required=True, metavar="FILE", help="a study file")


def add_endpoint(command: argparse.ArgumentParser) -> None:
    command.add_argument("--live", action="store_true", help="ask the real API (costs money)")
    command.add_argument("--base-url", metavar="URL", help="another server of the Messages API")


def add_budget(command: argparse.ArgumentParser) -> None:
    money = command.add_argument_group("money", "What the study may cost in all, earlier runs included.")
    money.add_argument("--budget", type=float, metavar="USD")
    money.add_argument("--budget-tokens", type=int, metavar="N")
    money.add_argument("--any-price", action="store_true", help="go ahead without a limit")
    money.add_argument("--prices", type=Path, metavar="FILE", help="prices to add or correct (YAML)")


def read_budget(options: argparse.Namespace) -> Budget:

    prices = Prices.load(options.prices)
    return Budget(options.budget, options.budget_tokens, options.any_price, prices)


def read_study(options: argparse.Namespace) -> tuple[Study, Folders]:

    study = Study.from_yaml(options.study)
    return study, Folders(notebooks.find_project(), study.name)


def _collect(options: argparse.Namespace) -> None:

    study, folders = read_study(options)
    if options.dry_run:
        asyncio.run(_forecast(options, study, folders))
    else:
        _ask(options, study, folders, "rollouts", partial(collect, study))


def _judge(options: argparse.Namespace) -> None:

    study, folders = read_study(options)
    if options.rules:
        print(f"{judge_by_rules(folders.raw):,} rollouts judged by rules")
        return
    _ask(options, study, folders, "verdicts", partial(judge, study.judge))


def _check_judge(options: argparse.Namespace) -> None:

    study, folders = read_study(options)
    if not options.live:  # a simulated judge that errs by itself would hide what the attempts do
        simulation = study.simulation.model_copy(update={"judge_error": {}})
        study = study.model_copy(update={"simulation": simulation})

    async def ask() -> pd.DataFrame:
        async with connect(study, live=options.live, base_url=options.base_url) as endpoint:
            budget = read_budget(options) if options.live else None
            return await check_judge(study.judge, endpoint, folders.raw, budget=budget)

    found = asyncio.run(ask())
    changed = found[found["changed"]]
    attempts = found["attempt"].nunique()
    print(f"{attempts} attempts in {len(found)} rollouts: {len(changed)} verdicts changed")
    if not options.live:
        print(
            "The judge was the stand-in's, which obeys whatever stands outside the fences: this checks "
            "the fences, not a model."
        )
    if len(changed):
        print(changed.drop(columns="changed").to_string(index=False))
        raise SystemExit(1)


def _ask(
    options: argparse.Namespace,
    study: Study,
    folders: Folders,
    what: str,
    put: Callable[..., Coroutine[Any, Any, CallSummary]],
) -> None:

    how = CallOptions(options.concurrency, options.batch, poll_seconds=options.poll)

    async def ask() -> CallSummary:
        async with connect(study, live=options.live, base_url=options.base_url) as endpoint:
            budget = read_budget(options) if options.live else None
            return await put(endpoint, folders.raw, how, budget=budget)

    _report(asyncio.run(ask()), what, folders)


def _report(summary: CallSummary, what: str, folders: Folders) -> None:
    print(f"{summary.sent:,} {what} collected, {summary.skipped:,} already present")
    if summary.failed:
        shown = "\n  ".join(summary.failed[:5])
        print(f"{len(summary.failed):,} failed; the same command asks for them again:\n  {shown}")
    if summary.stopped:
        print(f"Stopped early: {summary.stopped}. The same command resumes.")
    print(f"Files: {folders.raw.relative_to(folders.project)}")


async def _forecast(options: argparse.Namespace, study: Study, folders: Folders) -> None:
    import os

    prices = Prices.load(options.prices)
    if options.live and os.environ.get("ANTHROPIC_API_KEY"):
        async with connect(study, live=True, base_url=options.base_url) as endpoint:
            found = await forecast(study, folders.raw, prices, endpoint)
    else:
        found = await forecast(study, folders.raw, prices, None)

    def dollars(amount: float | None) -> str:
        return "no price is known" if amount is None else f"${amount:,.2f}"

    counted = "counted by the API" if found.counted else "an estimate: four characters a token"
    usual = "as the answers so far" if found.from_answers else "an estimate"
    print(f"Study {study.name}: {study.size:,} rollouts, {study.size - found.calls:,} there already")
    print(f"  calls          {found.calls:>14,}")
    print(f"  input tokens   {found.input_tokens:>14,}  ({counted})")
    print(f"  output tokens  {found.output_tokens:>14,}  ({usual}; at most {found.output_limit:,})")
    print(f"  price, live    {dollars(found.usd):>14}  (at most {dollars(found.usd_limit)})")
    print(f"  price, batch   {dollars(found.usd_batch):>14}")
    print(f"Prices as of {prices.as_of}, before prompt caching; judging is not included.")
