"""A study's folders kept at a URL: fetched before a run, sent back after each notebook."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from afanalysis.errors import InputError
from afanalysis.pipeline import notebooks
from afanalysis.pipeline.notebooks import Result
from afanalysis.study.design import Study
from afanalysis.study.files import write_text
from afanalysis.study.folders import Folders


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
            before = _size_and_time(local)
            if self._stored.get(local) != before:
                path = f"{self._root}/{local.relative_to(project).as_posix()}"
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(local), path)
                self._stored[local] = before


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def run_from_store(
    url: str,
    name: str,
    study: str,
    sources: dict[str, str],
    parameters: dict[str, dict[str, Any]],
    force: bool,
) -> list[Result]:
    """Run a study in a temporary project; after each notebook the store has what was done.

    Parameters
    ----------
    url
        The store's.
    name, study
        The study's name, and the content of its file.
    sources, parameters
        By notebook its content and what papermill sets.
    force
        Also run notebooks that are up to date.
    """
    store = Store(url)
    inside = Folders("", name)
    folders = (inside.raw, inside.processed, inside.figures)
    with tempfile.TemporaryDirectory(prefix="afanalysis-") as temporary:
        project = Path(temporary).resolve()
        for notebook, text in sources.items():
            write_text(project / "notebooks" / f"{notebook}.ipynb", text)
        for folder in folders:
            store.fetch(project, folder)

        def send(_: Result) -> None:
            for folder in folders:
                store.send(project, folder)

        file = write_text(Folders(project, name).study_file, study)
        chain = notebooks.study_steps(project, Study.from_yaml(file), file, parameters)
        return notebooks.run(project, chain, force=force, on_result=send)


def without_outputs(notebook: Path) -> str:
    """The content of a notebook without its outputs."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(content)
