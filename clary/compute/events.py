"""The socket on which supervisors report changes: a datagram is a task's owner, a hint that may get lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

Owner = tuple[str, str, str]


class Events:
    """Listens while open, and calls `received` with each owner, from the event loop."""

    def __init__(self, path: Path, received: Callable[[Owner], None]) -> None:
        self._path = path
        self._received = received
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Raises OSError where no socket can be made there (a path of more than 107 bytes)."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listening.setblocking(False)
            self._path.unlink(missing_ok=True)
            listening.bind(str(self._path))
            self._path.chmod(0o600)
        except BaseException:
            listening.close()
            raise
        self._socket = listening
        asyncio.get_running_loop().add_reader(listening, self._read, listening)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, listening: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                if owner := _owner(listening.recv(65536)):
                    self._received(owner)


def _owner(datagram: bytes) -> Owner | None:
    try:
        match json.loads(datagram):
            case [str(kind), str(name), str(uid)]:
                return kind, name, uid
    except ValueError:
        pass
    return None
