"""Several processes on one listening socket, where SAGEMAKER_MODEL_SERVER_WORKERS asks for them.

Each is forked before anything heavy is loaded and loads the model itself: OpenMP does not survive a fork.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("clary.host")

Work = Callable[[Callable[[], None]], None]


@dataclass
class Workers:
    """The processes alive, each with the byte it sets when its model is loaded."""

    work: Work
    alive: dict[int, mmap.mmap] = field(default_factory=dict)
    stopping: bool = False

    def start(self) -> None:
        loaded = mmap.mmap(-1, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            if self.stopping:
                return
            pid = os.fork()
            if pid == 0:
                self._in_child(loaded)
            self.alive[pid] = loaded
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def _in_child(self, loaded: mmap.mmap) -> None:
        """Does not return."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            self.work(lambda: loaded.write_byte(1))
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            log.exception("A worker failed")
        finally:
            sys.stdout.flush()
            os._exit(code)

    def stop(self, *_: object) -> None:
        self.stopping = True
        for pid in list(self.alive):
            os.kill(pid, signal.SIGTERM)

    def reap(self) -> int:
        """Wait until a worker ends and replace it. Returns its exit code where replacing it is of no use, else 0."""
        pid, status = os.wait()
        loaded = self.alive.pop(pid, None)
        if loaded is None or self.stopping:
            return 0
        code = os.waitstatus_to_exitcode(status)
        if not loaded[0]:
            self.stop()
            return code if code > 0 else 1
        log.error("Worker %s ended with exit code %s; another replaces it", pid, code)
        self.start()
        return 0


def keep(count: int, work: Work) -> None:
    """Run `work` in `count` processes until SIGTERM; exits with their code where a model cannot be loaded."""
    workers = Workers(work)
    signal.signal(signal.SIGTERM, workers.stop)
    code = 0
    for _ in range(count):
        workers.start()
    while workers.alive:
        code = workers.reap() or code
    if code:
        sys.exit(code)
