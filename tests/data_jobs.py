"""The program of the image `clary/data` in a real job, as a process that a test can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from clary.detached.lock import read_lock
from tests.live import LiveServer, until

PATIENCE_S = 60.0


@contextlib.contextmanager
def held(server: LiveServer, job: str) -> Iterator[psutil.Process]:
    """A job's program, suspended from soon after its start until this context ends."""
    program = until(lambda: _program(server, job), PATIENCE_S, f"the program of {job}")
    program.suspend()
    try:
        yield program
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.resume()


def _program(server: LiveServer, job: str) -> psutil.Process | None:
    for task in (server.home / "tasks").glob(f"{job}-*"):
        lock = read_lock(task / "supervisor.lock")
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(lock[1]).children(recursive=True) if lock else ():
                argv = process.cmdline()
                if "clary.tasks.recipe_job" in argv and "python" in argv[0]:
                    return process
    return None
