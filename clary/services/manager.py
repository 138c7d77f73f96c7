"""Keeps helper processes running: watches each, and restarts those that end or stop answering."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from clary.core.errors import ClaryError
from clary.services.service import Service

log = structlog.get_logger()


class ServiceManager:
    """Watches services.

    check_every_s     between two health checks; that a service ended is noticed at once
    unhealthy_after   failed health checks in a row after which it is restarted
    first_delay_s     before a restart, doubled with each that follows, up to longest_delay_s
    steady_after_s    a service that has run so long is restarted after first_delay_s again
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
        """Have every service running and healthy. Raises SettingsError where a service cannot be."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_start_error(service)) for service in self.services]
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
            failure = await self._failure(service)
            if now() - since >= self.steady_after_s:
                delay = self.first_delay_s
            log.warning("service_restarting", service=service.name, reason=failure, after_s=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, self.longest_delay_s)
            try:
                if failure != "ended":
                    await service.stop()
                await service.start_or_adopt()
            except (ClaryError, OSError) as error:
                log.error("service_failed", service=service.name, reason=str(error))

    async def _failure(self, service: Service) -> str:
        """Wait until a service has ended or does not answer; the reason to restart it."""
        unanswered = 0
        while unanswered < self.unhealthy_after:
            if await service.ended(self.check_every_s):
                return "ended"
            unanswered = 0 if await service.healthy() else unanswered + 1
        return "does not answer"


async def _start_error(service: Service) -> ClaryError | None:
    """The error of a service that cannot start, as a value: it does not interrupt the start of the others."""
    try:
        await service.start_or_adopt()
    except ClaryError as error:
        return error
    return None
