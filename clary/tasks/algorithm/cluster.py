"""How the hosts of a job find each other: the first one listens, the others report to it, and all learn the outcome.

    algo-2, algo-3 ── host name, whether it has data ──> algo-1
    algo-1 starts the algorithm's coordinator for the hosts with data, and sends each its address

A port cannot be agreed on beforehand, for jobs may share a machine: it is the first free one of a sequence that follows
from the job's name; a host that listens there for another job declines.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clary.tasks import configuration
from clary.tasks.failure import ClientError

log = logging.getLogger(__name__)

# Hosts start one after the other, and names resolve when all have started; AWS's toolkit waits as long.
TIMEOUT_S = 900
PORTS = range(20000, 60000)
PORTS_TRIED = 16
LINE_BYTES = 4096
RETRY_S = 0.2
REPORT_S = 5.0  # to send one line

# (number of members, the first host's address) -> what a member needs to reach the coordinator
StartCoordinator = Callable[[int, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The hosts that train one model.

    members      the hosts with data, in order; the first one writes the model
    coordinator  what the algorithm's library needs to connect the members; empty where one host trains alone
    """

    host: str
    members: tuple[str, ...]
    coordinator: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        return self.host in self.members

    @property
    def leads(self) -> bool:
        return self.members[:1] == (self.host,)

    @property
    def rank(self) -> int:
        return self.members.index(self.host)


def join(has_data: bool, start_coordinator: StartCoordinator) -> Cluster:
    """The cluster of this job; waits for all hosts. A host without data takes no part.

    Raises ClientError where no host has data, TimeoutError where one does not report.
    """
    host, hosts, interface = configuration.resources()
    if len(hosts) == 1:
        return Cluster(host, (host,))
    log.info("Distributed node training with %s hosts: %s", len(hosts), hosts)
    return join_hosts(host, hosts, has_data, configuration.job_name(), interface, start_coordinator)


def join_hosts(
    host: str, hosts: Sequence[str], has_data: bool, job: str, interface: str, start_coordinator: StartCoordinator
) -> Cluster:
    hosts = sorted(hosts)
    deadline_s = time.monotonic() + TIMEOUT_S
    address = _address(hosts[0], interface, deadline_s)
    if host == hosts[0]:
        outcome = _gather_reports(hosts, has_data, job, address, deadline_s, start_coordinator)
    else:
        outcome = _report(host, has_data, job, address, deadline_s)
    if not outcome["members"]:
        raise ClientError("No host has data in channel train.")
    return Cluster(host, tuple(outcome["members"]), outcome["coordinator"])


def _address(host: str, interface: str, deadline_s: float) -> str:
    """Of the first host. On one machine without network namespaces hosts have no names of their own."""
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
    """The same sequence on each host."""
    return random.Random(hashlib.sha256(job.encode()).digest()).sample(PORTS, PORTS_TRIED)


def _gather_reports(
    hosts: Sequence[str], has_data: bool, job: str, address: str, deadline_s: float, start_coordinator: StartCoordinator
) -> dict[str, Any]:
    """On the first host: wait for the others, and send each the outcome."""
    listener = _listen(address, job)
    reported: dict[str, tuple[socket.socket, bool]] = {}
    try:
        while len(reported) < len(hosts) - 1:
            listener.settimeout(max(deadline_s - time.monotonic(), 0.001))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                missing = sorted(set(hosts[1:]) - set(reported))
                raise TimeoutError(f"Hosts {', '.join(missing)} did not report within {TIMEOUT_S} s.") from None
            report = _receive(connection, REPORT_S)
            host = str(report.get("host"))
            if report.get("job") != job or host not in hosts[1:]:
                connection.close()
                continue
            if host in reported:  # it lost its connection and reports again
                reported[host][0].close()
            reported[host] = (connection, bool(report.get("has_data")))
        data = {hosts[0]: has_data} | {host: has for host, (_, has) in reported.items()}
        members = [host for host in hosts if data[host]]
        coordinator = start_coordinator(len(members), address) if len(members) > 1 else {}
        outcome = {"job": job, "members": members, "coordinator": coordinator}
        for connection, _ in reported.values():
            connection.sendall(json.dumps(outcome).encode() + b"\n")
        return outcome
    finally:
        listener.close()
        for connection, _ in reported.values():
            connection.close()


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
    raise OSError(f"None of the ports {ports(job)} of {address} is free for the hosts of this job to report to.")


def _report(host: str, has_data: bool, job: str, address: str, deadline_s: float) -> dict[str, Any]:
    """On any other host: report to the first one, and wait for the outcome."""
    report = json.dumps({"job": job, "host": host, "has_data": has_data}).encode() + b"\n"
    while time.monotonic() < deadline_s:
        for port in ports(job):
            try:
                with socket.create_connection((address, port), timeout=REPORT_S) as connection:
                    connection.sendall(report)
                    # The outcome comes when all hosts have reported; another job's listener hangs up.
                    outcome = _receive(connection, max(deadline_s - time.monotonic(), 0.001))
            except OSError:
                continue
            if outcome.get("job") == job:
                return outcome
        time.sleep(RETRY_S)
    raise TimeoutError(f"The first host did not answer at {address} within {TIMEOUT_S} s.")


def _receive(connection: socket.socket, timeout_s: float) -> dict[str, Any]:
    """One line of JSON; {} for anything else."""
    connection.settimeout(timeout_s)
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < LINE_BYTES * 16:
            part = connection.recv(LINE_BYTES)
            if not part:
                break
            data += part
        message = json.loads(data)
    except (OSError, ValueError):
        return {}
    return message if isinstance(message, dict) else {}
