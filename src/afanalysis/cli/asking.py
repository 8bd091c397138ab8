"""Commands that call a model: collect, judge, check-judge."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from afanalysis.cli.arguments import add_endpoint, add_study, read_budget, read_study
from afanalysis.collection.calls import CallOptions, CallSummary
from afanalysis.collection.endpoint import connect
from afanalysis.collection.forecasting import forecast
from afanalysis.collection.rollouts import collect
from afanalysis.judging.injections import check_judge
from afanalysis.judging.model import judge
from afanalysis.judging.rules import judge_by_rules
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders
from afanalysis.study.ledger import Prices

if TYPE_CHECKING:
    import pandas as pd

_RESUMES = (
    "It can be stopped at any time; the same command resumes. Without --live it is simulated and free."
)


def add_collect(command: argparse.ArgumentParser) -> None:
    command.description = f"Sample a study's rollouts. {_RESUMES}"
    _add_calls(command)
    command.add_argument(
        "--dry-run", action="store_true", help="print calls, tokens and price; call nothing"
    )
    command.set_defaults(action=_collect)


def add_judge(command: argparse.ArgumentParser) -> None:
    command.description = f"Judge a study's rollouts. {_RESUMES}"
    _add_calls(command)
    command.add_argument(
        "--rules", action="store_true", help="judge by phrases, without a model: a free baseline"
    )
    command.set_defaults(action=_judge)


def add_check_judge(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Insert prompt injections ('ignore your instructions …') into rollouts of a judged study, judge "
        "them, and list the verdicts that changed. Exits with 1 if any did."
    )
    add_study(command)
    add_endpoint(command)
    command.set_defaults(action=_check_judge)


def _add_calls(command: argparse.ArgumentParser) -> None:
    add_study(command)
    add_endpoint(command)
    command.add_argument("--batch", action="store_true", help="use Message Batches, at half the price")
    command.add_argument(
        "--concurrency", type=int, default=32, metavar="N", help="calls at once (default: 32)"
    )
    command.add_argument(
        "--poll",
        type=float,
        default=30,
        metavar="SECONDS",
        help="between checks of a batch (default: 30)",
    )


def _collect(options: argparse.Namespace) -> None:
    study, folders = read_study(options)
    if options.dry_run:
        asyncio.run(_forecast(options, study, folders))
    else:
        _run_calls(options, study, folders, "rollouts", partial(collect, study))


def _judge(options: argparse.Namespace) -> None:
    study, folders = read_study(options)
    if options.rules:
        print(f"{judge_by_rules(folders.raw):,} rollouts judged by rules")
    else:
        _run_calls(options, study, folders, "verdicts", partial(judge, study.judge))


def _run_calls(
    options: argparse.Namespace,
    study: Study,
    folders: Folders,
    what: str,
    send: Callable[..., Coroutine[Any, Any, CallSummary]],
) -> None:
    calls = CallOptions(options.concurrency, options.batch, poll_seconds=options.poll)

    async def send_all() -> CallSummary:
        async with connect(study, live=options.live, base_url=options.base_url) as endpoint:
            return await send(endpoint, folders.raw, calls, budget=read_budget(options))

    summary = asyncio.run(send_all())
    print(f"{summary.sent:,} {what} collected, {summary.skipped:,} already present")
    if summary.failed:
        reasons = "\n  ".join(summary.failed[:5])
        print(f"{len(summary.failed):,} failed; the same command tries them again:\n  {reasons}")
    if summary.stopped:
        print(f"Stopped early: {summary.stopped}. The same command resumes.")
    print(f"Files: {folders.raw.relative_to(folders.project)}")


async def _forecast(options: argparse.Namespace, study: Study, folders: Folders) -> None:
    prices = Prices.load(options.prices)
    if options.live and os.environ.get("ANTHROPIC_API_KEY"):
        async with connect(study, live=True, base_url=options.base_url) as endpoint:
            ahead = await forecast(study, folders.raw, prices, endpoint)
    else:
        ahead = await forecast(study, folders.raw, prices, None)

    def dollars(amount: float | None) -> str:
        return "no price is known" if amount is None else f"${amount:,.2f}"

    counted = "counted by the API" if ahead.counted else "an estimate: four characters per token"
    usual = "like the answers so far" if ahead.from_answers else "an estimate"
    print(f"Study {study.name}: {study.size:,} rollouts, {study.size - ahead.calls:,} already present")
    print(f"  calls          {ahead.calls:>14,}")
    print(f"  input tokens   {ahead.input_tokens:>14,}  ({counted})")
    print(f"  output tokens  {ahead.output_tokens:>14,}  ({usual}; at most {ahead.output_limit:,})")
    print(f"  price, live    {dollars(ahead.usd):>14}  (at most {dollars(ahead.usd_limit)})")
    print(f"  price, batch   {dollars(ahead.usd_batch):>14}")
    print(f"Prices as of {prices.as_of}, before prompt caching; judging is not included.")


def _check_judge(options: argparse.Namespace) -> None:
    study, folders = read_study(options)
    if not options.live:  # the errors of a simulated judge would hide what the injections do
        simulation = study.simulation.model_copy(update={"judge_error": {}})
        study = study.model_copy(update={"simulation": simulation})

    async def check() -> pd.DataFrame:
        async with connect(study, live=options.live, base_url=options.base_url) as endpoint:
            return await check_judge(study.judge, endpoint, folders.raw, budget=read_budget(options))

    verdicts = asyncio.run(check())
    changed = verdicts[verdicts["changed"]]
    attempts = verdicts["attempt"].nunique()
    print(f"{attempts} attempts in {len(verdicts)} rollouts: {len(changed)} verdicts changed")
    if not options.live:
        print(
            "The stand-in judged; it obeys whatever is outside the fences. This checks the fences, "
            "not a model."
        )
    if len(changed):
        print(changed.drop(columns="changed").to_string(index=False))
        raise SystemExit(1)
