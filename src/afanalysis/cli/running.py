"""Commands that run notebooks: run, sweep."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks, sweeps
from afanalysis.pipeline.store import Store
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.study.folders import Folders


def add_commands(commands: Commands) -> None:
    """Add `run` and `sweep`."""
    run = commands.add_parser(
        "run",
        help="run all notebooks, from collection through figures",
        description="Run the numbered notebooks with papermill. Without --study: redraw the paper's "
        "figures from its published tables, then collect, judge and analyse studies/demo.yaml. "
        "Only notebooks whose parameters, inputs, cells or code have changed run again; "
        "collection resumes where it stopped.",
    )
    run.add_argument("--study", type=Path, metavar="FILE", help="a study file (YAML)")
    run.add_argument("--live", action="store_true", help="ask the real API (costs money)")
    run.add_argument(
        "--budget", type=float, metavar="USD", help="what the study may cost in all; needed with --live"
    )
    run.add_argument("--force", action="store_true", help="run notebooks that are up to date, too")
    run.add_argument("--dry-run", action="store_true", help="say what would run and why; run nothing")
    run.set_defaults(action=_run)

    sweep = commands.add_parser(
        "sweep",
        help="run many variants of a study, or of one notebook",
        description="Run every parameter set of a sweep file, side by side; what is up to date is "
        "passed over, a run that fails leaves the others alone. Exits with 1 if any failed.",
    )
    sweep.add_argument("file", type=Path, metavar="FILE", help="a sweep file (YAML)")
    sweep.add_argument("--jobs", type=int, metavar="N", help="runs at once (default: the processors)")
    sweep.add_argument(
        "--scheduler", metavar="ADDRESS", help="run on this Dask cluster, such as tcp://10.0.0.1:8786"
    )
    sweep.add_argument(
        "--store", metavar="URL", help="keep the runs' folders here, for workers with other disks"
    )
    sweep.add_argument("--force", action="store_true", help="run notebooks that are up to date, too")
    sweep.add_argument("--dry-run", action="store_true", help="list the runs; run nothing")
    sweep.add_argument(
        "--retry-failed", action="store_true", help="only runs that failed or were stopped"
    )
    sweep.add_argument("--yes", action="store_true", help="go ahead with more than 10 000 runs")
    sweep.set_defaults(action=_sweep)


def _run(options: argparse.Namespace) -> None:

    project = notebooks.find_project()
    if options.live and options.budget is None:
        raise InputError("a live run needs a budget: --budget USD")
    todo = notebooks.steps(project, options.study, live=options.live, budget=options.budget)
    planned = notebooks.plan(project, todo)
    if options.dry_run:
        for step, why in planned:
            reason = "asked for by --force" if options.force and not why else "; ".join(why)
            print(f"  {step.title:<28} {'run: ' + reason if reason else 'up to date'}")
        return
    if not options.force and not any(why for _, why in planned):
        print(f"Everything is up to date ({len(todo)} notebooks); --force runs them all the same.")
        return
    started = time.time()
    print(f"Running {len(todo)} notebooks in {project.name}/notebooks", flush=True)

    def report(result: notebooks.Result) -> None:
        took = f"{result.seconds:5.1f} s" if result.seconds else f"  {result.state}"
        failed = "  FAILED" if result.state == "failed" else ""
        sys.stdout.write(f"  {result.step.title:<28} {took}{failed}\n")
        sys.stdout.flush()

    ended = notebooks.run(project, todo, notebooks.Controls(force=options.force, on_result=report))
    notebooks.raise_first_failure(ended)
    write_contact_sheet(project / "figures")
    for name in dict.fromkeys(step.study for step in todo):
        _list_made(project, name, started)
    print("All figures: figures/index.html")


def _list_made(project: Path, study: str, started: float) -> None:

    folders = Folders(project, study)
    drawn = [path for path in folders.figures.glob("*.svg") if path.stat().st_mtime >= started - 1]
    print(f"{study}: {len(drawn)} figures in figures/{study}")
    report = folders.report
    if report.exists():
        print(f"  report: {report.relative_to(project)}")


def _sweep(options: argparse.Namespace) -> None:

    project = notebooks.find_project()
    sweep = sweeps.Sweep.from_yaml(options.file)
    runs = sweeps.expand(sweep, project, most=sys.maxsize if options.yes else sweeps.MANY_RUNS)
    if options.store:
        Store(options.store)  # says now what is wrong with it
        if sweep.notebook:
            raise InputError("--store takes sweeps of the whole pipeline; this one names a notebook")
    chosen = runs
    if options.retry_failed:
        again = sweeps.failed_before(sweep, project)
        chosen = [one for one in runs if one.name in again]
    if options.dry_run:
        for one in chosen:
            why = [reason for _, reasons in notebooks.plan(project, one.chain) for reason in reasons]
            print(f"  {one.name}  {'run: ' + why[0] if why else 'up to date'}")
        return
    chain = [step for one in chosen for step in one.chain]
    notebooks.check_writable(project, chain)
    where = sweeps.cluster(options.scheduler) if options.scheduler else sweeps.local(options.jobs)
    with where as executor:
        sweeps.prepare(sweep, project, runs)
        print(f"{len(chosen)} of {len(runs)} runs of {sweep.name}", flush=True)
        try:
            ended = sweeps.run(
                sweep,
                project,
                chosen,
                executor,
                force=options.force,
                store=options.store,
                report=_report_run,
            )
        except KeyboardInterrupt:
            notebooks.interrupt_all()
            raise
    sweeps.finish(sweep, project, runs)
    write_contact_sheet(project / "figures")
    failed = [one for one in ended if one.state == "failed"]
    print(f"Tables: data/processed/{sweep.name}/{{runs,rates,gaps}}.csv; figures/{sweep.name}")
    for each in failed:
        print(f"FAILED {each.run.name}: {each.said}")
    if failed:
        raise SystemExit(1)


def _report_run(ended: sweeps.Ended, done: int, of: int) -> None:
    print(
        f"  {done:>{len(str(of))}}/{of}  {ended.run.name:<40} {ended.state:<10} "
        f"{ended.seconds:6.1f} s  {ended.headline}",
        flush=True,
    )
