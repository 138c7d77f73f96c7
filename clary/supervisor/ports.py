"""A free port for a replica, and some beside it for its own use."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

from clary.compute.environment import LOOPBACK, Ports
from clary.supervisor.outcome import CannotRun

# Below what the system gives to outgoing connections, so that none takes a port before its program listens on it.
_FIRST, _LAST, _BLOCK = 20000, 31990, 10


@dataclass(frozen=True, slots=True)
class HeldPorts:
    """Ports no other supervisor of this machine takes while `reservation` is open."""

    ports: Ports
    reservation: socket.socket


def hold_ports() -> HeldPorts:
    """Raises CannotRun where the machine has none left."""
    blocks = list(range(_FIRST, _LAST, _BLOCK))
    random.shuffle(blocks)
    for first in blocks:
        reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # A name without a file: the kernel frees it when the process ends.
            reservation.bind(f"\0clary-ports-{first}")
            if all(_is_free(port) for port in range(first, first + _BLOCK)):
                return HeldPorts(Ports(first, (first + 1, first + _BLOCK - 1)), reservation)
        except OSError:
            pass
        reservation.close()
    raise CannotRun("InternalServerError: no free port on this machine for another replica")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
