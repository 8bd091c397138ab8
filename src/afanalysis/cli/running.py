"""The commands that make a project and run a study's notebooks: new, run."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import afanalysis as af
from afanalysis.cli.arguments import calls_of, read_study
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks, projects
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.study.folders import PAPER, Folders


def run_new(options: argparse.Namespace) -> None:
    """Make a project in a new folder: notebooks, a study to begin with, folders for data and figures."""
    made = projects.new_project(options.folder)
    print(f"{made.project}: notebooks/, studies/{made.study}.yaml, data/, figures/, README.md")
    print(f"Next: cd {options.folder} && afanalysis run")


def run_run(options: argparse.Namespace) -> int:
    """Run the numbered notebooks with papermill.

    Without --study: redraw the paper's figures from its published tables, then collect, judge and
    analyse studies/demo.yaml, or the project's only study. A study that has nothing left to ask needs
    no --live, key or budget. Only notebooks whose parameters, inputs, cells or code have changed run
    again; collection resumes where it stopped. --until-width and --until-decided collect and judge a
    few prompts at a time, in a study with `order: prompts`; their intervals hold at every look.
    """
    project = projects.find_project()
    ending = _collect_until(options) if not options.dry_run else None
    if ending:
        print(ending.sentences)
    calls = calls_of(options)
    if options.prices:
        calls["prices"] = os.path.relpath(options.prices.resolve(), project / "notebooks")
    asked = calls | ({"rules": True} if options.rules else {})
    asked |= {"first": ending.prompts} if ending else {}
    steps = notebooks.steps(project, options.study, **asked)
    planned = notebooks.plan(project, steps)
    if options.dry_run:
        for step, reasons in planned:
            reason = "; ".join(reasons) or ("--force" if options.force else "")
            print(f"  {step.title:<28} {'run: ' + reason if reason else 'up to date'}")
        return 0
    if not options.force and not any(reasons for _, reasons in planned):
        print(f"Everything is up to date ({len(steps)} notebooks); --force runs them anyway.")
        _print_what_to_open(project, steps)
        return 0
    notebooks.check_writable(project, steps)
    if options.live:
        asyncio.run(_check_calls(options, options.study or projects.default_study(project)))
    print(f"Running {len(steps)} notebooks in {project.name}/notebooks", flush=True)
    results = notebooks.run(project, steps, force=options.force, on_result=_print_result)
    notebooks.raise_first_failure(results)
    write_contact_sheet(project / "figures")
    _print_what_to_open(project, steps)
    unfinished = [result for result in results if result.left]
    for result in unfinished:
        print(f"{result.step.title} is not complete: {result.left}")
    return 3 if unfinished or (ending and not ending.complete) else 0


def _print_what_to_open(project: Path, steps: list[notebooks.Step]) -> None:
    """Name the pages to read, the study's own report first."""
    for study in reversed(dict.fromkeys(step.study for step in steps)):
        report = Folders(project, study).report
        if report.exists():
            of = "what the paper's tables say" if study == PAPER else f"what the study {study} shows"
            print(f"Open {report.relative_to(project)}: {of}, and how sure it is")
    print("Open figures/index.html: all figures, each with its data")


async def _check_calls(options: argparse.Namespace, file: Path) -> None:
    """Raise `InputError` if a live run's calls could not be made, before a notebook runs."""
    study = af.Study.from_yaml(file)
    async with af.calling(study, **calls_of(options)) as how:
        judges = () if options.rules else study.judge.models
        how["endpoint"].require([*study.models, *judges], how["budget"])


def _collect_until(options: argparse.Namespace) -> notebooks.Ending | None:
    """Collect and judge until the aim is reached, if there is one."""
    if options.until_width is None and not options.until_decided:
        return None
    if options.study is None:
        raise InputError("--until-width and --until-decided need --study FILE, with order: prompts")
    study, folders = read_study(options)
    aim: dict[str, Any] = {"width": options.until_width, "decided": options.until_decided}

    async def run() -> notebooks.Ending:
        async with af.calling(study, **calls_of(options)) as how:
            return await af.collect_until(study, folder=folders.raw, **how, **aim)

    return asyncio.run(run())


def _print_result(result: notebooks.Result) -> None:
    took = f"{result.seconds:5.1f} s" if result.seconds else f"  {result.state}"
    failed = "  FAILED" if result.state == "failed" else ""
    # one write per line: the results of studies that run side by side must not mix within a line
    sys.stdout.write(f"  {result.step.title:<28} {took}{failed}\n")
    sys.stdout.flush()
