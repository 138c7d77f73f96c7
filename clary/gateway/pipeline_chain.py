"""A request's passage through an inference pipeline: each container's response is the next container's request.

Reference: "Inference pipelines in Amazon SageMaker AI" (SageMaker Developer Guide).
"""

from __future__ import annotations

from clary.core.routes import Replica
from clary.gateway.call import Call
from clary.gateway.replica_connection import ReplicaConnection, ReplicaDisconnected
from clary.gateway.replicas import Replicas, host_and_port


class PipelineChain:
    """Connections to a pipeline's containers behind the first, for one request. `remaining`: those not reached yet."""

    def __init__(self, replicas: Replicas, replica: Replica, call: Call, max_bytes: int) -> None:
        self.remaining = replica.further_containers()
        self._replicas = replicas
        self._call = call
        self._max_bytes = max_bytes
        self._connections: list[tuple[Replica, ReplicaConnection]] = []

    async def forward(self, response: ReplicaConnection) -> ReplicaConnection:
        """Send a container's response to the next container; the connection to that one.

        The response's Content-Type becomes the request's; the caller's Accept is for the last container alone.
        Raises ReplicaDisconnected, and ReplicaUnreachable.
        """
        body = await response.read_body(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise ReplicaDisconnected(
                f"its response is larger than the {self._max_bytes} bytes of the next container's request"
            )
        container = self.remaining.pop(0)
        connection = await self._replicas.connect(container)
        self._connections.append((container, connection))
        connection.send([self._head(container, response, len(body)), body])
        return connection

    def release(self) -> None:
        """The request is over, well or not."""
        for container, connection in self._connections:
            self._replicas.release(container, connection)

    def _head(self, container: Replica, response: ReplicaConnection, length: int) -> bytes:
        host, port = host_and_port(container.address)
        lines = f"POST /invocations HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {length}\r\n".encode("latin-1")
        types = [value for name, value in response.headers if name == b"content-type"][:1]
        content_type = b"".join(b"content-type: %b\r\n" % value for value in types)
        return lines + content_type + self._call.container_headers(first=False, last=not self.remaining) + b"\r\n"
