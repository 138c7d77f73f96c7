"""Keeps helper processes running: watches each, and restarts what ended or does not answer any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from clary.core.errors import ClaryError
from clary.services.service import Service

log = structlog.get_logger()


class Keeper:
    """Watches services.

    check_every_s     between two looks at whether a service answers; that it ended is seen at once
    unhealthy_after   looks without an answer, in a row, after which it is restarted
    first_delay_s     before a restart, doubled with each that follows, up to longest_delay_s
    steady_after_s    one that has run so long is restarted after first_delay_s again
    """

    def __init__(
        self,
        services: Sequence[Service],
        check_every_s: float = 5.0,
        unhealthy_after: int = 3,
        first_delay_s: float = 0.1,
        longest_delay_s: float = 30.0,
        steady_after_s: float = 60.0,
    ) -> None:
        self.services = services
        self.check_every_s = check_every_s
        self.unhealthy_after = unhealthy_after
        self.first_delay_s = first_delay_s
        self.longest_delay_s = longest_delay_s
        self.steady_after_s = steady_after_s

    async def start(self) -> None:
        """Have every service running and healthy. Raises SettingsError where one cannot be."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_told(service)) for service in self.services]
        for task in tasks:
            if error := task.result():
                raise error

    async def run(self) -> None:
        """Watch until cancelled. The services go on running then."""
        async with asyncio.TaskGroup() as group:
            for service in self.services:
                group.create_task(self._watch(service))

    async def stop(self, grace_s: float = 10.0) -> None:
        """End every service; not while `run` is at work."""
        await asyncio.gather(*(service.stop(grace_s) for service in self.services))

    async def _watch(self, service: Service) -> None:
        now = asyncio.get_running_loop().time
        delay = self.first_delay_s
        while True:
            since = now()
            trouble = await self._trouble(service)
            if now() - since >= self.steady_after_s:
                delay = self.first_delay_s
            log.warning("service_restarting", service=service.name, reason=trouble, after_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, self.longest_delay_s)
            try:
                if trouble != "ended":
                    await service.stop()
                await service.start_or_adopt()
            except (ClaryError, OSError) as error:
                log.error("service_failed", service=service.name, reason=str(error))

    async def _trouble(self, service: Service) -> str:
        """What is wrong with a service, once something is."""
        unanswered = 0
        while unanswered < self.unhealthy_after:
            if await service.gone(self.check_every_s):
                return "ended"
            unanswered = 0 if await service.healthy() else unanswered + 1
        return "does not answer"


async def _told(service: Service) -> ClaryError | None:
    """A failure to start, as a value: one service's does not keep the others from what they are at."""
    try:
        await service.start_or_adopt()
    except ClaryError as error:
        return error
    return None
