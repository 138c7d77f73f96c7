"""The end of a server: endpoints stop serving and come back at the next start; jobs go on."""

from __future__ import annotations

import asyncio
import contextlib

from clary.compute.base import Backend
from clary.resources import endpoints
from clary.resources.endpoints.deployment import STOP_GRACE_S
from clary.services.manager import ServiceManager

# The gateway finishes the requests it has, 30 s at most, before its replicas go.
DRAIN_WITHIN_S = 33
# Replicas get 30 s from SIGTERM to SIGKILL; a little more, and `clary down` reports what is true.
REPLICAS_END_WITHIN_S = 40


async def stop_services_and_replicas(backend: Backend, service_manager: ServiceManager) -> None:
    """The services end first: a gateway that still answers would find its replicas gone."""
    replicas = [
        task_id
        for task_id, state in (await backend.poll()).items()
        if state.owner and state.owner[0] == endpoints.KIND and not state.phase.over
    ]
    await service_manager.stop(DRAIN_WITHIN_S)
    for task_id in replicas:
        await backend.stop(task_id, STOP_GRACE_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REPLICAS_END_WITHIN_S):
            while any(not state.phase.over for state in (await backend.poll(replicas)).values()):
                await asyncio.sleep(0.05)
