"""The rules of the house: where imports are, what modules are called, what the public names offer."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import afanalysis
from tests.helpers import PROJECT
from tests.standin.faults import table_of_faults

SOURCE = PROJECT / "src" / "afanalysis"
MODULES = sorted(SOURCE.rglob("*.py"))
_TEST = re.compile(r"`(test_\w+)`")
PUBLIC = sorted(set(afanalysis.__all__) - {"__version__"})


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_own_modules_are_imported_at_the_top(path):
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                assert node.level == 0, f"line {node.lineno}"
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                assert name.split(".")[0] != "afanalysis", f"line {node.lineno} imports {name}"


def defined_names(path: Path) -> set[str]:
    """The public functions and classes that a module defines."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, definitions) and node.name[0] != "_"}


@pytest.mark.parametrize("path", [path for path in MODULES if path != SOURCE / "__init__.py"], ids=shown)
def test_a_modules_name_hides_nothing(path):
    is_package = path.name == "__init__.py"
    name = path.parent.name if is_package else path.stem
    package = path.parent.parent if is_package else path.parent
    if name not in ("__init__", "__main__"):
        assert name not in sys.stdlib_module_names
    if name in PUBLIC:
        public = getattr(afanalysis, name)
        assert public is importlib.import_module(name_of(path)), f"{name} is a public name"
    for neighbour in package.glob("*.py"):
        assert name not in defined_names(neighbour), f"{name} is defined in {shown(neighbour)}"


_STATS_ALONE = """
import importlib, pkgutil, sys

ALLOWED = {"numpy", "scipy", "afanalysis", "lazy_loader", *sys.stdlib_module_names}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"{name} is refused", name=name)
        if name.startswith("afanalysis.") and not name.startswith("afanalysis.stats"):
            raise ModuleNotFoundError(f"{name} is refused", name=name)

sys.meta_path.insert(0, Refuse())
stats = importlib.import_module("afanalysis.stats")
for module in pkgutil.iter_modules(stats.__path__):
    importlib.import_module(f"afanalysis.stats.{module.name}")
    print(module.name)
"""


def test_stats_needs_only_numpy_and_scipy():
    process = subprocess.run([sys.executable, "-c", _STATS_ALONE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    stats = importlib.import_module("afanalysis.stats")
    assert process.stdout.split() == [module.name for module in pkgutil.iter_modules(stats.__path__)]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported_and_is_documented(name):
    public = getattr(afanalysis, name)
    assert (public.__doc__ or "").strip()
    if callable(public):
        defining = sys.modules[public.__module__]
        assert defining.__name__.startswith("afanalysis.")
        # a dataclass or pydantic model without a docstring gets its signature for one
        assert not public.__doc__.startswith(f"{name}(")


def test_the_tests_that_the_documentation_names_exist():
    named = {
        name for page in (PROJECT / "docs").glob("*.md") for name in _TEST.findall(page.read_text())
    }
    existing = "".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in existing] == []


def test_the_documentation_lists_every_fault_that_is_tried():
    page = (PROJECT / "docs" / "collecting.md").read_text()
    assert f"{len(table_of_faults())} things" in page
    assert [name for name in table_of_faults() if f"`{name}`" not in page] == []
