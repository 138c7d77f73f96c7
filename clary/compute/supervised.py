"""The five verbs over task folders: every task has a supervisor process, which outlives the server.

    launch ──> folder, waiting ──admit──> supervisor, which writes state.json ──> over ──> forget

What is true lies in the folders, so a new server knows all that the old one knew; memory holds only what saves work.
How a task becomes a Process or a Container of this machine is the resolver's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from clary.compute import capacity, leftovers
from clary.compute.capacity import Claim, Held, ReplicaShare
from clary.compute.events import Events, Owner
from clary.compute.folder import TaskFolder, create, folder_of, folders, sweep
from clary.compute.logs import read_logs
from clary.compute.plan import Container, Plan, Platform, Process
from clary.core.errors import CapacityError
from clary.core.instances import Machine
from clary.core.tasks import LogLine, Phase, Task, TaskState
from clary.detached.exits import ExitWatcher

log = structlog.get_logger(__name__)

# A supervisor told to stop at once has this long before it is killed: it knows best how to clean up.
KILL_AFTER_S = 5.0
_LOOK_AGAIN_S = 0.02
# Of two tasks launched at a time the one that came first starts first, also where its folder takes a little longer. One
# whose environment is still to be built does not hold up the others.
_ARRIVES_WITHIN_S = 1.0

Resolve = Callable[[Task], Awaitable[Process | Container]]
Notify = Callable[[Owner], None]
_NOBODY: Owner = ("", "", "")


@dataclass(slots=True)
class _Known:
    """What is remembered of a task: the intent, which never changes, and the last state read."""

    folder: TaskFolder
    task: Task | None
    claim: Claim
    held: Held | None = None  # set once it may have begun
    stamp: tuple[int, int] = (0, 0)
    read: TaskState | None = None
    told: TaskState | None = None  # the state of the last look

    @property
    def owner(self) -> Owner | None:
        return self.task.owner if self.task else None

    @property
    def over(self) -> bool:
        """As far as has been told: a supervisor that is about to end holds nothing any more."""
        return self.told is not None and (self.told.phase.over or self.told.phase is Phase.ABSENT)


class SupervisedBackend:
    """Runs tasks on this machine, one supervisor process each. Belongs to one event loop."""

    def __init__(
        self,
        tasks: Path,
        platform: Platform,
        notify: Notify,
        resolve: Resolve,
        machine: Machine,
        *,
        replica: ReplicaShare = ReplicaShare(),  # noqa: B008 - frozen
        supervisor: str = "clary.supervisor",
        look_every_s: float = 2.0,
    ) -> None:
        self._tasks = tasks
        self._platform = platform
        self._notify = notify
        self._resolve = resolve
        self.machine = machine
        self._replica = replica
        self._supervisor = supervisor
        self._look_every_s = look_every_s
        self._known: dict[str, _Known] = {}
        self._arriving: dict[str, tuple[Claim, float]] = {}  # launches under way, and since when
        self._exits = ExitWatcher(lambda _: self._woken.set())
        self._events = Events(Path(platform.events_socket), lambda _: self._woken.set())
        self._woken = asyncio.Event()
        self._gate = asyncio.Lock()  # one admission, or one end, at a time
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up what an earlier server left. The verbs do this too; a server that starts does it by itself."""
        if self._looking is not None:
            return
        self._looking = asyncio.create_task(self._look_on())
        try:
            self._events.open()
        except OSError as error:
            log.warning("no events socket", path=self._platform.events_socket, error=str(error))
        sweep(self._tasks)
        for folder in folders(self._tasks):
            self._remember(folder, folder.task())
        self._woken.set()

    async def close(self) -> None:
        """Let go of everything; tasks go on."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
            self._events.close()
            self._exits.close()
            self._known.clear()

    async def launch(self, task: Task) -> None:
        await self.open()
        if await self.poll([task.id]):
            return
        self._arriving[task.id] = (capacity.claim(task, self.machine, self._replica), time.monotonic())
        try:
            await asyncio.to_thread(create, self._tasks, task, await self._planned(task))
            folder = folder_of(self._tasks, task.id)
            if folder is not None and task.id not in self._known:
                self._remember(folder, folder.task())
        finally:
            self._arriving.pop(task.id, None)
            self._woken.set()
        await self._look()
        self._woken.set()  # from now on there is something to look after

    async def _planned(self, task: Task) -> Plan:
        """Of a pipeline, each host for itself. Raises LaunchError."""
        links = {host: await self._resolve(task.of(host)) for host in task.hosts if host in task.pipeline}
        how = next(iter(links.values())) if links else await self._resolve(task)
        return Plan(how, self._platform, links=links)

    async def poll(self, task_ids: Collection[str] | None = None) -> Mapping[str, TaskState]:
        await self.open()
        wanted = list(self._known) if task_ids is None else task_ids
        found = {task_id: self._state(self._known[task_id]) for task_id in wanted if task_id in self._known}
        for task_id in [task_id for task_id, state in found.items() if state.phase is Phase.ABSENT]:
            del found[task_id], self._known[task_id]  # somebody removed the folder
        return found

    async def stop(self, task_id: str, grace_s: float) -> None:
        await self.open()
        known = self._known.get(task_id)
        if known is None or self._state(known).phase.over:
            return
        await asyncio.to_thread(known.folder.tell_to_stop, grace_s)
        async with self._gate:
            if not self._stop_waiting(known):
                known.folder.signal(signal.SIGTERM)
        self._woken.set()

    async def forget(self, task_id: str) -> None:
        await self.open()
        known = self._known.get(task_id)
        if known is None:
            return
        orderly = self._state(known).phase is Phase.EXITED
        await self._kill(known)
        async with self._gate:
            if not orderly:
                await asyncio.to_thread(leftovers.kill, known.folder)
            if (left := await asyncio.to_thread(known.folder.remove)) is not None:
                await asyncio.to_thread(leftovers.remove_as_root_of_its_namespace, left)
            self._exits.remove(task_id)
            self._known.pop(task_id, None)
        self._woken.set()

    async def logs(self, task_id: str) -> AsyncIterator[LogLine]:
        await self.open()
        known = self._known.get(task_id)
        if known is not None and known.task is not None:
            async for line in read_logs(Path(self._platform.logs), known.task):
                yield line

    # what is known

    def _remember(self, folder: TaskFolder, task: Task | None) -> None:
        known = _Known(folder, task, self._claim(folder, task))
        if task is None or folder.supervisor() is not None:
            known.held = self._holding(known, folder)
        self._known[folder.path.name] = known

    def _claim(self, folder: TaskFolder, task: Task | None) -> Claim:
        with contextlib.suppress(CapacityError):  # accelerators that were there before the restart, and are gone
            if task is not None:
                return capacity.claim(task, self.machine, self._replica)
        return Claim(folder.path.name, 0.0)

    def _holding(self, known: _Known, folder: TaskFolder) -> Held:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return Held(known.claim.cpus, known.claim.memory_mib, folder.plan().gpus)
        return Held()

    def _state(self, known: _Known) -> TaskState:
        """What is true now. A state that is over stays; for the others it costs one stat."""
        stamp = known.folder.stamp()
        if stamp != known.stamp or known.read is None:
            known.stamp, known.read = stamp, known.folder.state() or known.read
        if known.read is not None and known.read.phase.over:
            return known.read if stamp != (0, 0) else TaskState(Phase.ABSENT)
        if not known.folder.path.is_dir():
            return TaskState(Phase.ABSENT)
        if known.held is None and known.folder.supervisor() is None:
            return TaskState(Phase.PENDING, known.owner)
        if known.folder.path.name in self._exits or known.folder.alive():
            return known.read or TaskState(Phase.STAGING, known.owner)
        return self._ended(known)

    def _ended(self, known: _Known) -> TaskState:
        """The supervisor is gone: what it wrote last, or the news that it died."""
        last = known.folder.state() or known.read or TaskState(Phase.STAGING, known.owner)
        if last.phase.over:
            return last
        words = known.folder.last_words() or "it left no word"
        text = last.failure or f"InternalServerError: The supervisor of the task ended before the task did: {words}"
        return replace(last, phase=Phase.LOST, owner=last.owner or known.owner, failure=text[:1024])

    # who starts next

    async def _look_on(self) -> None:
        while True:
            busy = any(not known.over for known in self._known.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_every_s if busy else None):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look()
            except Exception:
                log.exception("looking after tasks failed")

    async def _look(self) -> None:
        """Say what has changed, and start those that now may."""
        async with self._gate:
            self._exits.reap()
            for task_id, known in self._known.items():
                if known.over:
                    continue
                if known.held is None and known.folder.supervisor() is not None:  # an earlier server's last deed
                    known.held = self._holding(known, known.folder)
                if known.held is not None:
                    self._exits.adopt(task_id, known.folder.lock)
                self._tell(known)
            await self._admit()

    def _tell(self, known: _Known) -> None:
        state = self._state(known)
        if state != known.told:
            known.told = state
            if owner := state.owner or known.owner:
                self._notify(owner)

    async def _admit(self) -> None:
        living = [known for known in self._known.values() if not known.over]
        for known in living:
            if known.held is None and known.folder.told_to_stop():  # by a server that died before it could end it
                self._stop_waiting(known)
        waiting = [known.claim for known in living if known.held is None and not known.over]
        holding = [known.held for known in living if known.held is not None]
        late = time.monotonic() - _ARRIVES_WITHIN_S
        coming = [
            claim for claim, since in self._arriving.values() if since > late and claim.task_id not in self._known
        ]
        by_id = {known.claim.task_id: known for known in living}
        for claim, gpus in capacity.admit([*waiting, *coming], holding, self.machine):
            if claim.task_id in by_id:
                await self._start(by_id[claim.task_id], gpus)

    async def _start(self, known: _Known, gpus: tuple[int, ...]) -> None:
        task_id = known.folder.path.name
        try:
            if gpus:
                await asyncio.to_thread(known.folder.give_gpus, gpus)
            pid = await asyncio.to_thread(known.folder.start, self._supervisor)
        except OSError as error:
            log.warning("could not start a task; trying again", task=task_id, error=str(error))
            return
        except (ValueError, TypeError, KeyError):  # the plan was damaged by other hands: the task is lost
            known.held, pid = Held(), None
        if pid is not None:
            known.held = Held(known.claim.cpus, known.claim.memory_mib, gpus)
            self._exits.add_child(task_id, pid)
        self._tell(known)

    def _stop_waiting(self, known: _Known) -> bool:
        """End a task that has not begun."""
        if known.held is None and known.folder.stop_waiting(known.owner or _NOBODY):
            self._tell(known)
            return True
        return False

    async def _kill(self, known: _Known) -> None:
        """See to it that the supervisor has ended: by its own will, or by force."""
        if not self._state(known).phase.over:
            await self.stop(known.folder.path.name, grace_s=0.0)
        deadline = time.monotonic() + KILL_AFTER_S
        while known.folder.supervisor() is not None and known.folder.alive():
            if time.monotonic() > deadline:
                known.folder.signal(signal.SIGKILL)
            await asyncio.sleep(_LOOK_AGAIN_S)
