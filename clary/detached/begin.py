"""The first moment of a detached Python program: `python -I -m clary.detached.begin <module> <folder>`.

The pid goes into the lock file only when SIGTERM cannot kill the process any more, so a process that reads the pid may
signal it: the module looks for a request to stop by itself, once it is loaded.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from clary.detached.lock import LOCK_FD, write_pid


def main() -> None:
    module, folder = sys.argv[1:]
    os.set_inheritable(LOCK_FD, False)  # the lock is this process's alone, not its programs'
    signal.signal(signal.SIGTERM, lambda *_: None)  # a handler, as programs inherit what is ignored
    os.chdir(folder)
    write_pid(LOCK_FD)
    sys.argv = [module, folder]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
