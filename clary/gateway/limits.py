"""How long the gateway waits and how much it buffers: a value, so that tests can shorten it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    body_bytes: int = 25 * MIB  # settings.max_invocation_mib
    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    connections: int = 4096
    buffered_bytes: int = 1024 * MIB  # bodies in memory at a time, of all requests together

    head_s: float = 10.0  # from the first byte of a request to the end of its head
    idle_s: float = 75.0  # between requests of a connection
    body_gap_s: float = 20.0  # between two pieces of a request's body
    body_s: float = 300.0  # for all of it
    stall_s: float = 60.0  # a client that does not read its response
    linger_s: float = 2.0  # for the rest of a request that was answered early, from each piece to the next

    # boto3's default time-out is 60 s: a little less, so that it gets our answer first.
    replica_wait_s: float = 58.0
    waiting_requests: int = 1000  # for a replica, all endpoints together
    connect_s: float = 2.0
    model_s: float = 60.0  # to the whole response; of a stream, to its head
    stream_s: float = 480.0  # to the end of a stream
    # Shorter than the keep-alive of the usual model servers (2 s and up), so that a request never meets a connection
    # which its replica closes at the same moment: there is no safe way to send it a second time.
    replica_idle_s: float = 1.5

    drain_s: float = 30.0  # after SIGTERM
    sweep_s: float = 1.0  # how often these times are checked; also their precision
    refresh_s: float = 0.5  # how often the routes' folder is checked
    no_replica_event_s: float = 1.0  # between two messages to the server that an endpoint lacks a replica
    spool_s: float = 10.0  # between two writes of the metrics to disk
