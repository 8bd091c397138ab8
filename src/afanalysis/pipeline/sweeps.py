"""Sweeps: many variants of a study, or of one notebook, side by side on one machine or on a cluster."""

import ast
import contextlib
import itertools
import json
import os
import re
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from afanalysis import figures
from afanalysis.analysis.conditions import main_variation
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.changes import Step
from afanalysis.pipeline.notebooks import Result, parameters_cell
from afanalysis.pipeline.projects import STEPS
from afanalysis.study.design import FilePart, NamedPath, Study
from afanalysis.study.files import read_csv, read_yaml, write_csv, write_text
from afanalysis.study.folders import JUDGEMENTS, RUNS, Folders
from afanalysis.study.hashing import text_hash
from afanalysis.text.wording import with_interval

MANY_RUNS = 10_000

# What the sweep itself sets.
_RESERVED = ("study", "project", "live", "budget", "calls", "study.name", "study.imported")

# The parameters whose default does not say all that they can be.
_LEVEL = Annotated[float, Field(gt=0, lt=1)]
_KINDS: dict[str, Any] = {"labels": PositiveInt, "first": PositiveInt, "level": _LEVEL}


class Sweep(FilePart):
    """The content of a sweep file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")  # no dot: a run is called SWEEP.RUN
    study: NamedPath
    notebook: str | None = None
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    sets: tuple[dict[str, Any], ...] = Field(default=(), alias="list")
    live: bool = False
    budget: float | None = None

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a sweep file; the study's path is relative to it.

        Raises
        ------
        InputError
            The file is missing or is not YAML, or a field is wrong.
        """
        sweep = cls.checked(read_yaml(path, "a sweep file; write name, study and a grid or list"), path)
        if sweep.live and sweep.budget is None:
            raise InputError(f"{path}: live is true; give a budget (USD per run)")
        if not sweep.grid and not sweep.sets:
            raise InputError(f"{path}: give a grid (name: [values]) or a list of parameter sets")
        return sweep.model_copy(update={"study": path.parent / sweep.study})


@dataclass(frozen=True)
class Run:
    """One run of a sweep: its parameters, the content of its study file, its steps."""

    name: str
    parameters: dict[str, Any]
    study: str
    chain: tuple[Step, ...]


def expand(sweep: Sweep, project: Path, *, most: int | None = MANY_RUNS) -> list[Run]:
    """The runs of a sweep, checked; nothing is written.

    Raises
    ------
    InputError
        A parameter is unknown, of the wrong type or out of its range, a study has an error, or there
        are more runs than `most`.
    """
    grid = itertools.product(*sweep.grid.values()) if sweep.grid else ()
    combinations = (dict(zip(sweep.grid, values, strict=True)) for values in grid)
    sets = list(itertools.islice(itertools.chain(combinations, sweep.sets), most and most + 1))
    if most and len(sets) > most:
        raise InputError(f"sweep {sweep.name}: more than {most:,} runs; give --yes to run that many")
    chosen = [sweep.notebook] if sweep.notebook else STEPS
    defaults = {name: _defaults(project, name) for name in chosen}
    base = Study.from_yaml(sweep.study)
    runs: dict[str, Run] = {}
    for parameters in sets:
        _check(sweep, parameters, defaults)
        name = f"{sweep.name}.{_spelled_out(parameters)}"
        if name in runs:
            raise InputError(f"sweep {sweep.name}: two runs have the parameters {parameters}")
        study = _study_of(sweep, base, name, parameters)
        by_notebook = {
            notebook: {key: value for key, value in parameters.items() if key in known}
            for notebook, known in defaults.items()
        }
        if sweep.notebook:
            steps = [_single_step(sweep, project, base.name, name, by_notebook[sweep.notebook])]
        else:
            for notebook in STEPS[:2] if sweep.live else ():
                by_notebook[notebook] |= {"live": True, "budget": sweep.budget}
            steps = notebooks.study_steps(project, study, Folders(project, name).study_file, by_notebook)
        text = study.model_dump_json(exclude_defaults=True, indent=2)
        runs[name] = Run(name, parameters, text, tuple(steps))
    return list(runs.values())


