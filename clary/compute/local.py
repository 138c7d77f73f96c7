"""Tasks as programs of this machine: an image that AWS publishes, as the program and libraries it stands for."""

from __future__ import annotations

import asyncio
from typing import Literal

from clary.compute import sandbox
from clary.compute.images import built_in, examples
from clary.compute.plan import Process
from clary.compute.runtimes import missing, runtime_for
from clary.core.errors import LaunchError
from clary.core.settings import Settings
from clary.core.tasks import Task

_NO_PROGRAM = (
    'image "{image}" is a container image, and the setting backend = "local" runs none; use a '
    'built-in image ({examples}), or backend = "auto" with podman or docker'
)


class LocalResolver:
    """Task -> Process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def refusal(self, uri: str) -> str:
        """ "" where an image can be run, else why not."""
        image = built_in(uri)
        if image is None:
            return _NO_PROGRAM.format(image=uri, examples=examples())
        return "" if self._settings.runtime_versions == "exact" and image.version else missing(image)

    async def resolve(self, task: Task) -> Process:
        """Raises LaunchError for an image that is not a program, or whose libraries are not installed."""
        image = built_in(task.image)
        if image is None:
            raise LaunchError(_NO_PROGRAM.format(image=task.image, examples=examples()))
        kind = await asyncio.to_thread(self._sandbox)
        runtime = await runtime_for(image, self._settings.runtime_versions, self._settings.paths.runtimes)
        return Process(command(runtime.program, task), runtime.python, runtime.environment, kind)

    def _sandbox(self) -> Literal["bubblewrap", "none"]:
        if self._settings.sandbox == "none":
            return "none"
        if not (why_not := sandbox.probe()):
            return "bubblewrap"
        if self._settings.sandbox == "bubblewrap":
            raise LaunchError(
                f'the setting sandbox = "bubblewrap" needs bubblewrap, which does not work here: {why_not}'
            )
        return "none"


def command(program: tuple[str, ...], task: Task) -> tuple[str, ...]:
    """The command line, as a container's would be put together: `train` and `serve` only where nothing is given."""
    if task.entrypoint:
        return (*task.entrypoint, *task.arguments)
    if task.arguments:
        return (*program, *task.arguments)
    return (*program, task.command) if task.command else program
