"""A process that can die wherever it matters: before and after each write, each action and each observation."""

from __future__ import annotations

from clary.control.effects import World
from clary.core.decisions import Action, Seen, Watch
from clary.core.records import ChildrenPolicy, Record, Transition
from clary.store.memory import MemoryStore


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
