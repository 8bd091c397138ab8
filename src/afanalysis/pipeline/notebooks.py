"""Run the numbered notebooks, from collection through figures: only those that must, side by side."""

import json
import os
import signal
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afanalysis.errors import UNFINISHED, InputError, NotebookFailed
from afanalysis.pipeline.changes import Record, Step
from afanalysis.pipeline.projects import STEPS, default_study
from afanalysis.study import paper_tables
from afanalysis.study.design import Study
from afanalysis.study.files import cannot_write
from afanalysis.study.folders import JUDGEMENTS, LABEL_SAMPLE, LABELS, MANIFEST, PAPER, ROLLOUTS, Folders
from afanalysis.text.untrusted import escape_invisible


@dataclass(frozen=True)
class Result:
    """How a step ended: `done`, `up to date`, `unfinished` (`left` says why calls have yet to be made),
    `failed` (`error` is why), or `not run` because an earlier one failed.
    """

    step: Step
    state: str
    seconds: float = 0.0
    error: InputError | NotebookFailed | None = None
    left: str = ""


@dataclass(frozen=True)
class Ending:
    """How a study ended that was looked at while it ran.

    Attributes
    ----------
    prompts
        How many prompts of each setting were asked.
    sentences
        How it ended, for people.
    complete
        Whether it ended because of its aim or for lack of prompts, and not because calls failed or the
        budget ran out.
    """

    prompts: int
    sentences: str
    complete: bool


def steps(project: Path, study_file: Path | None = None, **asked: Any) -> list[Step]:
    """The steps of a run: every notebook of a study; without one, the paper's figures and the demo.

    Parameters
    ----------
    project, study_file
        The project's folder, and the study.
    asked
        What `calling` takes; `rules`: judge by rules, without a model; `first`: in a study with
        `order: prompts`, only so many prompts of each setting.

    Raises
    ------
    InputError
        The study file has an error.
    """
    planned = []
    if study_file is None:
        study_file = default_study(project)
        paper = Folders(project, PAPER)
        copy = paper.notebooks / f"{STEPS[-1]}.ipynb"
        outputs = (paper.report, paper.figures / "behaviour_by_tier.svg")
        planned.append(Step(PAPER, STEPS[-1], {"study": PAPER}, copy, paper_tables.paths(), outputs))
    study = Study.from_yaml(study_file)
    if study.imported and asked.get("live"):
        raise InputError(f"{study_file}: imported, so nothing to collect; run it without --live")
    if study.name == PAPER:
        raise InputError(f"{study_file}: name is {PAPER!r}, which stands for the published tables")
    first, rules, both = (
        {name: asked.pop(name) for name in names if name in asked}
        for names in (["first"], ["rules"], ["live", "budget"])
    )
    both |= {"calls": asked} if asked else {}
    parameters = {"01_collect": both | first, "02_judge": both | rules}
    return planned + study_steps(project, study, study_file, parameters)


def study_steps(
    project: Path, study: Study, study_file: Path, parameters: dict[str, dict[str, Any]]
) -> list[Step]:
    """Every notebook of a study; of an imported one, those that analyse.

    Parameters
    ----------
    project
        The project's folder.
    study, study_file
        The study, and the file it was read from.
    parameters
        By notebook, what papermill sets besides the study.
    """
    folders = Folders(project, study.name)
    raw, processed = folders.raw, folders.processed
    rollouts, judgements, manifest = raw / ROLLOUTS, raw / JUDGEMENTS, raw / MANIFEST
    labels = [raw / LABELS, raw / LABEL_SAMPLE]
    published = paper_tables.paths()
    drawn = (folders.report, folders.figures / "behaviour_by_tier.svg")
    study_parameter = {"study": os.path.relpath(study_file.resolve(), project / "notebooks")}

    def step(name: str, inputs: Iterable[Path], *outputs: Path) -> Step:
        settings = parameters.get(name, {}) | study_parameter
        copy = folders.notebooks / f"{name}.ipynb"
        return Step(study.name, name, settings, copy, (study_file, *study.files, *inputs), outputs)

    tables = (folders.table, processed / "rates.csv", processed / "gaps.csv")
    chain = [
        step(STEPS[0], [], rollouts),
        step(STEPS[1], [rollouts, manifest, *labels], judgements),
        step(STEPS[2], [rollouts, judgements, manifest, *labels, *published], *tables),
        step(STEPS[3], [folders.table, *published], processed / "beside_paper.csv"),
        step(STEPS[4], [folders.table, judgements, manifest, *labels, *published], *drawn),
    ]
    return chain[2:] if study.imported else chain