def _defaults(project: Path, notebook: str) -> dict[str, Any]:
    """The parameters of a notebook with their defaults, from its parameters cell."""
    path = project / "notebooks" / f"{notebook}.ipynb"
    if not path.exists():
        raise InputError(f"{path}: no such notebook")
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(parameters_cell(path) or "").body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _check(sweep: Sweep, parameters: dict[str, Any], defaults: dict[str, dict[str, Any]]) -> None:
    usable = ChainMap(*defaults.values())
    for name, value in parameters.items():
        of_study = name.startswith("study.") and not sweep.notebook
        if name in _RESERVED or not (of_study or name in usable):
            known_names = ", ".join(sorted(usable.keys() - set(_RESERVED)))
            also = "" if sweep.notebook else ", or study.FIELD"
            problem = f"no notebook has a parameter {name!r}; use: {known_names}{also}"
            raise InputError(f"sweep {sweep.name}: {problem}")
        default = usable.get(name)
        kind = _KINDS.get(name, Any if default is None else type(default))
        try:
            if name in usable and default != value:
                TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].lower()
            raise InputError(f"sweep {sweep.name}: {name} is {value!r}; {problem}") from error


def _study_of(sweep: Sweep, base: Study, name: str, parameters: dict[str, Any]) -> Study:
    content = base.model_dump(mode="json") | {"name": name}
    for key, value in parameters.items():
        if key.startswith("study."):
            *path, field = key.split(".")[1:]
            part = content
            for step in path:
                part = part.setdefault(step, {})
            part[field] = value
    return Study.checked(content, f"sweep {sweep.name}")


def _spelled_out(parameters: dict[str, Any]) -> str:
    """Parameters as part of a run's name: spelled out if short, else cut, with a hash."""
    text = "_".join(f"{key.rpartition('.')[2]}-{value}" for key, value in parameters.items())
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if safe == text and len(text) <= 60:
        return text
    digest = text_hash(json.dumps(parameters, sort_keys=True, default=str))[:6]
    return f"{safe[:53]}-{digest}"


def _single_step(sweep: Sweep, project: Path, base: str, name: str, parameters: dict[str, Any]) -> Step:
    """A run of one notebook: in its own project folder, which links to the study's data."""
    folder = Folders(project, sweep.name).processed / name
    shared = Folders(project, base)
    places = {"study": sweep.study.resolve(), "project": folder}
    parameters |= {name: os.path.relpath(place, project / "notebooks") for name, place in places.items()}
    inputs = (sweep.study, shared.table, shared.raw / JUDGEMENTS)
    return Step(name, str(sweep.notebook), parameters, folder / f"{sweep.notebook}.ipynb", inputs)


def prepare(sweep: Sweep, project: Path, runs: Sequence[Run]) -> None:
    """Write what the runs need before they start: their study files, or links to the shared data."""
    shared = Folders(project, Study.from_yaml(sweep.study).name)
    for run in runs:
        if not sweep.notebook:
            write_text(Folders(project, run.name).study_file, run.study)
            continue
        own = Folders(Folders(project, sweep.name).processed / run.name, shared.study)
        for source, link in ((shared.raw, own.raw), (shared.table, own.table)):
            link.parent.mkdir(parents=True, exist_ok=True)
            if source.exists() and not link.exists():
                link.symlink_to(source.resolve())


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An existing Dask cluster.

    Raises
    ------
    InputError
        No scheduler answers at the address, or Dask is not installed.
    """
    try:
        from distributed import Client

        client = Client(address, timeout=10, set_as_default=False)
    except ImportError as error:
        raise InputError("--scheduler needs Dask: pip install 'afanalysis[cluster]'") from error
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"{address}: no Dask scheduler answers there ({error})") from error
    with client:
        yield client.get_executor(pure=False, retries=3)


def run(
    sweep: Sweep,
    project: Path,
    runs: Sequence[Run],
    executor: Executor,
    *,
    force: bool = False,
    report: Callable[[dict[str, Any], int, int], None] = lambda *_: None,
) -> list[dict[str, Any]]:
    """Run what is not up to date; a run that fails does not affect the others.

    Parameters
    ----------
    sweep, project, runs
        The sweep, expanded and prepared.
    executor
        What follows the runs: threads of this process, whose kernels do the work, or `cluster`.
    force
        Also run notebooks that are up to date.
    report
        Called when a run ends, with its row, how many have ended, and how many there are.

    Returns
    -------
    list of dict
        One row per run, in order: `run`, `state` (`done`, `up to date`, `failed` or `stopped`),
        `seconds`, `headline`, `error`, and its parameters. `runs.csv` in the sweep's processed folder
        has the same.
    """
    started = time.monotonic()
    rows = _read_rows(path := Folders(project, sweep.name).processed / RUNS)
    futures = {executor.submit(notebooks.run, project, each.chain, force=force): each for each in runs}
    try:
        for number, future in enumerate(as_completed(futures), start=1):
            ended = futures[future]
            try:
                row = _row(future.result(), Folders(project, ended.name).processed / "gaps.csv")
            except Exception as error:  # a lost worker
                row = {"state": "failed", "seconds": f"{time.monotonic() - started:.1f}", "headline": ""}
                row["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            rows[ended.name] = {"run": ended.name} | row | ended.parameters
            write_csv(path, pd.DataFrame(list(rows.values()), dtype=object))
            report(rows[ended.name], number, len(runs))
    finally:  # after Ctrl-C, what has not begun does not begin
        for future in futures:
            future.cancel()
    return [rows[each.name] for each in runs]


def _row(steps: list[Result], gaps: Path) -> dict[str, str]:
    """How a run ended whose steps ended so."""
    states = [step.state for step in steps]
    error = next((str(step.error) for step in steps if step.error), "")
    state = "stopped" if "not run" in states else "done" if "done" in states else "up to date"
    return {
        "state": "failed" if error else state,
        "seconds": f"{sum(step.seconds for step in steps):.1f}",
        "headline": "" if error else _headline(gaps),
        "error": error,
    }


def _headline(path: Path) -> str:
    """The gap of a run's first condition, in words; empty if there is none."""
    if not path.exists():
        return ""
    gaps = pd.read_csv(path)
    gaps = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    row = gaps.sort_values("setting", ascending=False).iloc[0]
    return f"gap {with_interval(row[['gap', 'low', 'high']], 'points')}, {row['setting']}"


