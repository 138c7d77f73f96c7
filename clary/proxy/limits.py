"""How long the proxy waits and how much it buffers: a value, so that tests can shorten it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    head_bytes: int = 64 * 1024
    connections: int = 2048

    head_s: float = 20.0  # to the end of CONNECT; from the first byte of a request to the end of its head
    handshake_s: float = 20.0
    idle_s: float = 300.0  # between requests of a connection: longer than clients keep one
    body_gap_s: float = 300.0  # between two pieces of a request's body
    stall_s: float = 300.0  # a client, or a service, that does not read what is sent
    answer_s: float = 3600.0  # from the request to its response, and between two pieces of it; clients give up earlier
    linger_s: float = 2.0  # for the rest of a request that was answered early, from each piece to the next
    linger_bytes: int = 64 * 1024 * 1024
    connect_s: float = 10.0
    half_open_s: float = 300.0  # for the other direction of a tunnel, once one has ended
    drain_s: float = 5.0  # after SIGTERM, for requests under way
