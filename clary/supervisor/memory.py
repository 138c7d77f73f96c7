"""How much memory a program and all it started hold.

Limits on address space would stop programs that reserve much and use little, and Clary may not make control groups
everywhere. So memory is counted, twice a second at most, and a program that holds too much is killed with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def held_bytes(pid: int, limit_bytes: int) -> int:
    """Memory of the process and all below it; exact where it nears the limit, else an upper bound."""
    pids = list(tree(pid))
    resident = sum(map(_resident, pids))
    # Resident memory counts what forked workers share once for each; the proportional share takes longer to read.
    return resident if resident <= limit_bytes else sum(map(_proportional, pids))


def tree(pid: int) -> Iterator[int]:
    """The process and all below it."""
    left, seen = [pid], set[int]()
    while left:
        found = left.pop()
        if found in seen:
            continue
        seen.add(found)
        yield found
        left += children(found)


def children(pid: int) -> list[int]:
    """Of every thread, as each may have started some."""
    found: list[int] = []
    try:
        threads = [thread.name for thread in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return found
    for thread in threads:
        try:
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(pid)
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
