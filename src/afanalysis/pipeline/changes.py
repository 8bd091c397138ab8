"""Which notebooks are up to date, by content.

A notebook must run again if its parameters, its cells, its inputs, the versions of the libraries or the
code of this package that it reaches has changed, or if one of its outputs is missing. Comments,
docstrings and times of change do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afanalysis.study.files import write_json
from afanalysis.study.folders import Folders
from afanalysis.study.hashing import file_hash, text_hash

PACKAGE = "afanalysis"
_ROOT = Path(__file__).resolve().parents[1]
_LIBRARIES = ("anthropic", "duckdb", "matplotlib", "numpy", "pandas", "scipy", "seaborn", "statsmodels")
_REASONS = {
    "parameters": "its parameters changed",
    "cells": "its cells changed",
    "code": "the package's code that it reaches changed",
    "libraries": "a library's version changed",
}


@dataclass(frozen=True)
class Step:
    """One notebook of a study.

    Attributes
    ----------
    study, notebook
        The names of the study, and of the notebook without its suffix.
    parameters
        What papermill sets in the notebook.
    output
        The executed copy.
    inputs, outputs
        Files that it reads and writes. An input that does not exist counts once it does.
    """

    study: str
    notebook: str
    parameters: dict[str, Any]
    output: Path
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """The step's name in progress lines."""
        return f"{self.study}: {self.notebook}"


class Record:
    """The steps of a study that were done, in a file of the study.

    Parameters
    ----------
    project
        The project. Files are recorded relative to it, so that it can be moved or copied.
    study
        The study's name.
    """

    def __init__(self, project: Path, study: str) -> None:
        self._path, self._project = Folders(project, study).record, project.resolve()

    def why(self, step: Step) -> list[str]:
        """Why a step must be done (again), in words; empty if it is up to date."""
        before = self._read().get(step.notebook)
        if before is None:
            return ["it has not been run here"]
        now = self._state(step, before)
        reasons = [reason for part, reason in _REASONS.items() if now[part] != before.get(part)]
        old, new = before["inputs"], now["inputs"]
        for path in sorted(old.keys() | new.keys()):
            change = "is gone" if path not in new else "is new" if path not in old else "changed"
            if old.get(path) != new.get(path):
                reasons.append(f"{Path(path).name} {change}")
        written = (step.output, *step.outputs)
        return reasons + [f"{path.name} is missing" for path in written if not path.exists()]

    def done(self, step: Step) -> None:
        """Record that a step was done, with everything as it is now."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, self._read() | {step.notebook: self._state(step, {})})

    def _read(self) -> dict[str, Any]:
        """The record; an entry that cannot be read counts as a step that was never done."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: entry for name, entry in content.items() if "inputs" in entry}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _state(self, step: Step, before: dict[str, Any]) -> dict[str, Any]:
        cells = code_cells(self._project / "notebooks" / f"{step.notebook}.ipynb")
        state: dict[str, Any] = {
            "parameters": _hash(step.parameters),
            "cells": _hash([_without_comments(cell) for cell in cells]),
            "libraries": _hash(_versions()),
            "package": _package_hash(),
            "inputs": {self._place(path): file_hash(path) for path in step.inputs if path.exists()},
        }
        # the same cells reach the same code of the same package, which then need not be parsed again
        if all(state[part] == before.get(part) for part in ("cells", "package")):
            return state | {"code": before.get("code")}
        files = reached_files("\n".join(cells))
        return state | {"code": _hash({file: content_hash(_ROOT / file) for file in files})}

    def _place(self, path: Path) -> str:
        path = path.resolve()
        inside = path.is_relative_to(self._project)
        return path.relative_to(self._project).as_posix() if inside else str(path)


