"""A supervisor that runs no program: the task's environment sets its behaviour. For tests of backends.

BEHAVIOR "wait" (default): READY where the task serves, else RUNNING, until it is to stop; then EXITED
         "exit": RUNNING, then EXITED with EXIT_CODE
         "die": ends without a state
         "ignore-stop": like wait, but ignores SIGTERM and the stop file
CHILD    a command line to start as well, which outlives the supervisor
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from clary.compute.plan import PLAN_FILE, STATE_FILE, STOP_FILE, TASK_FILE, Plan
from clary.core.files import write_whole
from clary.core.tasks import Cause, Phase, Task, TaskState


def main() -> None:
    folder = Path(sys.argv[1])
    task = Task.from_json((folder / TASK_FILE).read_text())
    plan = Plan.from_json((folder / PLAN_FILE).read_text())
    behavior = task.environment.get("BEHAVIOR", "wait")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behavior == "ignore-stop" else signal.SIG_DFL)
    if "CHILD" in task.environment:
        environment = {**os.environ, "CLARY_TASK_ID": task.id}
        subprocess.Popen(shlex.split(task.environment["CHILD"]), env=environment, start_new_session=True)
    if behavior == "die":
        sys.exit("dies, as BEHAVIOR requires")
    address = "http://127.0.0.1:1" if task.serve else ""
    state = TaskState(Phase.READY if task.serve else Phase.RUNNING, task.owner, address=address, started_at=time.time())
    write(folder, plan, state)
    while behavior == "ignore-stop":
        signal.sigwait({signal.SIGUSR1})
    if behavior == "wait":
        if not (folder / STOP_FILE).exists():
            signal.sigwait({signal.SIGTERM})
        write(folder, plan, replace(state, phase=Phase.EXITED, cause=Cause.STOPPED, over_at=time.time()))
    else:
        code = int(task.environment.get("EXIT_CODE", "0"))
        write(folder, plan, replace(state, phase=Phase.EXITED, exit_code=code, over_at=time.time()))


def write(folder: Path, plan: Plan, state: TaskState) -> None:
    write_whole(folder / STATE_FILE, state.to_json())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as events:
        events.setblocking(False)
        try:
            events.sendto(json.dumps(state.owner).encode(), plan.platform.events_socket)
        except OSError:
            return  # no server listens: it is only a hint


if __name__ == "__main__":
    main()
