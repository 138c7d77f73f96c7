"""A process that can die wherever it matters: before and after each write, each action and each observation."""

from __future__ import annotations

from pathlib import Path

from clary.control.effects import World
from clary.core.decisions import Action, Seen, Watch
from clary.core.records import ChildrenPolicy, Record, Ref, Transition
from clary.resources import FAMILIES
from clary.store.memory import MemoryStore
from tests import batches
from tests.context import Server


class Crash(BaseException):
    """The process dies here."""


class CrashPoints:
    """Counts the places a process can die at; dies at the one that was chosen."""

    def __init__(self) -> None:
        self.left: int | None = None

    def reached(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


class DyingStore(MemoryStore):
    """Dies before or after a write."""

    def __init__(self, points: CrashPoints) -> None:
        super().__init__()
        self.points = points

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        self.points.reached()
        created = await super().create(record, history)
        self.points.reached()
        return created

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        self.points.reached()
        written = await super().replace(old, new, history)
        self.points.reached()
        return written

    async def delete(self, record: Record, children: ChildrenPolicy = "refuse") -> None:
        self.points.reached()
        await super().delete(record, children)
        self.points.reached()


class DyingWorld(World):
    """Dies before observing, before acting, and after acting."""

    points: CrashPoints

    async def observe(self, record: Record, watch: Watch) -> Seen:
        self.points.reached()
        return await super().observe(record, watch)

    async def act(self, record: Record, action: Action) -> None:
        self.points.reached()
        await super().act(record, action)
        self.points.reached()


class MortalServer:
    """A server that dies at its crash points, and knows the family of batches too."""

    def __init__(self, folder: Path) -> None:
        self.points = CrashPoints()
        self.server = Server(folder, DyingStore(self.points), [*FAMILIES, batches.FAMILY])
        world = self.server.new_world(DyingWorld)
        world.points = self.points
        self.server.world = world
        self.server.loop = self.server.new_loop()

    async def create(self, count: int, **job: object) -> Record:
        return await self.server.store.create(batches.a_batch(self.server.clock, "b", count, **job))

    async def batch(self) -> Record:
        return await self.server.store.get(Ref(batches.KIND, "b"))
