"""The program of the image `clary/data` in a real job, as a process that a test can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from tests.live import LiveServer, until

PATIENCE_S = 60.0


@contextlib.contextmanager
def held(server: LiveServer, job: str) -> Iterator[psutil.Process]:
    """A job's program, which has begun and does not go on before this context ends."""
    program = until(lambda: _program(server, job), PATIENCE_S, f"the program of {job}")
    program.suspend()
    try:
        yield program
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.resume()


def _program(server: LiveServer, job: str) -> psutil.Process | None:
    for holder in (server.home / "tasks").glob(f"{job}-*/holder"):
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            for found in psutil.Process(int(holder.read_text())).children(recursive=True):
                words = found.cmdline()
                if "clary.tasks.recipe_job" in words and "python" in words[0]:
                    return found
    return None
