"""What is up to date and what must run again, by content: doit decides, on what a notebook depends on.

A notebook runs again if its parameters, the content of its inputs, its own cells, the versions of the
libraries, or the code of this package that it reaches has changed, or if one of its outputs is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import afanalysis

_PACKAGE = Path(afanalysis.__file__).parent
_LIBRARIES = ("anthropic", "duckdb", "matplotlib", "numpy", "pandas", "scipy", "statsmodels")


@dataclass(frozen=True)
class Work:
    """Something that is done with a notebook.

    Attributes
    ----------
    name
        What it is called in the state file.
    notebook
        The notebook's file.
    parameters
        What papermill sets in it.
    inputs, outputs
        Files that it reads and writes. Inputs that are not there do not count until they are.
    """

    name: str
    notebook: Path
    parameters: dict[str, Any]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]


class State:
    """The record of what was done, in a file of the study.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    root
        The project. Files are known by their place in it, so that it may be moved or copied.
    """

    def __init__(self, path: Path, root: Path) -> None:
        from doit.dependency import Dependency, JsonDB

        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not _is_json(path):
            path.unlink()  # a torn file: everything is done again, nothing is wrong
        self._root = root.resolve()
        self._known = Dependency(JsonDB, str(path), checker_cls=partial(_checker(), self._root))

    def why(self, work: Work) -> list[str]:
        """Why something must be done (again), in words; empty if it is up to date."""
        task = self._task(work)
        if not self._known._in(task.name):
            return ["it has not been run here"]
        status = self._known.get_status(task, {task.name: task}, get_log=True)
        if status.status == "up-to-date":
            return []
        return _in_words(status.reasons, work)

    def done(self, work: Work) -> None:
        """Write down that something was done, with everything as it is now."""
        task = self._task(work)
        task.save_extra_values()
        self._known.save_success(task)
        self._known.backend.dump()

    def _task(self, work: Work) -> Any:
        from doit.task import Task

        config: dict[str, Any] = {
            "parameters": work.parameters,
            "cells": _cells(work.notebook, work.notebook.stat().st_mtime_ns),
            "code": _code(work.notebook, work.notebook.stat().st_mtime_ns),
            "versions": _versions(),
        }
        return Task(
            work.name,
            actions=None,
            file_dep=[self._place(path) for path in work.inputs if path.exists()],
            targets=[self._place(path) for path in work.outputs],
            uptodate=[_Unchanged(part, _digest(value)) for part, value in config.items()],
        )

    def _place(self, path: Path) -> str:
        path = path.resolve()
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)


@dataclass(frozen=True)
class _Unchanged:
    """Tells doit whether a part of the configuration is as it was."""

    part: str
    digest: str

    def configure_task(self, task: Any) -> None:
        task.value_savers.append(lambda: {self.part: self.digest})

    def __call__(self, task: Any, values: dict[str, str]) -> bool:
        return values.get(self.part) == self.digest


@cache
def _checker() -> type:
    """Doit's check by content, of files that are named by their place in a project."""
    from doit.dependency import MD5Checker

    class InProject(MD5Checker):
        def __init__(self, root: Path) -> None:
            self._root = root

        def exists(self, path: str) -> bool:
            return (self._root / path).exists()

        def info(self, path: str) -> Any:
            return super().info(str(self._root / path))

        def check_modified(self, path: str, status: Any, state: Any) -> bool:
            return bool(super().check_modified(str(self._root / path), status, state))

        def get_state(self, path: str, state: Any) -> Any:
            return super().get_state(str(self._root / path), state)

    return InProject


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _cells(notebook: Path, changed: int) -> list[str]:
    """The notebook's code as it was at a time of change; its texts and outputs do not count."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@cache
def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "none"
    return found


@cache
def _code(notebook: Path, changed: int) -> dict[str, str]:
    """The package's modules that a notebook reaches, each with a hash of its content."""
    return {name: _module_hash(name) for name in reached_by("\n".join(_cells(notebook, changed)))}


def reached_by(source: str) -> list[str]:
    """The modules of this package that some code reaches, by what it and they import.

    Names of `afanalysis` itself (`af.collect`) reach the module that they live in.

    Examples
    --------
    >>> reached_by("from afanalysis.wording import percent")
    ['wording']
    """
    found: set[str] = set()
    used = {name for name in afanalysis.__all__ if re.search(rf"\baf\.{name}\b", source)}
    todo = [afanalysis.home_of(name) for name in used]
    todo += _imported(source)
    while todo:
        name = todo.pop()
        if name not in found and _file(name).exists():
            found.add(name)
            todo += _imports_of(name)
    return sorted(found)


_IMPORT = re.compile(
    r"^[ \t]*(?:from[ ]+afanalysis([\w.]*)[ ]+import[ ]+(\([^)]*\)|[^\n]+)"
    r"|import[ ]+afanalysis\.([\w.]+))",
    re.M,
)


@cache
def _imports_of(name: str) -> list[str]:
    return _imported(_file(name).read_text(encoding="utf-8"))


def _imported(source: str) -> list[str]:
    """The modules of this package that some code imports, wherever in it."""
    found = []
    for base, names, whole in _IMPORT.findall(source):
        base = (base or whole).removeprefix(".")
        inside = [f"{base}.{word}".removeprefix(".") for word in re.findall(r"\w+", names)]
        found += [base, *(name for name in inside if _file(name).exists())]
    return found


def _file(name: str) -> Path:
    """Where a module's code is; a path that does not exist, if there is none."""
    if not name:
        return _PACKAGE / "no module"
    folder = _PACKAGE.joinpath(*name.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


@cache
def _module_hash(name: str) -> str:
    digest = hashlib.sha256()
    path = _file(name)
    digest.update(path.read_bytes())
    if path.name == "__init__.py":  # package data beside it: prompts, templates, rates
        for other in sorted(path.parent.iterdir()):
            if other.is_file() and other.suffix != ".py":
                digest.update(other.read_bytes())
    return digest.hexdigest()


def _in_words(reasons: dict[str, Any], work: Work) -> list[str]:
    said = []
    new = set(_paths(reasons.get("added_file_dep", [])))
    for kind, what in reasons.items():
        if kind == "uptodate_false":
            parts = {changed[0].part for changed in what}
            words = {
                "parameters": "its parameters changed",
                "cells": "its cells changed",
                "code": "the package's code that it reaches changed",
                "versions": "a library's version changed",
            }
            said += [words[part] for part in words if part in parts]
        elif kind == "missing_target":
            said += [f"{Path(path).name} is missing" for path in what]
        elif kind in ("changed_file_dep", "added_file_dep", "removed_file_dep"):
            verb = {
                "changed_file_dep": "changed",
                "added_file_dep": "is new",
                "removed_file_dep": "is gone",
            }
            known = [path for path in _paths(what) if kind == "added_file_dep" or path not in new]
            said += [f"{Path(path).name} {verb[kind]}" for path in known]
    return list(dict.fromkeys(said)) or [f"{work.name} is not up to date"]


def _paths(what: Any) -> Sequence[str]:
    return [what] if isinstance(what, str) else sorted(what)
