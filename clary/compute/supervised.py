"""The five verbs over task folders: every task has a supervisor process, which outlives the server.

    launch ──> folder, waiting ──admit──> supervisor, which writes state.json ──> over ──> forget

The folders have the whole state, so a new server knows all that the old one knew; memory holds only what saves work.
The resolver decides what is executed on this machine for a task: a Process or a Container.
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

from clary.compute import capacity, orphans
from clary.compute.capacity import Claim, Held, ReplicaShare
from clary.compute.events import Events, Owner
from clary.compute.folder import TaskFolder, create, folder_of, folders, remove_incomplete
from clary.compute.logs import read_logs
from clary.compute.plan import Execution, Plan, Platform
from clary.core.errors import CapacityError
from clary.core.instances import Machine
from clary.core.tasks import LogLine, Phase, Task, TaskState
from clary.detached.exits import ExitWatcher

log = structlog.get_logger(__name__)

# A supervisor that is to stop at once has this long to clean up before it is killed.
KILL_AFTER_S = 5.0
_POLL_S = 0.02
# Of two tasks launched at a time the earlier starts first, also where its folder takes a little longer. A task whose
# environment is still to be built does not delay the others.
_ARRIVES_WITHIN_S = 1.0

Resolve = Callable[[Task], Awaitable[Execution]]
Notify = Callable[[Owner], None]
_NOBODY: Owner = ("", "", "")


@dataclass(slots=True)
class _KnownTask:
    """A task in memory: what to run, which never changes, and the last state that was read."""

    folder: TaskFolder
    task: Task | None
    claim: Claim
    held: Held | None = None  # set once it may have been started
    version: tuple[int, int] = (0, 0)  # of the state that was read
    read: TaskState | None = None
    reported: TaskState | None = None  # the state the owner was last notified of

    @property
    def owner(self) -> Owner | None:
        return self.task.owner if self.task else None

    @property
    def over(self) -> bool:
        """As far as was reported: a supervisor that is about to end holds nothing any more."""
        return self.reported is not None and (self.reported.phase.over or self.reported.phase is Phase.ABSENT)


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
        check_every_s: float = 2.0,
    ) -> None:
        self._tasks = tasks
        self._platform = platform
        self._notify = notify
        self._resolve = resolve
        self.machine = machine
        self._replica = replica
        self._supervisor = supervisor
        self._check_every_s = check_every_s
        self._known: dict[str, _KnownTask] = {}
        self._arriving: dict[str, tuple[Claim, float]] = {}  # launches under way, and since when
        self._exits = ExitWatcher(lambda _: self._woken.set())
        self._events = Events(Path(platform.events_socket), lambda _: self._woken.set())
        self._woken = asyncio.Event()
        self._lock = asyncio.Lock()  # one admission, or one end, at a time
        self._checking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up the tasks that an earlier server left, and start those that may. Every other verb does it too."""
        if self._checking is not None:
            return
        self._checking = asyncio.create_task(self._keep_checking())
        try:
            self._events.open()
        except OSError as error:
            log.warning("events_socket_failed", path=self._platform.events_socket, error=str(error))
        remove_incomplete(self._tasks)
        for folder in folders(self._tasks):
            self._remember(folder, folder.task())
        self._woken.set()

    async def close(self) -> None:
        """Let go of everything; tasks go on."""
        if self._checking is not None:
            self._checking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._checking
            self._checking = None
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
        await self._check()
        self._woken.set()  # from now on there is a task to check

    async def _planned(self, task: Task) -> Plan:
        """Of a pipeline, each host for itself. Raises LaunchError."""
        pipeline = {host: await self._resolve(task.for_host(host)) for host in task.hosts if host in task.pipeline}
        execution = next(iter(pipeline.values())) if pipeline else await self._resolve(task)
        return Plan(execution, self._platform, pipeline=pipeline)

    async def poll(self, task_ids: Collection[str] | None = None) -> Mapping[str, TaskState]:
        await self.open()
        wanted = list(self._known) if task_ids is None else task_ids
        found = {task_id: self._state(self._known[task_id]) for task_id in wanted if task_id in self._known}
        for task_id in [task_id for task_id, state in found.items() if state.phase is Phase.ABSENT]:
            del found[task_id], self._known[task_id]  # the folder was removed by hand
        return found

    async def stop(self, task_id: str, grace_s: float) -> None:
        await self.open()
        known = self._known.get(task_id)
        if known is None or self._state(known).phase.over:
            return
        await asyncio.to_thread(known.folder.request_stop, grace_s)
        async with self._lock:
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
        async with self._lock:
            if not orderly:
                await asyncio.to_thread(orphans.kill_orphans, known.folder)
            if (remaining := await asyncio.to_thread(known.folder.remove)) is not None:
                await asyncio.to_thread(orphans.remove_as_root_of_its_namespace, remaining)
            self._exits.remove(task_id)
            self._known.pop(task_id, None)
        self._woken.set()

    async def logs(self, task_id: str) -> AsyncIterator[LogLine]:
        await self.open()
        known = self._known.get(task_id)
        if known is not None and known.task is not None:
            async for line in read_logs(Path(self._platform.logs), known.task):
                yield line

    # tasks in memory

    def _remember(self, folder: TaskFolder, task: Task | None) -> None:
        known = _KnownTask(folder, task, self._claim(folder, task))
        if task is None or folder.supervisor() is not None:
            known.held = self._holding(known, folder)
        self._known[folder.path.name] = known

    def _claim(self, folder: TaskFolder, task: Task | None) -> Claim:
        with contextlib.suppress(CapacityError):  # the machine had more accelerators before the restart
            if task is not None:
                return capacity.claim(task, self.machine, self._replica)
        return Claim(folder.path.name, 0.0)

    def _holding(self, known: _KnownTask, folder: TaskFolder) -> Held:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return Held(known.claim.cpus, known.claim.memory_mib, folder.plan().gpus)
        return Held()

    def _state(self, known: _KnownTask) -> TaskState:
        """The state now. A final one stays; of the others the file is read when it has changed."""
        version = known.folder.state_version()
        if version != known.version or known.read is None:
            known.version, known.read = version, known.folder.state() or known.read
        if known.read is not None and known.read.phase.over:
            return known.read if version != (0, 0) else TaskState(Phase.ABSENT)
        if not known.folder.path.is_dir():
            return TaskState(Phase.ABSENT)
        if known.held is None and known.folder.supervisor() is None:
            return TaskState(Phase.PENDING, known.owner)
        if known.folder.path.name in self._exits or known.folder.alive():
            return known.read or TaskState(Phase.STAGING, known.owner)
        return self._state_at_end(known)

    def _state_at_end(self, known: _KnownTask) -> TaskState:
        """The state of a task whose supervisor has ended: the last it wrote, or LOST."""
        last = known.folder.state() or known.read or TaskState(Phase.STAGING, known.owner)
        if last.phase.over:
            return last
        line = known.folder.last_log_line() or "it printed nothing"
        text = last.failure or f"InternalServerError: The supervisor of the task ended before the task did: {line}"
        return replace(last, phase=Phase.LOST, owner=last.owner or known.owner, failure=text[:1024])

    # which start next

    async def _keep_checking(self) -> None:
        while True:
            busy = any(not known.over for known in self._known.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check_every_s if busy else None):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._check()
            except Exception:
                log.exception("task_check_failed")

    async def _check(self) -> None:
        """Notify owners of what has changed, and start the tasks that now may."""
        async with self._lock:
            self._exits.reap()
            for task_id, known in self._known.items():
                if known.over:
                    continue
                if known.held is None and known.folder.supervisor() is not None:  # an earlier server started it
                    known.held = self._holding(known, known.folder)
                if known.held is not None and task_id not in self._exits:
                    self._exits.adopt(task_id, known.folder.lock)
                self._report(known)
            await self._admit()

    def _report(self, known: _KnownTask) -> None:
        state = self._state(known)
        if state != known.reported:
            known.reported = state
            if owner := state.owner or known.owner:
                self._notify(owner)

    async def _admit(self) -> None:
        living = [known for known in self._known.values() if not known.over]
        for known in living:
            if (
                known.held is None and known.folder.stop_requested()
            ):  # requested of a server that died before it could end it
                self._stop_waiting(known)
        waiting = [known.claim for known in living if known.held is None and not known.over]
        holding = [known.held for known in living if known.held is not None]
        too_late = time.monotonic() - _ARRIVES_WITHIN_S
        arriving = [
            claim for claim, since in self._arriving.values() if since > too_late and claim.task_id not in self._known
        ]
        by_id = {known.claim.task_id: known for known in living}
        for claim, gpus in capacity.admit([*waiting, *arriving], holding, self.machine):
            if claim.task_id in by_id:
                await self._start(by_id[claim.task_id], gpus)

    async def _start(self, known: _KnownTask, gpus: tuple[int, ...]) -> None:
        task_id = known.folder.path.name
        try:
            if gpus:
                await asyncio.to_thread(known.folder.give_gpus, gpus)
            pid = await asyncio.to_thread(known.folder.start, self._supervisor)
        except OSError as error:
            log.warning("task_start_failed", task=task_id, error=str(error))
            return
        except (ValueError, TypeError, KeyError):  # the plan was damaged: the task is lost
            known.held, pid = Held(), None
        if pid is not None:
            known.held = Held(known.claim.cpus, known.claim.memory_mib, gpus)
            self._exits.add_child(task_id, pid)
        self._report(known)

    def _stop_waiting(self, known: _KnownTask) -> bool:
        """End a task that was not started; False where it was."""
        if known.held is None and known.folder.stop_waiting(known.owner or _NOBODY):
            self._report(known)
            return True
        return False

    async def _kill(self, known: _KnownTask) -> None:
        """Have the supervisor ended: by a stop request, then by SIGKILL."""
        if not self._state(known).phase.over:
            await self.stop(known.folder.path.name, grace_s=0.0)
        deadline = time.monotonic() + KILL_AFTER_S
        while known.folder.supervisor() is not None and known.folder.alive():
            if time.monotonic() > deadline:
                known.folder.signal(signal.SIGKILL)
            await asyncio.sleep(_POLL_S)