def _read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of `runs.csv` by run, as an earlier call wrote them."""
    if not path.exists():
        return {}
    return {row["run"]: row for _, row in read_csv(path, ("run", "state"))}


def failed_before(sweep: Sweep, project: Path) -> set[str]:
    """The names of the runs that failed or were stopped when the sweep last ran.

    Raises
    ------
    InputError
        The sweep has not been run.
    """
    rows = _read_rows(path := Folders(project, sweep.name).processed / RUNS)
    if not rows:
        problem = f"sweep {sweep.name}: has not been run here ({path} is missing)"
        raise InputError(f"{problem}; run it without --retry-failed")
    return {name for name, row in rows.items() if row["state"] in ("failed", "stopped")}


def finish(sweep: Sweep, project: Path, runs: Sequence[Run]) -> None:
    """Write the rates and gaps of all runs with their parameters, one table each, and draw the gaps."""
    folders = Folders(project, sweep.name)
    names = list(dict.fromkeys(key for each in runs for key in each.parameters))
    tables = {}
    for name in ("rates", "gaps"):
        parts = []
        for each in runs:
            path = Folders(project, each.name).processed / f"{name}.csv"
            if path.exists():
                parameters = {key: str(each.parameters.get(key, "")) for key in names}
                parts.append(pd.read_csv(path).assign(run=each.name, **parameters))
        if parts:
            table = pd.concat(parts, ignore_index=True)
            rest = [column for column in table if column not in ("run", *names)]
            tables[name] = table[["run", *names, *rest]]
            write_csv(folders.processed / f"{name}.csv", tables[name], float_format="%.6g")
    if "gaps" in tables:
        gaps = tables["gaps"].assign(source="live" if sweep.live else "simulated")
        # what the runs differ in; a parameter may be called like a column of the table
        differ = [name for name in names if len({repr(run.parameters.get(name)) for run in runs}) > 1]
        labels = {run.name: _label(run, differ) for run in runs}
        gaps = gaps.drop(columns=names).assign(label=gaps["run"].map(labels))
        provenance = {"sweep": sweep.name, "runs": len(runs)}
        figures.save(figures.gaps_by_run(gaps), folders.figures, "gaps_by_run", provenance)


def _label(run: Run, names: Sequence[str]) -> str:
    """A run's parameters of these names, in words."""
    given = [(name.rpartition(".")[2], run.parameters[name]) for name in names if name in run.parameters]
    parts = (f"{name} {', '.join(map(str, it)) if isinstance(it, list) else it}" for name, it in given)
    return "; ".join(parts) or "as the study"
