"""The command that runs many variants: sweep."""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from afanalysis.pipeline import notebooks, projects, sweeps
from afanalysis.reporting.contact_sheet import write_contact_sheet


def run_sweep(options: argparse.Namespace) -> None:
    """Run every parameter set of a sweep file, side by side.

    Runs that are up to date are skipped, and a run that fails does not affect the others. Exits with 1
    if any failed.
    """
    project = projects.find_project()
    sweep = sweeps.Sweep.from_yaml(options.file)
    runs = sweeps.expand(sweep, project, most=None if options.yes else sweeps.MANY_RUNS)
    chosen = runs
    if options.retry_failed:
        failed = sweeps.failed_before(sweep, project)
        chosen = [run for run in runs if run.name in failed]
    if options.dry_run:
        for run in chosen:
            reasons = [reason for _, why in notebooks.plan(project, run.chain) for reason in why]
            print(f"  {run.name}  {'run: ' + reasons[0] if reasons else 'up to date'}")
        return
    notebooks.check_writable(project, [step for run in chosen for step in run.chain])
    threads = ThreadPoolExecutor(options.jobs or os.cpu_count())
    workers = sweeps.cluster(options.scheduler) if options.scheduler else threads
    with workers as executor:
        sweeps.prepare(sweep, project, runs)
        print(f"{len(chosen)} of {len(runs)} runs of {sweep.name}", flush=True)
        try:
            rows = sweeps.run(sweep, project, chosen, executor, force=options.force, report=_print_row)
        except KeyboardInterrupt:
            notebooks.interrupt_all()
            raise
    sweeps.finish(sweep, project, runs)
    write_contact_sheet(project / "figures")
    print(f"Tables: data/processed/{sweep.name}/{{runs,rates,gaps}}.csv; figures/{sweep.name}")
    failures = [row for row in rows if row["state"] == "failed"]
    for row in failures:
        print(f"FAILED {row['run']}: {row['error']}")
    if failures:
        raise SystemExit(1)


def _print_row(row: dict[str, Any], done: int, total: int) -> None:
    how = f"{row['state']:<10} {row['seconds']:>6} s  {row['headline']}"
    print(f"  {done:>{len(str(total))}}/{total}  {row['run']:<40} {how}", flush=True)
