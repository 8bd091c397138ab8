"""Sweeps: many variants of a study, or of one notebook, side by side on one machine or on a cluster."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import pandas as pd
from afanalysis import figures
from afanalysis.analysis.conditions import main_variation
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.notebooks import STEPS, Controls, Result, Step, parameters_cell
from afanalysis.pipeline.store import RunBundle
from afanalysis.study.design import Study, first_problem
from afanalysis.study.folders import JUDGEMENTS, STUDY_FILE, Folders
from afanalysis.text.wording import interval, percent

MANY_RUNS = 10_000

_COLUMNS = ("run", "state", "seconds", "headline", "error")

# Set by the sweep itself.
_OWN = ("study", "project", "live", "budget")


class Sweep(BaseModel):
    """What a sweep file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    study: Path
    notebook: str | None = None
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    sets: tuple[dict[str, Any], ...] = Field(default=(), alias="list")
    live: bool = False
    budget: float | None = None

    @classmethod
    def from_yaml(cls, path: Path) -> Sweep:
        """Read a sweep file; the study's path is relative to it.

        Raises
        ------
        InputError
            The file is missing, is not YAML, or a field is not as it must be.
        """
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            sweep = cls(**content)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, TypeError) as error:
            raise InputError(
                f"{path}: is no sweep file ({' '.join(str(error).split())[:200]})"
            ) from error
        except ValidationError as error:
            raise InputError(f"{path}: {first_problem(error, cls)}") from error
        if sweep.live and sweep.budget is None:
            raise InputError(f"{path}: live is true; give a budget (USD a run)")
        if not sweep.grid and not sweep.sets:
            raise InputError(f"{path}: give a grid (name: [values]) or a list of parameter sets")
        return sweep.model_copy(update={"study": path.parent / sweep.study})

    @property
    def size(self) -> int:
        """The number of runs."""
        grid = 1
        for values in self.grid.values():
            grid *= len(values)
        return (grid if self.grid else 0) + len(self.sets)

    def each(self) -> Iterator[dict[str, Any]]:
        """The parameter sets: the grid's, then the list's."""
        if self.grid:
            for values in itertools.product(*self.grid.values()):
                yield dict(zip(self.grid, values, strict=True))
        yield from self.sets


@dataclass(frozen=True)
class Run:
    """One run of a sweep: its parameters, its study as a file's content, its steps."""

    name: str
    parameters: dict[str, Any]
    study: str
    chain: tuple[Step, ...]


@dataclass
class Ended:
    """How a run ended, for the table."""

    run: Run
    state: str
    seconds: float
    headline: str
    said: str = ""

    def row(self) -> dict[str, Any]:
        """The run's row in `runs.csv`."""
        ending = [self.run.name, self.state, f"{self.seconds:.1f}", self.headline, self.said]
        return self.run.parameters | dict(zip(_COLUMNS, ending, strict=True))


def expand(sweep: Sweep, project: Path, *, most: int = MANY_RUNS) -> list[Run]:
    """The runs of a sweep, checked; nothing is written.

    Raises
    ------
    InputError
        A parameter is unknown or of the wrong type, a study is not as it must be, or there are more
        runs than `most`.
    """
    if sweep.size > most:
        raise InputError(
            f"sweep {sweep.name}: {sweep.size:,} runs; with --yes they are run all the same"
        )
    names = (sweep.notebook,) if sweep.notebook else STEPS
    known = {name: _defaults(project, name) for name in names}
    base = Study.from_yaml(sweep.study)
    runs, taken = [], set()
    for parameters in sweep.each():
        _check(sweep, parameters, known)
        name = f"{sweep.name}.{_slug(parameters)}"
        if name in taken:
            raise InputError(f"sweep {sweep.name}: two runs have the parameters {parameters}")
        taken.add(name)
        study = _study_of(sweep, base, name, parameters)
        text = study.model_dump_json(exclude_defaults=True, indent=2)
        file = Folders(project, name).processed / STUDY_FILE
        asking = {"live": True, "budget": sweep.budget} if sweep.live else {}
        told = {
            notebook: {key: value for key, value in parameters.items() if key in defaults}
            | (asking if notebook in STEPS[:2] else {})
            for notebook, defaults in known.items()
        }
        if sweep.notebook is None:
            chain = tuple(notebooks.study_steps(project, study, file, told))
        else:
            chain = (_alone(sweep, project, base, name, told[sweep.notebook]),)
        runs.append(Run(name, parameters, text, chain))
    return runs


def _defaults(project: Path, notebook: str) -> dict[str, Any]:
    """The parameters of a notebook with their defaults, by its parameters cell."""
    path = project / "notebooks" / f"{notebook}.ipynb"
    if not path.exists():
        raise InputError(f"{path}: there is no such notebook")
    defaults = {}
    for node in ast.parse(parameters_cell(path) or "").body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            defaults[node.targets[0].id] = ast.literal_eval(node.value)
    return defaults


