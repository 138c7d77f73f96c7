"""How the hosts of a job find each other: the first one listens, the others report, and all learn who trains with whom.

    algo-2, algo-3 ── who I am, whether I have data ──> algo-1
    algo-1 starts XGBoost's tracker for those with data, and tells each where it is

A port cannot be agreed on beforehand, for jobs may share a machine: it is the first free one of a row that follows from
the job's name; who listens there for another job says no.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clary.tasks.failure import ClientError
from clary.tasks.xgboost.library import xgboost

log = logging.getLogger(__name__)

# Hosts start one after the other, and names resolve when all have started; AWS's toolkit waits as long.
PATIENCE_S = 900
PORTS = range(20000, 60000)
TRIES = 16
LINE_BYTES = 4096
RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Party:
    """Who this host trains with.

    members  the hosts with data, in order; the first one writes the model
    tracker  what xgboost.collective needs to reach the tracker; empty where one host trains alone
    """

    host: str
    members: tuple[str, ...]
    tracker: Mapping[str, Any]

    @property
    def trains(self) -> bool:
        return self.host in self.members

    @property
    def leads(self) -> bool:
        return self.members[:1] == (self.host,)


def alone(host: str) -> Party:
    return Party(host, (host,), {})


def meet(host: str, hosts: Sequence[str], has_data: bool, job: str, interface: str) -> Party:
    """Wait for all hosts. Raises ClientError where none has data, TimeoutError where one does not come."""
    hosts = sorted(hosts)
    deadline_s = time.monotonic() + PATIENCE_S
    address = _address(hosts[0], interface, deadline_s)
    if host == hosts[0]:
        answer = _host_meeting(hosts, has_data, job, address, deadline_s)
    else:
        answer = _report(host, has_data, job, address, deadline_s)
    if not answer["members"]:
        raise ClientError("No host has data in channel train.")
    return Party(host, tuple(answer["members"]), answer["tracker"])


@contextmanager
def together(party: Party) -> Iterator[None]:
    """Inside, XGBoost trains with the other members."""
    if not party.tracker:
        yield
        return
    collective = xgboost().collective
    arguments = dict(party.tracker)
    # Ranks follow the task ids, so the member that leads has rank 0.
    arguments["dmlc_task_id"] = f"{party.members.index(party.host):06d}"
    with collective.CommunicatorContext(**arguments):
        yield


def _address(host: str, interface: str, deadline_s: float) -> str:
    """Where the first host is reached. On one machine without network namespaces hosts have no names of their own."""
    if interface == "lo":
        return "127.0.0.1"
    while True:
        try:
            return socket.gethostbyname(host)
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"Host {host} does not resolve: {error}") from error
            time.sleep(RETRY_S)


def ports(job: str) -> list[int]:
    """The same row on each host."""
    return random.Random(hashlib.sha256(job.encode()).digest()).sample(PORTS, TRIES)


def _host_meeting(hosts: Sequence[str], has_data: bool, job: str, address: str, deadline_s: float) -> dict[str, Any]:
    listener = _listen(address, job)
    waiting: dict[str, tuple[socket.socket, bool]] = {}
    tracker: Mapping[str, Any] = {}
    try:
        while len(waiting) < len(hosts) - 1:
            listener.settimeout(max(deadline_s - time.monotonic(), 0.001))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                missing = sorted(set(hosts[1:]) - set(waiting))
                raise TimeoutError(f"Hosts {', '.join(missing)} did not come within {PATIENCE_S} s.") from None
            word = _hear(connection)
            if word.get("job") != job or word.get("host") not in hosts[1:]:
                connection.close()
                continue
            if word["host"] in waiting:  # it lost its connection and came again
                waiting[word["host"]][0].close()
            waiting[word["host"]] = (connection, bool(word.get("has_data")))
        there = {hosts[0]: has_data} | {name: has for name, (_, has) in waiting.items()}
        members = [name for name in hosts if there[name]]
        if len(members) > 1:
            tracker = _start_tracker(len(members), address)
        answer = {"job": job, "members": members, "tracker": tracker}
        for connection, _ in waiting.values():
            connection.sendall(json.dumps(answer).encode() + b"\n")
        return answer
    finally:
        listener.close()
        for connection, _ in waiting.values():
            connection.close()


_trackers: list[Any] = []  # a tracker lives as long as there is a reference to it


def _start_tracker(members: int, address: str) -> Mapping[str, Any]:
    library = xgboost()
    from xgboost.tracker import RabitTracker

    if not hasattr(RabitTracker, "worker_args"):
        raise ClientError(f"Training on several hosts needs XGBoost 2.1 or newer, and this is {library.__version__}.")
    tracker = RabitTracker(n_workers=members, host_ip=address, sortby="task")
    tracker.start()
    _trackers.append(tracker)
    arguments: Mapping[str, Any] = {"dmlc_communicator": "rabit", **tracker.worker_args()}
    return arguments


def _listen(address: str, job: str) -> socket.socket:
    for port in ports(job):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen()
            return listener
        except OSError:
            listener.close()
    raise OSError(f"None of the ports {ports(job)} of {address} is free for the hosts of this job to meet.")


def _report(host: str, has_data: bool, job: str, address: str, deadline_s: float) -> dict[str, Any]:
    message = json.dumps({"job": job, "host": host, "has_data": has_data}).encode() + b"\n"
    while time.monotonic() < deadline_s:
        for port in ports(job):
            try:
                with socket.create_connection((address, port), timeout=5) as connection:
                    connection.sendall(message)
                    # The answer comes when all hosts are there; another job's listener hangs up.
                    answer = _hear(connection, max(deadline_s - time.monotonic(), 0.001))
            except OSError:
                continue
            if answer.get("job") == job:
                return answer
        time.sleep(RETRY_S)
    raise TimeoutError(f"The first host did not answer at {address} within {PATIENCE_S} s.")


def _hear(connection: socket.socket, patience_s: float = 5.0) -> dict[str, Any]:
    """One line of JSON; {} for anything else."""
    connection.settimeout(patience_s)
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < LINE_BYTES * 16:
            part = connection.recv(LINE_BYTES)
            if not part:
                break
            data += part
        word = json.loads(data)
    except (OSError, ValueError):
        return {}
    return word if isinstance(word, dict) else {}
