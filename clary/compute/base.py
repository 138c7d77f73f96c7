"""The protocol of a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from clary.core.instances import Machine
from clary.core.tasks import LogLine, Task, TaskState


class Backend(Protocol):
    """Runs tasks. Knows nothing of records or statuses. Each verb may be repeated without harm.

    Its constructor takes `notify`, called with a task's owner, from the event loop, whenever the task's state may have
    changed. It is a hint: the state is what `poll` returns.
    """

    @property
    def machine(self) -> Machine:
        """The largest machine that one host of a task can have: an instance type that is larger is reduced to it."""
        ...

    async def open(self) -> None:
        """Take up the tasks that an earlier server left, and start waiting tasks as there is room.

        Called first, in the event loop that the backend is to work in. Every other verb does it where it was not done.
        """
        ...

    async def close(self) -> None:
        """Let go of everything: tasks go on, and may be taken up again."""
        ...

    async def launch(self, task: Task) -> None:
        """Start a task, or queue it until the machine has room; nothing happens where it exists.

        Raises CapacityError where the machine can never have what it asks for, LaunchError where it can never start.
        """
        ...

    async def poll(self, task_ids: Collection[str] | None = None) -> Mapping[str, TaskState]:
        """The state of these tasks, or of every task there is; those that do not exist are left out."""
        ...

    async def stop(self, task_id: str, grace_s: float) -> None:
        """Ask a task to end: SIGTERM, SIGKILL after `grace_s`. Returns at once; `poll` shows the end.

        The request is kept: a task stopped while its supervisor starts, or before it was started, stops too.
        """
        ...

    async def forget(self, task_id: str) -> None:
        """Remove what is left of a task that is over, but for its log. A task that still runs is killed first."""
        ...

    def logs(self, task_id: str) -> AsyncIterator[LogLine]:
        """The lines the task has printed so far, hosts one after another."""
        ...