def _check(sweep: Sweep, parameters: dict[str, Any], known: dict[str, dict[str, Any]]) -> None:
    for name, value in parameters.items():
        if name.startswith("study.") and sweep.notebook is None:
            if name.split(".")[1] not in Study.model_fields or name == "study.name":
                fields = ", ".join(
                    field for field in Study.model_fields if field not in ("name", "imported")
                )
                raise InputError(f"sweep {sweep.name}: {name} is no field of a study; use: {fields}")
            continue
        defaults = [found[name] for found in known.values() if name in found and name not in _OWN]
        if not defaults:
            usable = sorted({key for found in known.values() for key in found} - set(_OWN))
            more = ", or study.FIELD" if sweep.notebook is None else ""
            known_names = f"{', '.join(usable)}{more}"
            raise InputError(
                f"sweep {sweep.name}: no notebook has a parameter {name!r}; use: {known_names}"
            )
        default = defaults[0]
        numeric = isinstance(default, (int, float)) and not isinstance(default, bool)
        right = (int, float) if numeric else type(default)
        same_kind = isinstance(value, bool) == isinstance(default, bool)
        if default is not None and not (isinstance(value, right) and same_kind):
            raise InputError(
                f"sweep {sweep.name}: {name} is {value!r}; the notebook has {default!r}, so give "
                f"{'a number' if numeric else f'a value of type {type(default).__name__}'}"
            )


def _study_of(sweep: Sweep, base: Study, name: str, parameters: dict[str, Any]) -> Study:
    content = base.model_dump(mode="json")
    for key, value in parameters.items():
        if key.startswith("study."):
            *inside, last = key.split(".")[1:]
            place = content
            for step in inside:
                place = place.setdefault(step, {})
            place[last] = value
    try:
        return Study(**(content | {"name": name}))
    except ValidationError as error:
        raise InputError(f"sweep {sweep.name}: {first_problem(error, Study)}") from error


def _slug(parameters: dict[str, Any]) -> str:
    """A run's name from its parameters: short ones spelled out, long ones with a hash."""
    said = "_".join(f"{key.rpartition('.')[2]}-{value}" for key, value in parameters.items())
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", said).strip("-")
    digest = sha256(json.dumps(parameters, sort_keys=True, default=str).encode()).hexdigest()[:6]
    return plain if len(plain) <= 60 and plain == said else f"{plain[:53]}-{digest}"


def _alone(sweep: Sweep, project: Path, base: Study, name: str, told: dict[str, Any]) -> Step:
    """One notebook as a run: in a project folder of its own that sees the study's data."""
    inside = Folders(project, sweep.name).processed / name
    shared = Folders(project, base.name)
    told |= {
        "study": os.path.relpath(sweep.study.resolve(), project / "notebooks"),
        "project": os.path.relpath(inside, project / "notebooks"),
    }
    inputs = (sweep.study, shared.table, shared.raw / JUDGEMENTS)
    return Step(name, str(sweep.notebook), told, inside / f"{sweep.notebook}.ipynb", inputs)


def prepare(sweep: Sweep, project: Path, runs: Sequence[Run]) -> None:
    """Write what the runs need before they start: their study files, or links to the shared data."""
    for run in runs:
        if sweep.notebook is None:
            notebooks.write_study(project, run.name, run.study)
            continue
        base = Study.from_yaml(sweep.study).name
        inside = Folders(project, sweep.name).processed / run.name
        shared, own = Folders(project, base), Folders(inside, base)
        for source, link in (
            (shared.raw, own.raw),
            (shared.table, own.table),
        ):
            link.parent.mkdir(parents=True, exist_ok=True)
            if source.exists() and not link.exists():
                link.symlink_to(source.resolve())


@contextlib.contextmanager
def local(jobs: int | None) -> Iterator[Executor]:
    """Threads of this process, each following one run; the work is in the kernels."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as threads:
        try:
            yield threads
        except BaseException:  # Ctrl-C: what has not begun does not begin
            threads.shutdown(wait=False, cancel_futures=True)
            raise


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An existing Dask cluster.

    Raises
    ------
    InputError
        There is no scheduler at the address, or Dask is not installed.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "--scheduler needs Dask; install it with: pip install 'afanalysis[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"{address}: no Dask scheduler answers there ({error})") from error
    with client:
        yield client.get_executor(pure=False, retries=3)


Report = Callable[[Ended, int, int], None]


def run(
    sweep: Sweep,
    project: Path,
    runs: Sequence[Run],
    executor: Executor,
    *,
    force: bool = False,
    store: str | None = None,
    report: Report = lambda *_: None,
) -> list[Ended]:
    """Run what is not up to date; a run that fails leaves the others alone.

    Parameters
    ----------
    sweep, project, runs
        The sweep, expanded and prepared.
    executor
        Where runs are followed: `local` or `cluster`.
    force
        Run notebooks that are up to date, too.
    store
        A folder's URL (any that fsspec knows) in which the runs' folders live, for workers that do not
        share this machine's disk.
    report
        Called whenever a run ends, with it, how many have ended, and how many there are.

    Returns
    -------
    list of Ended
        One a run, in order. `runs.csv`, `rates.csv` and `gaps.csv` of all runs stand in the sweep's
        processed folder.
    """
    started = time.monotonic()
    parcels = (
        {one.name: RunBundle.of(project, one.name, one.study, one.chain) for one in runs}
        if store is not None
        else {}
    )
    futures = {}
    for one in runs:
        if store is None:
            futures[executor.submit(follow, project, one.chain, force)] = one
        else:
            futures[executor.submit(parcels[one.name].follow, store, force)] = one
    ended: dict[str, Ended] = {}
    rows = _rows_before(sweep, project)
    for future in as_completed(futures):
        one = futures[future]
        try:
            results = future.result()
        except Exception as error:  # a lost worker, a store that is not there
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ended[one.name] = Ended(one, "failed", time.monotonic() - started, "", said)
        else:
            if store is not None:
                parcels[one.name].fetch_tables(project, store)
            ended[one.name] = _ended(project, one, results)
        rows[one.name] = ended[one.name].row()
        _write_table(sweep, project, list(rows.values()))
        report(ended[one.name], len(ended), len(runs))
    return [ended[one.name] for one in runs]


def follow(project: Path, chain: Sequence[Step], force: bool) -> list[Result]:
    """Run one chain of steps; what a thread or a cluster's worker does."""
    return notebooks.run_chain(project, chain, Controls(force=force))


