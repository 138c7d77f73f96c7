"""All the work of one task, from its inputs to its outputs.

    STAGING ──> RUNNING (──> READY) ──> COLLECTING ──> EXITED

Each phase is durable before its work begins. So whoever starts on the folder of a supervisor that died knows what was
done: staging is done anew, collecting is done again, and a program that had begun is not run twice: the task failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.compute.environment import OPT_ML
from clary.compute.plan import PLAN_FILE, TASK_FILE, Container, Plan, Process, supervisor_lock
from clary.core.tasks import Cause, Output, Phase, Task, TaskState
from clary.detached.lock import hold_lock
from clary.supervisor.continuous import Continuous
from clary.supervisor.endings import CannotRun, Ended, blamed, exit_message
from clary.supervisor.folders import HostFolder, host_folders, make_folder, remove_tree
from clary.supervisor.gang import Gang, Host
from clary.supervisor.journal import Journal, now, read_state
from clary.supervisor.launching import check_isolation, launcher
from clary.supervisor.logs import Log, log_path
from clary.supervisor.metrics import Metrics
from clary.supervisor.overlay import make_overlay
from clary.supervisor.programs import adopt_orphans
from clary.supervisor.stops import Stops
from clary.supervisor.transfers import collect, large_in_place, stage, wanted

if TYPE_CHECKING:
    from clary.artifacts.settled import Settled
    from clary.supervisor.ports import HeldPorts

_DIED = "InternalServerError: The task's supervisor died while its program ran, and the program with it."


def supervise(folder: Path) -> int:
    """See a task through; the exit code of the process. Another one at work on it is left alone."""
    if not hold_lock(supervisor_lock(folder), "clary.supervisor"):
        return 0
    state = read_state(folder) or TaskState(Phase.STAGING)
    if state.phase.over:
        return 0
    task = Task.from_json((folder / TASK_FILE).read_text(encoding="utf-8"))
    plan = Plan.from_json((folder / PLAN_FILE).read_text(encoding="utf-8"))
    state = replace(state, owner=task.owner)
    journal = Journal(folder, state, plan.platform.events_socket)
    Supervisor(folder, task, plan, journal).see_through()
    return 0


class Supervisor:
    """One task, once."""

    def __init__(self, folder: Path, task: Task, plan: Plan, journal: Journal) -> None:
        self._folder = folder
        self._task = task
        self._plan = plan
        self._journal = journal
        self._stops = Stops(folder, task.grace_s)
        self._folders: dict[str, HostFolder] = {}
        self._settled: Mapping[Output, Settled] = {}

    def see_through(self) -> None:
        self._stops.listen()
        self._journal.reserve()
        try:
            self._folders = host_folders(self._folder, self._task)
            ended = self._go_on_from(self._journal.state)
        except CannotRun as error:
            ended = Ended(None, str(error), ran=False)
        except Exception as error:
            import traceback

            with suppress(OSError):  # the disk may be full
                traceback.print_exc()
            ended = Ended(None, blamed(error, "the task was run"))
        self._finish(ended)

    def _go_on_from(self, state: TaskState) -> Ended:
        match state.phase:
            case Phase.RUNNING | Phase.READY:
                self._kill_leftovers()
                return Ended(None, _DIED)
            case Phase.COLLECTING:
                return Ended(state.exit_code, state.failure, state.cause, message=state.message)
            case _:
                return self._stage() or self._run()

    def _stage(self) -> Ended | None:
        """Bring everything to its place; an Ended where it was called off meanwhile."""
        if self._stops.asked():
            return self._called_off()
        self._journal.move(Phase.STAGING, staging_at=now())
        check_isolation(self._task, self._plan)
        for host, folder in self._folders.items():
            how = self._plan.of(host).how
            base = str(folder.ml) if isinstance(how, Process) and how.sandbox == "none" else OPT_ML
            make_folder(folder, self._task.of(host), host, isinstance(how, Container), base)
            if isinstance(how, Process):
                make_overlay(folder.venv, how.python)
        for host in self._task.pipeline:
            self._bring(self._task.of(host), self._plan.of(host), [self._folders[host]])
        if not self._task.pipeline:
            self._task = self._bring(self._task, self._plan, list(self._folders.values()))
        return self._called_off() if self._stops.asked() else None

    def _bring(self, task: Task, plan: Plan, folders: list[HostFolder]) -> Task:
        """Inputs and image to these hosts. Returns the task with those inputs that are read-only now."""
        how = plan.how
        # Without a sandbox nothing would keep a program from writing to a stored object.
        in_place = isinstance(how, Container) or how.sandbox == "bubblewrap"
        if in_place:
            task = large_in_place(task, plan)
        stage(task, plan, folders, in_place, self._stops.asked)
        if isinstance(how, Container) and not self._stops.asked():
            from clary.supervisor.containers import have_image

            have_image(how, self._stops.asked)
        return task

    def _called_off(self) -> Ended:
        if self._stops.shutting_down:
            return Ended(None, "InternalServerError: The machine was shut down before the program ran.", ran=False)
        return Ended(None, "", Cause.STOPPED, ran=False)

    def _run(self) -> Ended:
        held: dict[str, HeldPorts] = {}
        if self._task.serve is not None:
            from clary.supervisor.ports import hold_ports

            held = {name: hold_ports() for name in self._folders}
        metrics = Metrics(self._task, self._journal, self._plan.platform.metrics)
        hosts: list[Host] = []
        for name, folder in self._folders.items():
            log = Log(log_path(Path(self._plan.platform.logs), self._task, name), metrics.search)
            ports = held[name].ports if held else None
            launch = launcher(self._task.of(name), self._plan.of(name), name, folder, self._folder, ports)
            hosts.append(Host(name, folder.ml, log, launch, ports.bind if ports else None))
        if all(isinstance(self._plan.of(name).how, Process) for name in self._folders):
            adopt_orphans()  # of a container's engine, some are not the program's
        self._journal.move(Phase.RUNNING, started_at=now())
        continuous = Continuous(self._task, self._plan, list(self._folders.values()))
        ended = Gang(self._task, hosts, self._journal, self._stops, continuous).run()
        self._settled = continuous.settled
        for host in hosts:
            host.log.close()
        return self._with_message(ended) if self._task.layout == "processing" else ended

    def _with_message(self, ended: Ended) -> Ended:
        """Also of a job that failed; a message that cannot be read makes one fail that had not."""
        try:
            return replace(ended, message=exit_message([folder.ml for folder in self._folders.values()]))
        except CannotRun as error:
            return replace(ended, failure=ended.failure or ("" if ended.cause else str(error)))

    def _finish(self, ended: Ended) -> None:
        """Collect, tidy up, and say that it is over."""
        known: dict[str, Any] = {"exit_code": ended.exit_code, "cause": ended.cause, "address": "", "further": ()}
        known["message"] = ended.message
        if ended.ran and not self._journal.state.ended_at:
            known["ended_at"] = now()
        uploaded: dict[str, str] = {}
        failure = ended.failure
        if wanted(self._task, ended):
            try:
                self._journal.move(Phase.COLLECTING, failure=failure, **known)
                uploaded, trouble = collect(self._task, self._plan, list(self._folders.values()), ended, self._settled)
            except OSError as error:
                trouble = blamed(error, "the task's state was written")
            failure = failure or trouble
        remove_tree(self._folder / "hosts")
        self._journal.move(Phase.EXITED, failure=failure, uploaded=uploaded, over_at=now(), **known)
        self._journal.release()

    def _kill_leftovers(self) -> None:
        from clary.compute import leftovers
        from clary.compute.folder import TaskFolder

        leftovers.kill(TaskFolder(self._folder))
