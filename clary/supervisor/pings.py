"""GET /ping of a replica, without waiting for it: the socket is watched beside the program's output."""

from __future__ import annotations

import re
import socket

from clary.compute.environment import LOOPBACK

_STATUS = re.compile(rb"HTTP/1\.[01] 200 ")
_LONGEST_ANSWER = 64 << 10


class Ping:
    """One request. `advance` is to be called when `socket` is writable, or readable where not `wants_to_write`."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex((LOOPBACK, port))
        self._request = f"GET /ping HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode()
        self._answer = b""

    @property
    def wants_to_write(self) -> bool:
        return bool(self._request)

    @property
    def succeeded(self) -> bool:
        """Whether what has come so far begins an answer with status 200."""
        return _STATUS.match(self._answer) is not None

    def advance(self) -> bool:
        """Send or receive what can be; False once there is nothing more to wait for.

        The whole answer is read, for a server that sees its connection reset may complain in its log.
        """
        try:
            if self._request:
                self._request = self._request[self.socket.send(self._request) :]
                return True
            read = self.socket.recv(_LONGEST_ANSWER)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._answer += read
        return bool(read) and len(self._answer) < _LONGEST_ANSWER
