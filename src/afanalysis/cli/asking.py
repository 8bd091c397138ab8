"""Commands that call a model, and the one that stands in for it."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import afanalysis as af
from afanalysis.cli.arguments import calls_of, read_study
from afanalysis.collection.calls import CallSummary
from afanalysis.collection.forecasting import Forecast, forecast
from afanalysis.collection.model_checks import check_api
from afanalysis.judging.model import forecast_verdicts
from afanalysis.standin.serving import serve
from afanalysis.standin.state import StandIn
from afanalysis.study.ledger import Prices
from afanalysis.text.pages import render


def run_collect(options: argparse.Namespace) -> int:
    """Sample a study's rollouts.

    It can be stopped at any time; the same command resumes. Without --live it is simulated and free.
    Exits with 0 if all rollouts are present, and with 3 if some are not yet.
    """
    return _run_calls(options, "rollouts", af.collect, forecast)


def run_judge(options: argparse.Namespace) -> int:
    """Judge a study's rollouts.

    It can be stopped at any time; the same command resumes. Without --live it is simulated and free.
    Exits with 0 if all verdicts are present, and with 3 if some are not yet.
    """
    if options.rules:
        _, folders = read_study(options)
        print(f"{af.judge_by_rules(folders.raw):,} rollouts judged by rules")
        return 0
    return _run_calls(options, "verdicts", af.judge, forecast_verdicts)


def _run_calls(
    options: argparse.Namespace, what: str, send: Callable[..., Any], look_ahead: Callable[..., Any]
) -> int:
    study, folders = read_study(options)
    asked = study if what == "rollouts" else study.judge
    if options.dry_run:
        return asyncio.run(_print_forecast(options, study, partial(look_ahead, asked, folders.raw)))
    summary: CallSummary = _answer_of(options, study, partial(send, asked, folder=folders.raw))
    print(render("calls_made.txt.j2", summary=summary, what=what, folders=folders))
    return 0 if summary.complete else 3  # so that `collect && judge` does not go on with a part


async def _print_forecast(
    options: argparse.Namespace, study: af.Study, ahead_of: Callable[..., Awaitable[Forecast]]
) -> int:
    prices = Prices.load(options.prices).extended(study.prices)
    can_count = options.live and (study.endpoints or os.environ.get("ANTHROPIC_API_KEY"))
    live = af.connect(study, live=True, base_url=options.base_url) if can_count else nullcontext()
    async with live as endpoint:
        ahead = await ahead_of(prices=prices, endpoint=endpoint)

    print(render("forecast.txt.j2", study=study.name, ahead=ahead, as_of=str(prices.as_of)))
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Compare the API with what this package believes of a study's models.

    Prints one line per belief: what each model takes, what is refused, the form of an answer. Makes at
    most 10 calls and costs at most $0.05, or what --budget says. Without --live the stand-in is
    compared, which is free. Exits with 1 if anything differs.
    """
    study, options.budget = af.Study.from_yaml(options.study), options.budget or 0.05
    findings = _answer_of(options, study, lambda options, **how: check_api(study, **how))
    for belief, outcome in findings:
        print(f"{belief}: {outcome or 'as believed'}")
    return int(any(outcome.startswith("differs") for _, outcome in findings))


def run_check_judge(options: argparse.Namespace) -> None:
    """Insert prompt injections into rollouts of a judged study, judge them, and list the verdicts that
    changed. Exits with 1 if any did.
    """
    study, folders = read_study(options)
    if not options.live:  # the errors of a simulated judge would hide what the injections do
        simulation = study.simulation.model_copy(update={"judge_error": {}})
        study = study.model_copy(update={"simulation": simulation})
    check = partial(af.check_judge, study.judge, folder=folders.raw)
    verdicts = _answer_of(options, study, lambda options, **how: check(**how))
    changed = verdicts[verdicts["changed"]]
    attempts = verdicts["attempt"].nunique()
    print(f"{attempts} attempts in {len(verdicts)} rollouts: {len(changed)} verdicts changed")
    if not options.live:
        print("The stand-in judged: this checks the fences around a transcript, not a model.")
    if len(changed):
        print(changed.drop(columns="changed").to_string(index=False))
        raise SystemExit(1)


def _answer_of(options: argparse.Namespace, study: af.Study, send: Callable[..., Any]) -> Any:
    """What `send` returns, given the endpoint, the budget and the options of `calling`."""

    async def send_all() -> Any:
        async with af.calling(study, **calls_of(options)) as how:
            return await send(**how)

    return asyncio.run(send_all())


def run_serve(options: argparse.Namespace) -> None:
    """Serve the Messages API with simulated answers on a loopback port, until Ctrl-C.

    Point a client at it with ANTHROPIC_BASE_URL; any key will do.
    """
    asyncio.run(serve(StandIn(lenient=options.lenient), options.port))
