"""The parts of the server that operations use. `app.py` composes it; operations get it as their first argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.artifacts.base import ObjectStore
from clary.artifacts.logs import LogStreams
from clary.compute.base import Backend
from clary.core.arns import Account
from clary.core.changes import Changes
from clary.core.clock import Clock
from clary.core.credentials import Credentials
from clary.core.decisions import Family
from clary.core.instances import Machine
from clary.core.settings import Settings
from clary.store.base import Store

if TYPE_CHECKING:
    from clary.resources.long_poll import DescribedStatuses


@dataclass(frozen=True)
class Context:
    """The server's parts, as far as operations are concerned.

    image_problem why an image URI cannot be run on this machine, "" where it can (blocking: may ask a registry)
    changes       notifies of every record that was written, the control loop among others
    described     which records have been described before, for long polls
    """

    settings: Settings
    account: Account
    credentials: Credentials
    clock: Clock
    store: Store
    backend: Backend
    object_store: ObjectStore
    log_streams: LogStreams
    machine: Machine
    families: Mapping[str, Family]
    image_problem: Callable[[str], str]
    changes: Changes
    described: DescribedStatuses

    @property
    def strict(self) -> bool:
        return self.settings.validation == "strict"
