"""Tasks as containers, run by podman or docker."""

from __future__ import annotations

import asyncio

from clary.compute.engine import Engine, find_engine
from clary.compute.images import examples
from clary.compute.plan import Container
from clary.core.errors import LaunchError
from clary.core.settings import Settings
from clary.core.tasks import Task

_NO_ENGINE = (
    'image "{image}" is a container image, and neither podman nor docker answers here: install one of them '
    "(`clary doctor` reports what is wrong), or use a built-in image ({examples})"
)


class OciResolver:
    """Task -> Container."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def refusal(self, uri: str) -> str:
        """ "" where an image can be run, else why not. May take seconds."""
        engine = find_engine(self._settings)
        if engine is None:
            return _NO_ENGINE.format(image=uri, examples=examples())
        why_not = engine.unavailable(uri)
        return why_not and f'image "{uri}" cannot be run: {why_not}'

    async def resolve(self, task: Task) -> Container:
        """Raises LaunchError where no engine answers. That the image is there, the engine finds out when it runs it."""
        engine = await asyncio.to_thread(find_engine, self._settings)
        if engine is None:
            raise LaunchError(_NO_ENGINE.format(image=task.image, examples=examples()))
        return container(engine, task)


def container(engine: Engine, task: Task) -> Container:
    """`train` or `serve` replaces the image's command only where the request gives neither entrypoint nor arguments."""
    given = task.arguments or None
    if not task.entrypoint and not task.arguments and task.command:
        given = (task.command,)
    return Container(engine.command, engine.options, task.image, task.entrypoint or None, given)
