"""Which notebooks are up to date, by content.

A notebook must run again if its parameters, its cells, its inputs, the versions of the libraries or the
code or data of this package have changed, or if one of its outputs is missing. Comments, docstrings and
times of change do not count.
"""

import ast
import json
import os
import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afanalysis.study.files import write_json
from afanalysis.study.folders import Folders
from afanalysis.study.hashing import file_hash, text_hash

_ROOT = Path(__file__).resolve().parents[1]
_LIBRARIES = ("anthropic", "duckdb", "matplotlib", "numpy", "pandas", "scipy", "seaborn", "statsmodels")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PARTS = ("parameters", "cells", "package code", "library versions")

# In CPython 3.11 `ast.parse` fails now and then in several threads at once; and once is enough.
_PARSING = threading.Lock()


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
        now = self._state(step)
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
        write_json(self._path, self._read() | {step.notebook: self._state(step)})

    def _read(self) -> dict[str, Any]:
        """The record; an entry that cannot be read counts as a step that was never done."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: entry for name, entry in content.items() if "inputs" in entry}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _state(self, step: Step) -> dict[str, Any]:
        cells = code_cells(self._project / "notebooks" / f"{step.notebook}.ipynb")
        with _PARSING:
            code, written = _package_hash(), [_without_comments(cell) for cell in cells]
        return {
            "parameters": _hash(step.parameters),
            "cells": _hash(written),
            "library versions": _hash({library: version(library) for library in _LIBRARIES}),
            "package code": code,
            "inputs": {self._place(path): file_hash(path) for path in step.inputs if path.exists()},
        }

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
    """The hash of every file of the package; without compiled code and hidden files (`.ruff_cache`)."""
    files = {path.relative_to(_ROOT).as_posix(): path for path in _ROOT.rglob("*") if path.is_file()}
    # also compiled code that another process has half written, and moves while it is looked at
    ours = (name for name in files if "/." not in f"/{name}" and "__pycache__/" not in name)
    return _hash({name: content_hash(files[name]) for name in ours})


def _without_comments(source: str) -> str:
    """Code as its syntax tree, without comments, docstrings and layout; other text unchanged."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return source
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def content_hash(path: Path) -> str:
    """The hash of a file of the package: of its syntax tree for code, of its bytes for data."""
    if path.suffix != ".py":
        return file_hash(path)
    return text_hash(_without_comments(path.read_text(encoding="utf-8")))
