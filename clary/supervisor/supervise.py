"""All the work of one task, from its inputs to its outputs.

    STAGING ──> RUNNING (──> READY) ──> COLLECTING ──> EXITED

Each phase is durable before its work begins. So a supervisor that starts on the folder of one that died knows what was
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
from clary.supervisor.continuous_upload import ContinuousUpload
from clary.supervisor.folders import HostFolder, host_folders, make_folder, remove_tree
from clary.supervisor.host_group import Host, HostGroup
from clary.supervisor.launching import check_isolation, launcher
from clary.supervisor.logs import Log, log_path
from clary.supervisor.metrics import Metrics
from clary.supervisor.outcome import CannotRun, Outcome, exit_message, failure_reason
from clary.supervisor.programs import adopt_orphans
from clary.supervisor.state_file import StateFile, now, read_state
from clary.supervisor.stop_request import StopRequest
from clary.supervisor.transfers import collect, large_in_place, outputs_to_upload, stage
from clary.supervisor.venv_layer import make_venv_layer

if TYPE_CHECKING:
    from clary.artifacts.uploaded_files import UploadedFiles
    from clary.supervisor.ports import HeldPorts

_DIED = "InternalServerError: The task's supervisor died while its program ran, and the program with it."


def supervise(folder: Path) -> int:
    """Do all of a task's work; the exit code of the process. Nothing is done where another process does it already."""
    if not hold_lock(supervisor_lock(folder), "clary.supervisor"):
        return 0
    state = read_state(folder) or TaskState(Phase.STAGING)
    if state.phase.over:
        return 0
    task = Task.from_json((folder / TASK_FILE).read_text(encoding="utf-8"))
    plan = Plan.from_json((folder / PLAN_FILE).read_text(encoding="utf-8"))
    state = replace(state, owner=task.owner)
    state_file = StateFile(folder, state, plan.platform.events_socket)
    Supervisor(folder, task, plan, state_file).run()
    return 0