def check_writable(project: Path, planned: Iterable[Step]) -> None:
    """Raise `InputError` if a folder that steps write to cannot be written."""
    folders = {project / "data" / "raw", project / "figures", *(step.output.parent for step in planned)}
    for folder in sorted(folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise cannot_write(folder, error) from error


def plan(project: Path, planned: Iterable[Step]) -> list[tuple[Step, list[str]]]:
    """Why each step would run; an empty list where it is up to date."""
    reasons = []
    first: dict[str, str] = {}
    for step in planned:
        why = Record(project, step.study).why(step)
        if why:
            first.setdefault(step.study, step.notebook)
        elif step.study in first:
            why = [f"{first[step.study]} runs before it"]
        reasons.append((step, why))
    return reasons


def run(
    project: Path,
    planned: Sequence[Step],
    *,
    force: bool = False,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run the steps that are not up to date, each after those whose files it reads; one per processor.

    A notebook that fails keeps its executed copy, with the error; steps that need its files do not run.

    Parameters
    ----------
    project
        The project's folder; notebooks run in its `notebooks/`.
    planned
        The steps, those of a study in order.
    force
        Also run what is up to date.
    on_result
        Called after each step.

    Returns
    -------
    list of Result
        One per step, in the order of `planned`.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C. Running notebooks are interrupted; what they have done is kept.
    """
    import papermill  # noqa: F401  (before threads would import it at the same time)

    recording = threading.Lock()
    stopping = threading.Event()

    def run_if_needed(step: Step, writers: Sequence[Future[Result]]) -> Result:
        ready = all(future.result().state not in ("failed", "not run") for future in writers)
        record = Record(project, step.study)
        if stopping.is_set() or not ready:
            result = Result(step, "not run")
        elif not force and not record.why(step):
            result = Result(step, "up to date")
        else:
            result = _run_step(project, step)
            if result.state == "done" and not stopping.is_set():
                with recording:
                    record.done(step)
        on_result(result)
        return result

    futures: list[Future[Result]] = []
    # a step waits for earlier ones only, which have begun
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for step in planned:
            writers = [
                future
                for earlier, future in zip(planned, futures, strict=False)
                if earlier.study == step.study and set(earlier.outputs) & set(step.inputs)
            ]
            futures.append(threads.submit(run_if_needed, step, writers))
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stopping.set()
            interrupt_all()
            raise


def _run_step(project: Path, step: Step) -> Result:
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel

    started = time.monotonic()
    failure: InputError | NotebookFailed | None = None
    left = ""
    try:
        left = execute(project, step)
    except InputError as error:
        failure = error
    except NoSuchKernel as error:
        advice = "install one with `python -m ipykernel install --sys-prefix`"
        failure = InputError(f"{step.notebook}: no Jupyter kernel is named {error.name!r}; {advice}")
    except papermill.PapermillExecutionError as error:
        place, copy = f"cell {error.exec_count}", step.output.relative_to(project)
        failure = NotebookFailed(f"{step.title}: {error.ename} in {place}: {error.evalue} (see {copy})")
        if error.ename == InputError.__name__:
            failure = InputError(error.evalue)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    state = "failed" if failure else "unfinished" if left else "done"
    return Result(step, state, time.monotonic() - started, failure, left)


def execute(project: Path, step: Step) -> str:
    """Run one notebook with papermill, and return which calls have yet to be made.

    Raises
    ------
    InputError
        The notebook has no cell tagged `parameters`: papermill would set the parameters before its
        defaults, which would overwrite them.
    """
    import papermill.iorw

    # papermill would set the folder of this whole process around each file, also for other threads
    papermill.iorw.papermill_io.get_handler("local").cwd = lambda _: None
    source = project / "notebooks" / f"{step.notebook}.ipynb"
    if parameters_cell(source) is None:
        problem = "has no cell tagged 'parameters', so none can be set"
        advice = "tag the cell that has their defaults (in JupyterLab: property inspector, cell tags)"
        raise InputError(f"{source}: {problem}; {advice}")
    step.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="afanalysis-") as sockets:
        executed = papermill.execute_notebook(
            str(source),
            str(step.output),
            parameters=step.parameters,
            progress_bar=False,
            stderr_file=_LastLine(step.title),
            kernel_name="python3",
            kernel_manager_class=_kernel_manager(sockets),
            # papermill's own `cwd` would change the folder of this whole process
            resources={"metadata": {"path": str(source.parent)}},
        )
    outputs = (output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", ()))
    return "; ".join(data[UNFINISHED] for data in outputs if UNFINISHED in data)


def parameters_cell(notebook: Path) -> str | None:
    """The source of a notebook's cell tagged `parameters`; None if it has none."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    return next(("".join(cell["source"]) for cell in tagged), None)


_running: weakref.WeakSet[Any] = weakref.WeakSet()


def _kernel_manager(sockets: str) -> type:
    """A kernel manager with private sockets, registered so that `interrupt_all` finds its kernel."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            private = {"transport": "ipc", "ip": f"{sockets}/kernel"} if os.name != "nt" else {}
            super().__init__(**settings, **private)
            _running.add(self)

    return Manager


def interrupt_all() -> None:
    """Interrupt all running kernels: their cells end with a KeyboardInterrupt."""
    for manager in list(_running):
        process = getattr(manager.provisioner, "process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)


class _LastLine:
    """Shows the last line that a cell prints, such as a progress bar, on a terminal."""

    def __init__(self, title: str) -> None:
        self._title = title

    def write(self, text: str) -> None:
        last = text.replace("\r", "\n").strip().rpartition("\n")[2]
        if last and sys.stderr.isatty():
            print(f"\r  {self._title}  {escape_invisible(last[:90])}\x1b[K", end="", file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def raise_first_failure(results: Iterable[Result]) -> None:
    """Raise the error of the first step that failed.

    Raises
    ------
    InputError, NotebookFailed
        A step failed, because of its input or otherwise.
    """
    for result in results:
        if result.error:
            raise result.error
