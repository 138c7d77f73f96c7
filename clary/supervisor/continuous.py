"""Outputs that are uploaded while the programs run: a thread beside the gang's loop, which must not wait for S3."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clary.compute.plan import Plan
from clary.core.tasks import Output, Task
from clary.supervisor.folders import HostFolder, inside
from clary.supervisor.opening import open_inside
from clary.supervisor.transfers import open_store

if TYPE_CHECKING:
    from clary.artifacts.base import ObjectStore
    from clary.artifacts.settled import Settled

_LOOK_EVERY_S = 1.0
# Looking through very many files costs at most this share of a CPU.
_SHARE = 0.02


class Continuous:
    """Uploads what has come to rest, from `start` to `stop`.

    settled   what of each output is in S3; to be read once it has stopped
    """

    def __init__(self, task: Task, plan: Plan, folders: Sequence[HostFolder]) -> None:
        self.settled: Mapping[Output, Settled] = {}
        self._plan = plan
        self._folders = folders
        self._store: ObjectStore | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if outputs := [output for output in task.outputs if output.continuous and not output.archive]:
            from clary.artifacts.settled import Settled

            self.settled = {output: Settled() for output in outputs}

    def start(self) -> None:
        """Only when every program has been started: a process with threads must not fork them."""
        if self.settled:
            self._thread = threading.Thread(target=self._run, name="continuous", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """What is being uploaded is called off: it will be collected with the rest."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause_s = _LOOK_EVERY_S
        while not self._over.wait(pause_s):
            began = time.thread_time()
            for output, settled in self.settled.items():
                # Whatever went wrong is tried again at the next look; after the last, collecting tells of it.
                with suppress(Exception):
                    self._look(output, settled)
            pause_s = max(_LOOK_EVERY_S, (time.thread_time() - began) / _SHARE)

    def _look(self, output: Output, settled: Settled) -> None:
        from clary.artifacts.base import S3Uri

        self._store = self._store or open_store(self._plan.platform)
        tops = self._tops(output)
        try:
            settled.look(self._store, S3Uri.parse(output.uri), tops, self._over.is_set)
        finally:
            for top in tops:
                os.close(top)

    def _tops(self, output: Output) -> list[int]:
        """The output's directory of each host that has one, open."""
        found = (open_inside(Path(folder.ml), inside(output.path).parts, directory=True) for folder in self._folders)
        return [top for top in found if top is not None]
