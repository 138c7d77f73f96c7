"""From settings to a backend, and to the question whether an image can be run here."""

from __future__ import annotations

from typing import Protocol

from clary.compute.base import Backend
from clary.compute.capacity import ReplicaShare
from clary.compute.images import built_in
from clary.compute.local import LocalResolver
from clary.compute.machine import capacity
from clary.compute.oci import OciResolver
from clary.compute.plan import Execution, Platform
from clary.compute.supervised import Notify, SupervisedBackend
from clary.core.settings import Settings
from clary.core.tasks import Task


class Resolver(Protocol):
    """Decides what is executed on this machine for a task."""

    def refusal(self, uri: str) -> str:
        """ "" where an image can be run, else why not. May take seconds."""
        ...

    async def resolve(self, task: Task) -> Execution:
        """Raises LaunchError."""
        ...


class AutoResolver:
    """Built-in images as programs, all others as containers."""

    def __init__(self, settings: Settings) -> None:
        self._local = LocalResolver(settings)
        self._oci = OciResolver(settings)

    def refusal(self, uri: str) -> str:
        return self._local.refusal(uri) if built_in(uri) else self._oci.refusal(uri)

    async def resolve(self, task: Task) -> Execution:
        return await (self._local.resolve(task) if built_in(task.image) else self._oci.resolve(task))


def resolver(settings: Settings) -> Resolver:
    match settings.backend:
        case "auto":
            return AutoResolver(settings)
        case "local":
            return LocalResolver(settings)
        case "oci":
            return OciResolver(settings)


def make_backend(settings: Settings, platform: Platform, notify: Notify) -> Backend:
    """The backend of the settings' choice: programs and containers on this machine."""
    return SupervisedBackend(
        settings.paths.tasks,
        platform,
        notify,
        resolver(settings).resolve,
        capacity(settings),
        replica=ReplicaShare(settings.replica_cpus, settings.replica_memory_mib),
    )


def check_image(uri: str, settings: Settings) -> str:
    """ "" where an image can be run here, else why not, for a caller's eyes. May ask a registry: call from a thread."""
    return resolver(settings).refusal(uri)