class Supervisor:
    """Runs one task, once."""

    def __init__(self, folder: Path, task: Task, plan: Plan, state_file: StateFile) -> None:
        self._folder = folder
        self._task = task
        self._plan = plan
        self._state_file = state_file
        self._stop_request = StopRequest(folder, task.grace_s)
        self._folders: dict[str, HostFolder] = {}
        self._uploaded_files: Mapping[Output, UploadedFiles] = {}

    def run(self) -> None:
        self._stop_request.listen()
        self._state_file.reserve()
        try:
            self._folders = host_folders(self._folder, self._task)
            outcome = self._resume_from(self._state_file.state)
        except CannotRun as error:
            outcome = Outcome(None, str(error), ran=False)
        except Exception as error:
            import traceback

            with suppress(OSError):  # the disk may be full
                traceback.print_exc()
            outcome = Outcome(None, failure_reason(error, "the task was run"))
        self._finish(outcome)

    def _resume_from(self, state: TaskState) -> Outcome:
        match state.phase:
            case Phase.RUNNING | Phase.READY:
                self._kill_orphans()
                return Outcome(None, _DIED)
            case Phase.COLLECTING:
                return Outcome(state.exit_code, state.failure, state.cause, message=state.message)
            case _:
                return self._stage() or self._run()

    def _stage(self) -> Outcome | None:
        """Bring inputs and images to the hosts; an Outcome where a stop was requested meanwhile."""
        if self._stop_request.requested():
            return self._stopped_before_start()
        self._state_file.move(Phase.STAGING, staging_at=now())
        check_isolation(self._task, self._plan)
        for host, folder in self._folders.items():
            execution = self._plan.for_host(host).execution
            base = str(folder.ml) if isinstance(execution, Process) and execution.sandbox == "none" else OPT_ML
            make_folder(folder, self._task.for_host(host), host, isinstance(execution, Container), base)
            if isinstance(execution, Process):
                make_venv_layer(folder.venv, execution.python)
        for host in self._task.pipeline:
            self._stage_hosts(self._task.for_host(host), self._plan.for_host(host), [self._folders[host]])
        if not self._task.pipeline:
            self._task = self._stage_hosts(self._task, self._plan, list(self._folders.values()))
        return self._stopped_before_start() if self._stop_request.requested() else None

    def _stage_hosts(self, task: Task, plan: Plan, folders: list[HostFolder]) -> Task:
        """Bring inputs and image to these hosts. Returns the task with those inputs that are read-only now."""
        execution = plan.execution
        # Without a sandbox nothing would keep a program from writing to a stored object.
        in_place = isinstance(execution, Container) or execution.sandbox == "bubblewrap"
        if in_place:
            task = large_in_place(task, plan)
        stage(task, plan, folders, in_place, self._stop_request.requested)
        if isinstance(execution, Container) and not self._stop_request.requested():
            from clary.supervisor.containers import pull_image

            pull_image(execution, self._stop_request.requested)
        return task

    def _stopped_before_start(self) -> Outcome:
        if self._stop_request.shutting_down:
            return Outcome(None, "InternalServerError: The machine was shut down before the program ran.", ran=False)
        return Outcome(None, "", Cause.STOPPED, ran=False)

    def _run(self) -> Outcome:
        held: dict[str, HeldPorts] = {}
        if self._task.serve is not None:
            from clary.supervisor.ports import hold_ports

            held = {name: hold_ports() for name in self._folders}
        metrics = Metrics(self._task, self._state_file, self._plan.platform.metrics)
        hosts: list[Host] = []
        for name, folder in self._folders.items():
            log = Log(log_path(Path(self._plan.platform.logs), self._task, name), metrics.search)
            ports = held[name].ports if held else None
            launch = launcher(self._task.for_host(name), self._plan.for_host(name), name, folder, self._folder, ports)
            hosts.append(Host(name, folder.ml, log, launch, ports.bind if ports else None))
        if all(isinstance(self._plan.for_host(name).execution, Process) for name in self._folders):
            adopt_orphans()  # of a container's engine, some are not the program's
        self._state_file.move(Phase.RUNNING, started_at=now())
        continuous_upload = ContinuousUpload(self._task, self._plan, list(self._folders.values()))
        outcome = HostGroup(self._task, hosts, self._state_file, self._stop_request, continuous_upload).run()
        self._uploaded_files = continuous_upload.uploaded_files
        for host in hosts:
            host.log.close()
        return self._with_message(outcome) if self._task.layout == "processing" else outcome

    def _with_message(self, outcome: Outcome) -> Outcome:
        """With the exit message, also of a job that failed; a message that cannot be read is a failure itself."""
        try:
            return replace(outcome, message=exit_message([folder.ml for folder in self._folders.values()]))
        except CannotRun as error:
            return replace(outcome, failure=outcome.failure or ("" if outcome.cause else str(error)))

    def _finish(self, outcome: Outcome) -> None:
        """Collect the outputs, remove the hosts' folders, and enter the last state."""
        changes: dict[str, Any] = {
            "exit_code": outcome.exit_code,
            "cause": outcome.cause,
            "address": "",
            "pipeline_addresses": (),
        }
        changes["message"] = outcome.message
        if outcome.ran and not self._state_file.state.ended_at:
            changes["ended_at"] = now()
        uploaded: dict[str, str] = {}
        failure = outcome.failure
        if outputs_to_upload(self._task, outcome):
            try:
                self._state_file.move(Phase.COLLECTING, failure=failure, **changes)
                uploaded, upload_failure = collect(
                    self._task, self._plan, list(self._folders.values()), outcome, self._uploaded_files
                )
            except OSError as error:
                upload_failure = failure_reason(error, "the task's state was written")
            failure = failure or upload_failure
        remove_tree(self._folder / "hosts")
        self._state_file.move(Phase.EXITED, failure=failure, uploaded=uploaded, over_at=now(), **changes)
        self._state_file.release()

    def _kill_orphans(self) -> None:
        from clary.compute import orphans
        from clary.compute.folder import TaskFolder

        orphans.kill_orphans(TaskFolder(self._folder))
