"""Kill an import at every step in which it touches a file, and import again each time.

`python -m tests.logs.kill_imports FOLDER LOGS LABELS` tries every step of importing LOGS as the study
`FOLDER/study`, which may exist and then has so many LABELS; each attempt begins with a
copy of FOLDER. It prints the number of steps.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb  # noqa: F401  (before the forks, not in each)
import pandas as pd  # noqa: F401

import afanalysis as af
from afanalysis.logs.importing import import_logs

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "tempfile.mkdtemp")
KILLED = -signal.SIGKILL


def in_child(action: Callable[[], None]) -> int:
    """The exit code of a process of its own that does this."""
    process = os.fork()
    if not process:
        code = 1
        try:
            action()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_import(logs: Path, folder: Path, at: int) -> None:
    steps = itertools.count()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        paths = str(arguments)
        if event in EVENTS and f"{folder}/" in paths and "lock" not in paths and next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    import_logs([logs], folder / "study")


def check(logs: Path, folder: Path, labels: int) -> None:
    """The next import, of any name, clears up; that of the same name gives the whole study."""
    import_logs([logs], folder / "another")
    assert not list(folder.glob(".*")), list(folder.glob(".*"))
    report = import_logs([logs], folder / "study")
    assert sorted(path.name for path in folder.iterdir()) == ["another", "study"]
    leftovers = [path for path in (folder / "study").iterdir() if path.suffix in (".part", ".torn")]
    assert not leftovers, leftovers
    judges = af.judges(folder / "study").judge
    table = af.tidy(folder / "study", next(name for name in judges if name.startswith("imported@")))
    assert report.kept == len(table) == table.complied.notna().sum() == 12
    assert table.label_complied.notna().sum() == labels
    assert any(name.startswith("rules@") for name in judges) == bool(labels)


def main(original: Path, logs: Path, labels: int) -> None:
    folder = original.parent / "tried"
    for at in itertools.count():
        shutil.copytree(original, folder)
        code = in_child(partial(killed_import, logs, folder, at))
        assert code in (0, KILLED), code
        if code == KILLED:
            assert in_child(partial(check, logs, folder, labels)) == 0, f"killed at step {at}"
        shutil.rmtree(folder)
        if code == 0:
            print(at)
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
