"""A study's folders kept at a URL: fetched before a run, sent back after each notebook."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.changes import Step
from afanalysis.pipeline.notebooks import Result
from afanalysis.study.design import Study
from afanalysis.study.files import read_text, write_text
from afanalysis.study.folders import STUDY_FILE, Folders


def write_study(project: Path, name: str, text: str) -> Path:
    """Write the file of a generated study, unless it already has this content."""
    file = Folders(project, name).processed / STUDY_FILE
    if not file.exists() or read_text(file) != text:
        write_text(file, text)
    return file


class Store:
    """Folders below a URL, kept in step with those of a local project.

    Parameters
    ----------
    url
        Any that fsspec knows: `s3://bucket/prefix`, `gs://…`, `file:///…`, `memory://…`.

    Raises
    ------
    InputError
        fsspec does not know this kind of URL, or the library for it is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs

            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(f"{url}: cannot be used as a store ({error})") from error
        self._root = root.rstrip("/")
        self._stored: dict[Path, tuple[int, int]] = {}  # size and time of files as the store has them

    def fetch(self, project: Path, folder: Path, suffix: str = "") -> None:
        """Copy a folder's files (those that end with `suffix`) from the store into the project."""
        start = f"{self._root}/{folder.as_posix()}"
        self._files.invalidate_cache()
        if not self._files.exists(start):
            return
        for path in self._files.find(start):
            if path.endswith(suffix):
                local = project / folder / path.rpartition(f"{start}/")[2]
                local.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(path, str(local))
                self._stored[local] = _size_and_time(local)

    def send(self, project: Path, folder: Path) -> None:
        """Copy a folder's new and changed files into the store."""
        for local in sorted((project / folder).rglob("*")):
            if not local.is_file() or local.suffix in (".lock", ".part"):
                continue
            if self._stored.get(local) != _size_and_time(local):
                path = f"{self._root}/{local.relative_to(project).as_posix()}"
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(local), path)
                self._stored[local] = _size_and_time(local)


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class RunBundle:
    """A run with everything that a worker needs which shares only the store with this machine."""

    name: str
    study: str
    notebooks: dict[str, str]
    parameters: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, project: Path, name: str, study: str, chain: Sequence[Step]) -> RunBundle:
        """Bundle a run of the whole pipeline: its name, the content of its study file, its steps."""
        contents, parameters = {}, {}
        for step in chain:
            source = project / "notebooks" / f"{step.notebook}.ipynb"
            contents[step.notebook] = _without_outputs(source)
            parameters[step.notebook] = {k: v for k, v in step.parameters.items() if k != "study"}
        return cls(name, study, contents, parameters)

    def follow(self, url: str, force: bool) -> list[Result]:
        """Run it in a temporary project; after each notebook the store has what was done."""
        store = Store(url)
        inside = Folders("", self.name)
        folders = (inside.raw, inside.processed, inside.figures)
        with tempfile.TemporaryDirectory(prefix="afanalysis-") as temporary:
            project = Path(temporary).resolve()
            (project / "notebooks").mkdir()
            for name, text in self.notebooks.items():
                (project / "notebooks" / f"{name}.ipynb").write_text(text, encoding="utf-8")
            for folder in folders:
                store.fetch(project, folder)

            def send(_: Result) -> None:
                for folder in folders:
                    store.send(project, folder)

            file = write_study(project, self.name, self.study)
            chain = notebooks.study_steps(project, Study.from_yaml(file), file, self.parameters)
            results = notebooks.run(project, chain, force=force, on_result=send)
            send(results[-1])  # with the record of what was done
            return results


def _without_outputs(notebook: Path) -> str:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(content)
