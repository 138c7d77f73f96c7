"""The way of one request through a pipeline: what one container answers is the next one's request.

Reference: "Inference pipelines in Amazon SageMaker AI" (SageMaker Developer Guide).
"""

from __future__ import annotations

from clary.core.routes import Replica
from clary.gateway.call import Call
from clary.gateway.replica_connection import ReplicaConnection, ReplicaGone
from clary.gateway.replicas import Replicas, host_and_port


class Hops:
    """Connections to a pipeline's containers behind the first, for one request."""

    def __init__(self, replicas: Replicas, replica: Replica, call: Call, most_bytes: int) -> None:
        self.left = replica.hops()
        self._replicas = replicas
        self._call = call
        self._most_bytes = most_bytes
        self._taken: list[tuple[Replica, ReplicaConnection]] = []

    async def next(self, answered: ReplicaConnection) -> ReplicaConnection:
        """Send a container's answer on to the one behind it. Raises ReplicaGone, and ReplicaUnreachable.

        The answer's Content-Type becomes the request's; the caller's Accept is for the last container alone.
        """
        body = await answered.rest(self._most_bytes + 1)
        if len(body) > self._most_bytes:
            raise ReplicaGone(f"it answered more than the {self._most_bytes} bytes that a container may be sent")
        hop = self.left.pop(0)
        connection = await self._replicas.connect(hop)
        self._taken.append((hop, connection))
        connection.send([self._head(hop, answered, len(body)), body])
        return connection

    def release(self) -> None:
        """The request is over, well or not."""
        for hop, connection in self._taken:
            self._replicas.release(hop, connection)

    def _head(self, hop: Replica, answered: ReplicaConnection, length: int) -> bytes:
        host, port = host_and_port(hop.address)
        lines = f"POST /invocations HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {length}\r\n".encode("latin-1")
        types = [value for name, value in answered.headers if name == b"content-type"][:1]
        content_type = b"".join(b"content-type: %b\r\n" % value for value in types)
        return lines + content_type + self._call.container_headers(first=False, last=not self.left) + b"\r\n"
