"""The first moment of a supervisor: `python -I -m clary.compute.begin <descriptor> <module> <task folder>`.

The backend hands over a locked file. This process writes its number into it and then becomes the supervisor, so that
there is no moment at which a task has begun and nobody can tell whether its supervisor lives, or which process it is.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys


def main() -> None:
    descriptor, module, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.set_inheritable(descriptor, False)  # the lock is the supervisor's alone, not its program's
    # Told to stop before the supervisor listens: it finds the stop file. A handler, as what is ignored is inherited.
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.chdir(folder)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    sys.argv = [module, folder]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
