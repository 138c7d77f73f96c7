"""How long the command line takes, against Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.figures import Figure
from bench.servers import clean_environment, server

ABOUT = "wall time of commands"

AIM_S = 0.3


def measure(quick: bool) -> Iterator[Figure]:
    times = 5 if quick else 15
    clary = str(Path(sys.executable).with_name("clary"))
    with server() as live:
        home = ("--home", str(live.home))
        commands = {
            "clary --help": [clary, "--help"],
            "clary env": [clary, "env", *home],
            "clary env --json": [clary, "env", "--json", *home],
            "clary status": [clary, "status", *home],
        }
        for name, command in commands.items():
            own, peer = [], []
            for number in range(-1, times):  # the first is to warm up
                taken = _wall(command), _wall([sys.executable, "-c", "pass"])
                if number >= 0:
                    own.append(taken[0])
                    peer.append(taken[1])
            aim = AIM_S if name != "clary status" else None
            yield Figure(name, "s", own, "python -c pass", peer, below=aim)


def _wall(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=clean_environment())
    return time.perf_counter() - began