def _ended(project: Path, one: Run, results: list[Result]) -> Ended:
    states = [result.state for result in results]
    seconds = sum(result.seconds for result in results)
    failed = next((result for result in results if result.state == "failed"), None)
    if failed:
        said = (
            failed.message
            if failed.message.startswith(one.name)
            else f"{failed.step.title}: {failed.message}"
        )
        return Ended(one, "failed", seconds, "", said)
    state = "stopped" if "not run" in states else "done" if "done" in states else "up to date"
    return Ended(one, state, seconds, _headline(Folders(project, one.name).processed / "gaps.csv"))


def _headline(path: Path) -> str:
    """The gap of a run's first condition, in words; empty where there is none."""
    if not path.exists():
        return ""
    import pandas as pd

    gaps = pd.read_csv(path)
    chosen = gaps[gaps["variation"] == main_variation(gaps["variation"])]
    row = chosen.sort_values("setting", ascending=False).iloc[0]
    return f"gap {percent(row['gap'])} points {interval(row['low'], row['high'])}, {row['setting']}"


def _table(sweep: Sweep, project: Path) -> Path:
    return Folders(project, sweep.name).processed / "runs.csv"


def _write_table(sweep: Sweep, project: Path, rows: Sequence[dict[str, Any]]) -> None:
    """`runs.csv`, whole or not at all."""
    import csv

    path = _table(sweep, project)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [name for row in rows for name in row if name not in _COLUMNS]
    columns = ["run", *dict.fromkeys(told), *_COLUMNS[1:]]
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)


def _rows_before(sweep: Sweep, project: Path) -> dict[str, dict[str, Any]]:
    """The rows of `runs.csv` as an earlier call left it, by run."""
    import csv

    path = _table(sweep, project)
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["run"]: dict(row) for row in csv.DictReader(file)}


def failed_before(sweep: Sweep, project: Path) -> set[str]:
    """The names of the runs that failed or were stopped when the sweep last ran.

    Raises
    ------
    InputError
        The sweep has not been run.
    """
    before = _rows_before(sweep, project)
    if not before:
        raise InputError(f"{_table(sweep, project)}: is missing; run the sweep first")
    return {name for name, row in before.items() if row["state"] in ("failed", "stopped")}


def finish(sweep: Sweep, project: Path, runs: Sequence[Run]) -> None:
    """Put the tables of all runs together, and draw their gaps beside each other."""
    gaps = combine(sweep, project, runs).get("gaps")
    if gaps is None:
        return
    told = list(dict.fromkeys(key for one in runs for key in one.parameters))
    source = "live" if sweep.live else "simulated"
    figure = figures.gaps_by_run(gaps.assign(source=source), told)
    made = {"sweep": sweep.name, "runs": len(runs)}
    figures.save(figure, Folders(project, sweep.name).figures, "gaps_by_run", made)


def combine(sweep: Sweep, project: Path, runs: Sequence[Run]) -> dict[str, pd.DataFrame]:
    """The rates and gaps of all runs in one table each, with their parameters; also as CSV.

    Returns
    -------
    dict
        `rates` and `gaps`, where any run has them.
    """
    import pandas as pd

    found = {}
    for name in ("rates", "gaps"):
        parts = []
        for one in runs:
            path = Folders(project, one.name).processed / f"{name}.csv"
            if path.exists():
                values = {key: str(value) for key, value in one.parameters.items()}
                parts.append(pd.read_csv(path).assign(run=one.name, **values))
        if parts:
            table = pd.concat(parts, ignore_index=True)
            told = list(dict.fromkeys(key for one in runs for key in one.parameters))
            first = ["run", *told]
            rest = [column for column in table if column not in first]
            table = table.reindex(columns=[*first, *rest])
            found[name] = table.assign(**{key: table[key].astype(object).fillna("") for key in told})
            found[name].to_csv(
                Folders(project, sweep.name).processed / f"{name}.csv", index=False, float_format="%.6g"
            )
    return found
