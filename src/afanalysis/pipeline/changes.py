"""Which notebooks are up to date, by content.

A notebook must run again if its parameters, its cells, its inputs, the versions of the libraries or the
code of this package that it reaches has changed, or if one of its outputs is missing. Comments,
docstrings and times of change do not count.
"""

import ast
import json
import os
import re
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
_PARTS = ("parameters", "cells", "package code", "library versions")


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
        reasons = [f"its {part} changed" for part in _PARTS if now[part] != before.get(part)]
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
            "library versions": _hash({library: version(library) for library in _LIBRARIES}),
            "package": _package_hash(),
            "inputs": {self._place(path): file_hash(path) for path in step.inputs if path.exists()},
        }
        # the same cells reach the same code of the same package, which then need not be parsed again
        if all(state[part] == before.get(part) for part in ("cells", "package")):
            return state | {"package code": before.get("package code")}
        files = reached_files("\n".join(cells))
        return state | {"package code": _hash({file: content_hash(_ROOT / file) for file in files})}

    def _place(self, path: Path) -> str:
        return Path(os.path.relpath(path.resolve(), self._project)).as_posix()


def code_cells(notebook: Path) -> list[str]:
    """The source of a notebook's code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _hash(content: Any) -> str:
    return text_hash(json.dumps(content, sort_keys=True, default=str))


@cache
def _package_hash() -> str:
    """The hash of every file of the package, comments included."""
    return _hash({path.relative_to(_ROOT).as_posix(): file_hash(path) for path in _package_files()})


def _package_files() -> list[Path]:
    """Every file of the package, without compiled code and what tools hide there (`.ruff_cache`)."""
    files = (path for path in _ROOT.rglob("*") if path.suffix != ".pyc" and path.is_file())
    return [path for path in files if "/." not in f"/{path.relative_to(_ROOT).as_posix()}"]


def _without_comments(source: str) -> str:
    """Code as its syntax tree, without comments, docstrings and layout; other text unchanged."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return source
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


@cache
def content_hash(path: Path) -> str:
    """The hash of a file of the package: of its syntax tree for code, of its bytes for data."""
    if path.suffix != ".py":
        return file_hash(path)
    return text_hash(_without_comments(path.read_text(encoding="utf-8")))


def reached_files(source: str) -> list[str]:
    """The files of this package that some code reaches: modules by imports, and the data they read.

    A public name (`af.collect`) reaches the module that the package's stub imports it from.

    Examples
    --------
    >>> reached_files("from afanalysis.text.wording import percent")
    ['__init__.py', 'text/__init__.py', 'text/wording.py', 'text/wording.toml']
    """
    modules: set[str] = set()
    todo = set(_modules_named_in(source))
    while todo:
        module = todo.pop()
        modules.add(module)
        parent = module.rpartition(".")[0] or PACKAGE
        todo |= {parent, *_modules_named_in(_file(module).read_text(encoding="utf-8"))} - modules
    files = {_file(module) for module in modules}
    return sorted(path.relative_to(_ROOT).as_posix() for path in files | _data_read_by(files))


@cache
def _modules_named_in(source: str) -> set[str]:
    """The modules of this package that some code imports, or names as in `af.collect`."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            bound |= {alias.asname or alias.name: inside + alias.name for alias in node.names}
    bound = {name: target for name, target in bound.items() if target.split(".")[0] == PACKAGE}
    dotted = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    names = [ast.unparse(node).partition(".") for node in dotted]
    uses = {f"{bound[first]}.{attributes}" for first, _, attributes in names if first in bound}
    return {_module(target) for target in (*bound.values(), *uses)}


def _module(dotted: str) -> str:
    """The module that a dotted name is in; for a public name, as the stubs have it."""
    module = PACKAGE
    for name in dotted.split(".")[1:]:
        if not _file(f"{module}.{name}").exists():
            return _stub(module).get(name, module)
        module = f"{module}.{name}"
    return module


@cache
def _stub(package: str) -> dict[str, str]:
    """By public name of a package the module that its stub imports it from; empty without a stub."""
    path = _file(package).with_suffix(".pyi")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    imports = re.findall(r"^from \.(\S+) import (\w+)", text, re.MULTILINE)
    return {name: f"{package}.{module}" for module, name in imports}


def _file(module: str) -> Path:
    """Where a module's code is, or would be."""
    folder = _ROOT.joinpath(*module.split(".")[1:])
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _data_read_by(files: set[Path]) -> set[Path]:
    """The data files that modules read: those they name, and those of their folders that none names."""
    package = _package_files()
    code = {path: path.read_text(encoding="utf-8") for path in package if path.suffix == ".py"}
    data = [path for path in package if path.suffix not in (".py", ".pyi", ".typed")]
    found = set()
    for path in data:
        named_by = {module for module in code if f'"{path.name}"' in code[module]}
        readers = named_by or {module for module in code if module.parent == path.parent}
        # the published tables are inputs of the notebooks, by name
        if readers & files and path.parent.name != "published_tables":
            found.add(path)
    return found
