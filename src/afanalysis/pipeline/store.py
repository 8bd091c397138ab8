"""A study's folders kept at a URL: fetched before a run, sent back after each notebook."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass
from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.notebooks import Result, Step
from afanalysis.study.design import Study
from afanalysis.study.folders import Folders


class Store:
    """Folders below a URL, in step with a local project.

    Parameters
    ----------
    url
        Any that fsspec knows: `s3://bucket/prefix`, `gs://…`, `file:///…`, `memory://…`.

    Raises
    ------
    InputError
        fsspec does not know the URL's kind, or the library for it is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"{url}: cannot be used as a store ({error})") from error
        self._sent: dict[Path, tuple[int, int]] = {}

    def fetch(self, project: Path, folder: str, suffix: str = "") -> None:
        """Copy a folder's files (those that end with `suffix`) from the store into the project."""
        start = f"{self._root.rstrip('/')}/{folder}"
        self._files.invalidate_cache()
        if not self._files.exists(start):
            return
        for path in self._files.find(start):
            if path.endswith(suffix):
                local = project / folder / path.rpartition(f"{start}/")[2]
                local.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(path, str(local))
                self._sent[local] = _mark(local)

    def send(self, project: Path, folder: str) -> None:
        """Copy those of a folder's files that are new or changed into the store."""
        for local in sorted((project / folder).rglob("*")):
            if (
                local.is_file()
                and not local.name.endswith(".lock")
                and self._sent.get(local) != _mark(local)
            ):
                path = f"{self._root.rstrip('/')}/{local.relative_to(project).as_posix()}"
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(local), path)
                self._sent[local] = _mark(local)


def _mark(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class RunBundle:
    """A run with all that a worker needs which shares nothing with this machine but the store."""

    name: str
    study: str
    notebooks: dict[str, str]
    parameters: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, project: Path, name: str, study: str, chain: Sequence[Step]) -> RunBundle:
        """Pack a run of the whole pipeline: its name, its study as a file's content, its steps."""
        sources = {step.notebook: project / "notebooks" / f"{step.notebook}.ipynb" for step in chain}
        parameters = {
            step.notebook: {key: value for key, value in step.parameters.items() if key != "study"}
            for step in chain
        }
        return cls(name, study, {key: _bare(path) for key, path in sources.items()}, parameters)

    def _folders(self) -> list[str]:
        here = Folders("", self.name)
        return [folder.as_posix() for folder in (here.raw, here.processed, here.figures)]

    def follow(self, url: str, force: bool) -> list[Result]:
        """Run it in a folder of its own; the store holds what is done after each notebook."""
        store = Store(url)
        with tempfile.TemporaryDirectory(prefix="afanalysis-") as folder:
            project = Path(folder).resolve()
            (project / "notebooks").mkdir()
            for name, text in self.notebooks.items():
                (project / "notebooks" / f"{name}.ipynb").write_text(text, encoding="utf-8")
            for inside in self._folders():
                store.fetch(project, inside)
            file = notebooks.write_study(project, self.name, self.study)

            def keep(_: Result) -> None:
                for inside in self._folders():
                    store.send(project, inside)

            chain = notebooks.study_steps(project, Study.from_yaml(file), file, self.parameters)
            results = notebooks.run_chain(
                project, chain, notebooks.Controls(force=force, on_result=keep)
            )
            keep(results[-1])  # the record of what is done, too
            return results

    def fetch_tables(self, project: Path, url: str) -> None:
        """Copy the run's tables from the store into a project on this machine."""
        Store(url).fetch(project, Folders("", self.name).processed.as_posix(), suffix=".csv")


def _bare(notebook: Path) -> str:
    """A notebook without its outputs."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(content)
