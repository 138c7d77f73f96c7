"""One function per action. Each may be repeated without harm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import assert_never

from clary.compute.base import Backend
from clary.core import gateway_client
from clary.core.decisions import Action, Erase, Forget, Launch, Publish, Seen, Stop, Watch, Withdraw
from clary.core.files import write_whole
from clary.core.records import Record
from clary.core.routes import Route
from clary.store.base import Store


class World:
    """What the loop sees and acts upon: tasks and routes."""

    def __init__(self, store: Store, backend: Backend, routes: Path, run: Path) -> None:
        self._store = store
        self._backend = backend
        self._routes = routes
        self._run = run

    async def observe(self, watch: Watch) -> Seen:
        """Look at the tasks and the route a family watches."""
        tasks = await self._backend.poll(watch.tasks) if watch.tasks else {}
        return Seen(tasks, self._read_route(watch.route) if watch.route else None)

    async def act(self, record: Record, action: Action) -> None:
        """Carry out one action.

        Raises CapacityError or LaunchError where a task will never start, StaleWrite where the record moved.
        """
        match action:
            case Launch(task):
                await self._backend.launch(task)
            case Stop(task_ids, grace_s, drain_s):
                await asyncio.gather(*(self._stop(task_id, grace_s, drain_s) for task_id in task_ids))
            case Forget(task_id):
                await self._backend.forget(task_id)
            case Publish(route):
                await asyncio.to_thread(self._publish, route)
            case Withdraw(endpoint):
                await asyncio.to_thread(self._withdraw, endpoint)
            case Erase():
                await self._store.delete(record)
            case _:
                assert_never(action)

    async def _stop(self, task_id: str, grace_s: float, drain_s: float) -> None:
        if drain_s:
            await gateway_client.drained(self._run, task_id, drain_s)
        await self._backend.stop(task_id, grace_s)

    def _route_file(self, endpoint: str) -> Path:
        return self._routes / f"{endpoint}.json"

    def _read_route(self, endpoint: str) -> Route | None:
        try:
            return Route.from_json(self._route_file(endpoint).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, KeyError):
            return None  # one that cannot be read is published anew

    def _publish(self, route: Route) -> None:
        write_whole(self._route_file(route.endpoint), route.to_json())
        gateway_client.publish_hint(self._run)

    def _withdraw(self, endpoint: str) -> None:
        self._route_file(endpoint).unlink(missing_ok=True)
        gateway_client.publish_hint(self._run)
