"""Messages to the server that a request found no replica of its endpoint: datagrams to `<home>/run/wake.sock`.

A message is [kind, name, uid] of the endpoint's record, in JSON, which the control loop then reconciles at once. It may
get lost: no server may be running, and the next one looks at every endpoint when it starts.
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from clary.core.gateway_client import ENDPOINT_KIND, socket_address
from clary.core.routes import Route


class NoReplicaEvents:
    """Sends them, for each endpoint at most one in `interval_s`."""

    def __init__(self, path: Path, interval_s: float) -> None:
        self._path = path
        self._interval_s = interval_s
        self._next: dict[str, float] = {}  # endpoint -> loop time before which no message is sent

    def send(self, route: Route, now: float) -> None:
        """Never waits and never raises. `now` is the loop's time."""
        if now < self._next.get(route.endpoint, now):
            return
        self._next[route.endpoint] = now + self._interval_s
        message = json.dumps([ENDPOINT_KIND, route.endpoint, route.uid]).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with socket_address(self._path) as address:
                sender.sendto(message, address)

    def sweep(self, now: float) -> None:
        """Forget endpoints whose interval is over."""
        self._next = {endpoint: moment for endpoint, moment in self._next.items() if moment > now}
