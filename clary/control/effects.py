"""What the loop observes, and one function per action. Each may be repeated without harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from clary.compute.base import Backend
from clary.core import gateway_client
from clary.core.decisions import Action, Create, Erase, Forget, Launch, Publish, Seen, Stop, Watch, Withdraw
from clary.core.errors import RecordExists, ResourceInUse
from clary.core.files import write_whole
from clary.core.records import Record, Ref, Transition
from clary.core.routes import Route
from clary.store.base import Query, Store

# The record that a Create asks for, and the first line of its history: (owner, action) -> both. Raises ServiceError.
NewRecord = Callable[[Record, Create], tuple[Record, Transition | None]]

CHILDREN_AT_ONCE = 100


class World:
    """What the loop observes and acts upon: tasks and routes of this home, and a record's children."""

    def __init__(self, store: Store, backend: Backend, routes: Path, run: Path, new_record: NewRecord) -> None:
        self._store = store
        self._backend = backend
        self._routes = routes
        self._run = run
        self._new_record = new_record

    async def observe(self, record: Record, watch: Watch) -> Seen:
        """The tasks, the route and the children that a family watches."""
        tasks = await self._backend.poll(watch.tasks) if watch.tasks else {}
        route = self._read_route(watch.route) if watch.route else None
        children = {
            child.ref: child
            for kind, statuses in watch.children.items()
            for child in await self._children(record, kind, statuses)
        }
        return Seen(tasks, route, children)

    async def act(self, record: Record, action: Action) -> None:
        """Carry out one action.

        Raises CapacityError or LaunchError where a task will never start, ServiceError where a child cannot be created,
        ChildrenExist where they keep a record from being erased, StaleWrite where the record moved.
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
                await self.withdraw(endpoint)
            case Create():
                await self._create(record, action)
            case Erase(children):
                await self._store.delete(record, children)
            case _:
                assert_never(action)

    def routes(self) -> Collection[Route]:
        """Those that this home's gateway has."""
        found = (self._read_route(file.stem) for file in self._routes.glob("*.json"))
        return [route for route in found if route is not None]

    async def _children(self, owner: Record, kind: str, statuses: Collection[str]) -> list[Record]:
        children: list[Record] = []
        query = Query(kind, owned_by=owner, status=statuses, limit=CHILDREN_AT_ONCE)
        while True:
            page = await self._store.list(query)
            children += page.records
            if not page.next:
                return children
            query = replace(query, after=page.next)

    async def _create(self, owner: Record, action: Create) -> None:
        child, first_line = self._new_record(owner, action)
        assert child.ref == Ref(action.kind, action.name), f"{owner.ref}: the spec of {action.name} names another"
        try:
            await self._store.create(child.owned_by(owner), first_line)
        except RecordExists as taken:
            if not taken.record.is_child_of(owner):
                raise ResourceInUse(f"{child.ref} exists already, and does not belong to {owner.ref}") from None

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

    async def withdraw(self, endpoint: str) -> None:
        """Have the gateway of this home forget an endpoint."""
        await asyncio.to_thread(self._withdraw, endpoint)

    def _withdraw(self, endpoint: str) -> None:
        self._route_file(endpoint).unlink(missing_ok=True)
        gateway_client.publish_hint(self._run)
