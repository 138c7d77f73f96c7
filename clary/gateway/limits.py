"""How long the gateway waits and how much it takes: one value, so that tests can shorten it."""

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
    buffered_bytes: int = 1024 * MIB  # bodies held at one time, all requests together

    head_s: float = 10.0  # from the first byte of a request to the end of its head
    idle_s: float = 75.0  # between requests of a connection
    body_gap_s: float = 20.0  # between two pieces of a request's body
    body_s: float = 300.0  # for all of it
    stall_s: float = 60.0  # a client that does not take its answer
    linger_s: float = 2.0  # for what a client still sends after an early answer, anew with each piece

    # boto3's own default patience is 60 s: a little less, so that it hears our answer and not its own time-out.
    hold_s: float = 58.0
    held: int = 1000  # requests waiting for a replica, all endpoints together
    connect_s: float = 2.0
    model_s: float = 60.0  # to the whole answer; of a stream, to its head
    stream_s: float = 480.0  # to the end of a stream
    # Shorter than the keep-alive of the usual model servers (2 s and up), so that a request never meets a connection
    # which its replica closes at the same moment: there is no safe way to send it a second time.
    replica_idle_s: float = 1.5

    drain_s: float = 30.0  # after SIGTERM
    sweep_s: float = 1.0  # how often times are looked at; also their precision
    follow_s: float = 0.5  # how often the routes' folder is looked at
