"""`python -I -m clary.supervisor <task folder>`: what a backend starts for each task, and does not wait for."""

from __future__ import annotations

import sys
from pathlib import Path

from clary.supervisor.supervise import supervise


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -I -m clary.supervisor <task folder>", file=sys.stderr)
        return 2
    return supervise(Path(sys.argv[1]).absolute())


if __name__ == "__main__":
    sys.exit(main())
