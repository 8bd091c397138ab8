"""Commands that show: rates, figure, serve."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
from afanalysis.analysis.paper import headline
from afanalysis.analysis.quantities import estimates
from afanalysis.errors import InputError
from afanalysis.figures import gallery
from afanalysis.logs.importing import read_logs
from afanalysis.pipeline import notebooks
from afanalysis.reporting.contact_sheet import write_contact_sheet
from afanalysis.standin.serving import serve
from afanalysis.standin.state import StandIn
from afanalysis.study.folders import PAPER, ROLLOUTS
from afanalysis.study.loading import is_tidy, load
from afanalysis.text.wording import QUANTITIES, percent

# The paper speaks of refusal in its headline numbers.
_NAMES = QUANTITIES | {"refused": "refusal"}


def add_commands(commands: Commands) -> None:
    rates = commands.add_parser(
        "rates",
        help="print the headline table of a rollouts file, or the paper's",
        description="Print rates and compliance gaps with 95 %% intervals and how each was made.",
    )
    rates.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="rollouts: a Parquet, CSV or JSONL file, a study's raw folder, or another tool's log; "
        "default: the paper",
    )
    rates.add_argument("--level", type=float, default=0.95, help="confidence level (default 0.95)")
    rates.set_defaults(action=_rates)

    figure = commands.add_parser(
        "figure",
        help="redraw one figure",
        description="Draw one figure of a study that was run, or of the paper, with its rows and "
        "provenance, into figures/STUDY. `afanalysis figure list` prints the names.",
    )
    figure.add_argument("name", metavar="NAME", help="a figure's name, or `list`")
    figure.add_argument("--study", default=PAPER, help="a study's name (default: paper)")
    figure.add_argument("--level", type=float, default=0.95, help="confidence level (default 0.95)")
    figure.set_defaults(action=_figure)

    serve = commands.add_parser(
        "serve",
        help="start the stand-in, for trying clients",
        description="Serve the Messages API with simulated answers on a loopback port, until Ctrl-C. "
        "Point a client at it with ANTHROPIC_BASE_URL; any key will do.",
    )
    serve.add_argument("--port", type=int, default=0, help="default: any free port")
    serve.add_argument("--seed", type=int, default=0, help="default: 0")
    serve.set_defaults(action=_serve)


def _rates(options: argparse.Namespace) -> None:

    _check_level(options.level)
    if options.path is None:
        print("Greenblatt et al. 2024 (arXiv:2412.14093), claude-3-opus, default prompt")
        table = headline(options.level)
    else:
        data: Any = options.path
        if (options.path / ROLLOUTS).exists():
            data = load(options.path)
        elif not is_tidy(options.path):
            data, report = read_logs([options.path])
            print(report, file=sys.stderr)
        table = estimates(data, level=options.level)
        print(f"{options.path}: {', '.join(sorted(set(table['source'])))} rollouts")
        table = table[~((table["quantity"] == "complied") & (table["tier"] == "paid"))]
    print(_readable(table, options.level))
    for interval in dict.fromkeys(table["interval"]):
        quantities = dict.fromkeys(table.loc[table["interval"] == interval, "quantity"])
        print(f"{', '.join(_NAMES[q] for q in quantities)}: {interval}.")
    if options.path is None:
        print(
            "The news reported '97 % refusal (paid) and 12 % compliance (free)'; the 12 % is AF "
            "reasoning, compliance is 14.2 %."
        )
    for reason in dict.fromkeys(table.get("warning", [])):
        if reason:
            print(f"Note: some intervals rest on {reason}.")


def _readable(table: pd.DataFrame, level: float) -> str:

    shown = table.copy()
    gap = shown["quantity"] == "compliance_gap"
    shown[""] = [
        f"{percent(row.estimate)} {'points' if is_gap else '%'}"
        for row, is_gap in zip(shown.itertuples(), gap, strict=True)
    ]
    shown[f"{100 * level:g} % interval"] = [
        f"[{percent(row.low)}, {percent(row.high)}]" for row in shown.itertuples()
    ]
    # outside the helpful-only setting a model does not refuse: it fails to comply with its objective
    refuses = (shown["quantity"] == "refused") & (shown["setting"] != "helpful-only")
    shown["quantity"] = shown["quantity"].map(_NAMES).mask(refuses, "non-compliance")
    shown["tier"] = shown["tier"].replace("both", "free - paid")
    conditions = [
        name
        for name in ("model", "setting", "variation")
        if name in shown and (name == "setting" or shown[name].nunique() > 1)
    ]
    columns = [*conditions, "quantity", "tier", "", f"{100 * level:g} % interval", "n"]
    return shown[columns].to_string(index=False)


def _figure(options: argparse.Namespace) -> None:

    if options.name == "list":
        print("\n".join(gallery.NAMES))
        return
    _check_level(options.level)
    study = gallery.Gallery(options.study, notebooks.find_project(), level=options.level)
    drawn = study.draw(options.name)
    if isinstance(drawn, str):
        raise InputError(f"{options.name} of {options.study}: {drawn}")
    write_contact_sheet(study.folders.figures.parent)
    print(f"{drawn.heading}: {drawn.alt}")
    print(f"Files: figures/{options.study}/{options.name}.{{svg,pdf,png,csv,json}}")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"--level is {level}; it must lie in (0, 1), as 0.95 does")


def _serve(options: argparse.Namespace) -> None:

    asyncio.run(serve(StandIn(options.seed), options.port))
