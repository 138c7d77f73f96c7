"""Outputs that are uploaded while the programs run, by a thread: the host group's loop must not wait for S3."""

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
from clary.supervisor.safe_open import safe_open
from clary.supervisor.transfers import open_store

if TYPE_CHECKING:
    from clary.artifacts.base import ObjectStore
    from clary.artifacts.uploaded_files import UploadedFiles

_EVERY_S = 1.0
# Of a CPU, at most, where there are very many files to check.
_CPU_SHARE = 0.02


class ContinuousUpload:
    """Uploads files that have not changed for a while, from `start` to `stop`.

    uploaded_files   what of each output is in S3; to be read after `stop`
    """

    def __init__(self, task: Task, plan: Plan, folders: Sequence[HostFolder]) -> None:
        self.uploaded_files: Mapping[Output, UploadedFiles] = {}
        self._plan = plan
        self._folders = folders
        self._store: ObjectStore | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if outputs := [output for output in task.outputs if output.continuous and not output.archive]:
            from clary.artifacts.uploaded_files import UploadedFiles

            self.uploaded_files = {output: UploadedFiles() for output in outputs}

    def start(self) -> None:
        """Only when every program has been started: a process with threads must not fork them."""
        if self.uploaded_files:
            self._thread = threading.Thread(target=self._run, name="continuous", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """An upload under way is cancelled: collecting uploads the file with all others."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause_s = _EVERY_S
        while not self._over.wait(pause_s):
            began = time.thread_time()
            for output, uploaded_files in self.uploaded_files.items():
                # Whatever went wrong is tried again in a while; what fails to the last, collecting reports.
                with suppress(Exception):
                    self._upload(output, uploaded_files)
            pause_s = max(_EVERY_S, (time.thread_time() - began) / _CPU_SHARE)

    def _upload(self, output: Output, uploaded_files: UploadedFiles) -> None:
        from clary.artifacts.base import S3Uri

        self._store = self._store or open_store(self._plan.platform)
        directories = self._directories(output)
        try:
            uploaded_files.upload_stable(self._store, S3Uri.parse(output.uri), directories, self._over.is_set)
        finally:
            for directory in directories:
                os.close(directory)

    def _directories(self, output: Output) -> list[int]:
        """The output's directory of each host that has one, open."""
        found = (safe_open(Path(folder.ml), inside(output.path).parts, directory=True) for folder in self._folders)
        return [directory for directory in found if directory is not None]
