"""Run the numbered notebooks, from collection through figures."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afanalysis.calls import Endpoint
from afanalysis.errors import InputError
from afanalysis.folders import PAPER, Folders
from afanalysis.study import Study

SIMULATED_LABELLERS = ("simulated-ann", "simulated-ben")
STEPS = ("01_collect", "02_judge", "03_rates", "04_robustness", "05_figures")


@contextlib.asynccontextmanager
async def connect(
    study: Study, *, live: bool = False, base_url: str | None = None
) -> AsyncIterator[Endpoint]:
    """The endpoint that a study is put to, for as long as the block lasts.

    Parameters
    ----------
    study
        Its seed and simulation set up the stand-in.
    live
        False: a stand-in started for the purpose; no key, no cost, simulated answers. True: the API,
        with the key in the environment variable ANTHROPIC_API_KEY.
    base_url
        Another server that speaks the Messages API; only with `live`.

    Raises
    ------
    InputError
        A live run without a key.
    """
    import anthropic

    from afanalysis.standin.server import running

    if not live:
        with running(study.seed, study.simulation) as address:
            async with anthropic.AsyncAnthropic(base_url=address, api_key="stand-in") as client:
                yield Endpoint(client, "simulated")
        return
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise InputError(
            "the environment variable ANTHROPIC_API_KEY is not set; a live run needs a key (without "
            "--live the run is simulated and needs none)"
        )
    async with anthropic.AsyncAnthropic(base_url=base_url) as client:
        yield Endpoint(client, "live")


def simulate_labels(study: Study, folder: Path) -> int:
    """Label a drawn sample as two simulated people would, where a study is simulated itself.

    Returns
    -------
    int
        The labels written; what is labelled already is passed over.

    Raises
    ------
    InputError
        The rollouts are no simulated ones: labels of real answers must come from people.
    """
    from afanalysis import labels
    from afanalysis.collection import ROLLOUTS
    from afanalysis.journal import read_records
    from afanalysis.standin.answers import SimulatedLabeller

    drawn = labels.read_sample(folder)
    there = {(one.rollout, one.labeller) for one in labels.read_labels(folder)}
    people = [SimulatedLabeller(name, study.seed) for name in SIMULATED_LABELLERS]
    made = []
    for record in read_records(folder / ROLLOUTS):
        key = record["key"]
        if record["source"] != "simulated":
            raise InputError(f"{folder}: holds {record['source']} rollouts; people must label those")
        made += [
            labels.Label(key, person.name, *person.label(key, record["scratchpad"], record["output"]))
            for person in people
            if key in drawn and (key, person.name) not in there
        ]
    return labels.add_labels(folder, made)


@dataclass(frozen=True)
class Step:
    """One notebook to run: its name, its parameters, and where its executed copy goes."""

    notebook: str
    parameters: dict[str, Any]
    output: Path

    @property
    def title(self) -> str:
        """How the step is called in progress lines."""
        return f"{self.output.parent.parent.name}: {self.notebook}"


def find_project(start: str | Path = ".") -> Path:
    """The project that a folder lies in: the nearest one upwards that holds the numbered notebooks.

    Raises
    ------
    InputError
        There is none.
    """
    here = Path(start).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks" / f"{STEPS[0]}.ipynb").exists():
            return folder
    raise InputError(
        f"{here}: neither this folder nor one above it holds notebooks/{STEPS[0]}.ipynb; run "
        "afanalysis inside a checkout of the project"
    )


def steps(
    project: Path,
    study_file: Path | None = None,
    *,
    live: bool = False,
    budget: float | None = None,
) -> list[Step]:
    """What a run consists of: the paper's figures, and every notebook of a study.

    Raises
    ------
    InputError
        The study file is not as it must be, or an output folder cannot be written.
    """
    found = []
    if study_file is None:
        study_file = project / "studies" / "demo.yaml"
        found.append(_step(project, PAPER, "05_figures", {"study": PAPER}))
    study = Study.from_yaml(study_file)
    if study.name == PAPER:
        raise InputError(f"{study_file}: name is {PAPER!r}, which stands for the published tables")
    notebooks = project / "notebooks"
    told = {"study": os.path.relpath(study_file.resolve(), notebooks)}
    asking = {"live": True, "budget": budget} if live else {}
    found += [
        _step(project, study.name, name, told | (asking if at < 2 else {}))
        for at, name in enumerate(STEPS)
    ]
    for folder in (project / "data" / "raw", *{step.output.parent for step in found}):
        _refuse_unwritable(folder)
    _refuse_unwritable(project / "figures")
    return found


def _step(project: Path, study: str, notebook: str, parameters: dict[str, Any]) -> Step:
    output = Folders(project, study).processed / "notebooks" / f"{notebook}.ipynb"
    return Step(notebook, parameters, output)


def _refuse_unwritable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); make it writable or run in another "
            "checkout"
        ) from error


def run(
    project: Path, todo: list[Step], report: Callable[[Step, float], None] = lambda *_: None
) -> None:
    """Run the steps, each in a fresh kernel: those of a study in order, studies beside each other.

    Parameters
    ----------
    project
        The project's folder; notebooks run in its `notebooks/`.
    todo
        The steps.
    report
        Called after each step with the seconds it took.

    Raises
    ------
    InputError
        A notebook met an input that is not as it must be, or there is no kernel to run it.
    """
    from concurrent.futures import ThreadPoolExecutor

    chains: dict[Path, list[Step]] = {}
    for step in todo:
        chains.setdefault(step.output.parent, []).append(step)

    def follow(chain: list[Step]) -> None:
        for step in chain:
            started = time.monotonic()
            with _kernel_errors(step):
                _execute(project, step)
            report(step, time.monotonic() - started)

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # the work itself is in the kernels
        for done in [threads.submit(follow, chain) for chain in chains.values()]:
            done.result()


def _execute(project: Path, step: Step) -> None:
    import papermill

    with tempfile.TemporaryDirectory(prefix="afanalysis-") as sockets:
        papermill.execute_notebook(
            str(project / "notebooks" / f"{step.notebook}.ipynb"),
            str(step.output),
            parameters=step.parameters,
            cwd=str(project / "notebooks"),
            progress_bar=False,
            kernel_name="python3",
            kernel_manager_class=_kernel_manager(sockets),
        )


def _kernel_manager(sockets: str) -> type:
    """A kernel manager whose kernel talks over sockets in a private folder, where there are such."""
    from jupyter_client.manager import AsyncKernelManager

    if os.name == "nt":
        return AsyncKernelManager

    class LocalKernelManager(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            super().__init__(transport="ipc", ip=f"{sockets}/kernel", **settings)

    return LocalKernelManager


@contextlib.contextmanager
def _kernel_errors(step: Step) -> Iterator[None]:
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.exceptions import PapermillExecutionError

    try:
        yield
    except NoSuchKernel as error:
        raise InputError(
            f"{step.notebook}: there is no Jupyter kernel named {error.name!r}; install one with "
            "`python -m ipykernel install --sys-prefix`"
        ) from error
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(str(error.evalue)) from error
        raise
