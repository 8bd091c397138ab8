"""Kernels that start at once: forked from a process in which the heavy libraries are imported already.

A notebook's kernel spends some seconds on imports before its first cell. Here one process imports them
once, while papermill is still being imported itself, and every kernel is a fork of it: a fresh namespace
each, the imports shared. Where a process may not fork (another system than Linux, a worker of a pool),
kernels start as Jupyter starts them; what they compute is the same.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

_WARM = "afanalysis.warm"
_hiding = threading.Lock()
_running: weakref.WeakSet[AsyncKernelManager] = weakref.WeakSet()


def can_fork() -> bool:
    """Whether kernels may be forked here."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    return context


def warm_up() -> None:
    """Begin to import what kernels need, in a process of its own; returns at once."""
    if can_fork():
        from multiprocessing.forkserver import ensure_running

        with _no_main_module():
            _context()
            ensure_running()


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main script, which a forked process would otherwise run again."""
    main: dict[str, Any] = vars(sys.modules["__main__"])
    with _hiding:
        names = [name for name in ("__file__", "__spec__") if name in main]
        hidden: dict[str, Any] = {name: main.pop(name) for name in names}
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update(hidden)


def _serve(connection_file: str, folder: str | None, environment: dict[str, str]) -> None:
    """Be a kernel; runs in the forked process."""
    os.setsid()  # a Ctrl-C in the terminal is for the one who runs the notebooks
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
        sys.path[0] = ""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from ipykernel.kernelapp import launch_new_instance

    threading.Thread(target=_end_with_parent, daemon=True).start()
    # (the handle also keeps ipykernel from explaining how to connect by hand)
    settings = {"parent_handle": os.getppid(), "log_level": logging.CRITICAL}
    argv = [f"--IPKernelApp.{name}={value}" for name, value in settings.items()]
    launch_new_instance(argv=["-f", connection_file, *argv])


def _end_with_parent() -> None:
    """End this kernel when the process that runs the notebooks has gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Forked:
    """A forked process, seen as jupyter_client sees one from subprocess."""

    stdout = stderr = stdin = None

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.pid and self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkingProvisioner(LocalProvisioner):
    """Starts a kernel by forking; all else is as with Jupyter's own."""

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        """Fork a kernel that serves the connection file."""
        environment = {str(k): str(v) for k, v in (settings.get("env") or os.environ).items()}
        told = (getattr(self.parent, "connection_file", ""), settings.get("cwd"), environment)
        process = _context().Process(target=_serve, args=told)
        with _no_main_module():
            process.start()
        self.process = _Forked(process)  # type: ignore[assignment]
        self.pid, self.pgid = process.pid, None
        return self.connection_info


def kernel_manager(folder: str, sockets: str, *, fork: bool) -> type[AsyncKernelManager]:
    """The class of a kernel manager whose kernel runs in a folder and talks over private sockets.

    Parameters
    ----------
    folder
        Where the kernel runs. (papermill's own way changes the folder of the whole process, which
        notebooks that run side by side would do to each other.)
    sockets
        The folder of the sockets; every kernel needs one of its own.
    fork
        Whether the kernel is forked from the warm process.
    """

    class Manager(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            if os.name != "nt":
                settings |= {"transport": "ipc", "ip": f"{sockets}/kernel"}
            super().__init__(**settings)
            _running.add(self)
            if fork and can_fork():
                self.provisioner = ForkingProvisioner(
                    kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
                )

        async def _async_pre_start_kernel(self, **settings: Any) -> Any:
            return await super()._async_pre_start_kernel(**(settings | {"cwd": folder}))

    return Manager


def interrupt_all() -> None:
    """Interrupt the kernels that are running: their cells end with a KeyboardInterrupt."""
    for manager in list(_running):
        process = getattr(manager.provisioner, "process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