def code_cells(notebook: Path) -> list[str]:
    """The source of a notebook's code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _hash(content: Any) -> str:
    return text_hash(json.dumps(content, sort_keys=True, default=str))


@cache
def _versions() -> dict[str, str]:
    return {library: version(library) for library in _LIBRARIES}


@cache
def _package_hash() -> str:
    """The hash of every file of the package, comments included."""
    files = [path for path in _ROOT.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return _hash({path.relative_to(_ROOT).as_posix(): file_hash(path) for path in files})


def _without_comments(source: str) -> str:
    """Code as its syntax tree, without comments, docstrings and layout; other text unchanged."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return source
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (
            body and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = body[1:]
    return ast.dump(tree)


@cache
def content_hash(path: Path) -> str:
    """The hash of a file of the package: of its syntax tree for code, of its bytes for data."""
    if path.suffix != ".py":
        return file_hash(path)
    return hashlib.sha256(_without_comments(path.read_text(encoding="utf-8")).encode()).hexdigest()


def reached_files(source: str) -> list[str]:
    """The files of this package that some code reaches: modules by imports, and the data they read.

    A public name (`af.collect`) reaches the module that the package's stub imports it from.

    Examples
    --------
    >>> reached_files("from afanalysis.text.wording import percent")
    ['__init__.py', 'text/__init__.py', 'text/wording.py']
    """
    modules: set[str] = set()
    todo = list(_imported(ast.parse(source)))
    while todo:
        module = todo.pop()
        if module not in modules:
            modules.add(module)
            parent = module.rpartition(".")[0]
            todo += [*_imports_of(module), *([parent] if parent else [])]
    files = {_file(module) for module in modules}
    data = {path for file in files for path in _data_read_by().get(file, ())}
    return sorted(path.relative_to(_ROOT).as_posix() for path in files | data)


@cache
def _imports_of(module: str) -> list[str]:
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    return list(_imported(tree))


def _imported(tree: ast.Module) -> Iterator[str]:
    """The modules of this package that some code imports, or reaches through a package's stub."""
    packages: dict[str, str] = {}  # the package that a name of the code is bound to
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield alias.name
                    packages[alias.asname or alias.name.split(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            yield str(node.module)
            for alias in node.names:
                target = _resolve(str(node.module), alias.name)
                yield target
                if _stub(target):
                    packages[alias.asname or alias.name] = target
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            package = _package_in(node.value, packages)
            if package:
                yield _resolve(package, node.attr)


def _package_in(node: ast.expr, packages: dict[str, str]) -> str:
    """The package with a stub that an expression refers to; empty if there is none."""
    if isinstance(node, ast.Name):
        return packages.get(node.id, "")
    if isinstance(node, ast.Attribute) and (outer := _package_in(node.value, packages)):
        inner = _resolve(outer, node.attr)
        return inner if _stub(inner) else ""
    return ""


def _resolve(module: str, name: str) -> str:
    """The module that a name imported from a module or package lives in."""
    if _file(f"{module}.{name}").exists():
        return f"{module}.{name}"
    return _stub(module).get(name, module)


@cache
def _stub(module: str) -> dict[str, str]:
    """By public name of a package the module that its stub imports it from; empty without a stub."""
    path = _file(module).with_suffix(".pyi")
    if not path.exists():
        return {}
    modules = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            inside = f"{module}.{node.module}" if node.module else module
            for alias in node.names:
                submodule = f"{inside}.{alias.name}"
                modules[alias.name] = submodule if _file(submodule).exists() else inside
    return modules


def _file(module: str) -> Path:
    """Where a module's code is, or would be."""
    folder = _ROOT.joinpath(*module.split(".")[1:])
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


@cache
def _data_read_by() -> dict[Path, set[Path]]:
    """By module's file the data files that it reads: those it names, and those of its folder that no
    module names.
    """
    sources = {path: path.read_text(encoding="utf-8") for path in _ROOT.rglob("*.py")}
    data = [
        path
        for path in _ROOT.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyi", ".pyc", ".typed")
        and path.parent.name != "published_tables"  # inputs of the notebooks, by name
    ]
    read_by = defaultdict(set)
    for path in data:
        naming = [module for module, source in sources.items() if f'"{path.name}"' in source]
        for module in naming or [module for module in sources if module.parent == path.parent]:
            read_by[module].add(path)
    return read_by
