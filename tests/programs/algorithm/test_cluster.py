"""Hosts find each other, whatever else listens on the machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clary.tasks.algorithm import cluster
from clary.tasks.algorithm.cluster import Cluster, join_hosts, ports
from clary.tasks.failure import ClientError

HOSTS = ["algo-1", "algo-10", "algo-2"]


def coordinator(members: int, address: str) -> Mapping[str, Any]:
    return {"uri": address, "n": members}


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    return request.node.name


def gather(job: str, with_data: set[str]) -> dict[str, Cluster]:
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        found = {
            host: pool.submit(join_hosts, host, HOSTS, host in with_data, job, "lo", coordinator)
            for host in reversed(HOSTS)
        }
        return {host: future.result(30) for host, future in found.items()}


def test_all_learn_who_trains_and_where_the_coordinator_is(job: str) -> None:
    clusters = gather(job, {"algo-1", "algo-10", "algo-2"})
    assert {found.members for found in clusters.values()} == {("algo-1", "algo-10", "algo-2")}
    assert all(found.coordinator == {"uri": "127.0.0.1", "n": 3} for found in clusters.values())
    assert [host for host, found in clusters.items() if found.leads] == ["algo-1"]


def test_hosts_without_data_take_no_part(job: str) -> None:
    clusters = gather(job, {"algo-10", "algo-2"})
    assert [host for host in HOSTS if clusters[host].trains] == ["algo-10", "algo-2"]
    assert clusters["algo-10"].leads


def test_one_host_with_data_needs_no_coordinator(job: str) -> None:
    found = gather(job, {"algo-2"})["algo-2"]
    assert (found.leads, found.coordinator) == (True, {})


def test_no_data_anywhere(job: str) -> None:
    with pytest.raises(ClientError, match="No host has data in channel train"):
        gather(job, set())


def test_connections_of_others_are_ignored(job: str) -> None:
    """Another program has the first port and talks nonsense; others talk nonsense to ours."""
    first, second = ports(job)[:2]
    done = threading.Event()

    def other_program(listener: socket.socket) -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"220 welcome\n")

    def visitor(message: bytes) -> None:
        while not done.wait(0.01):
            try:
                with socket.create_connection(("127.0.0.1", second), timeout=5) as connection:
                    connection.sendall(message)
                    return
            except OSError:
                continue

    other_job = json.dumps({"job": "other", "host": "algo-2", "has_data": False}).encode() + b"\n"
    unknown = json.dumps({"job": job, "host": "algo-7", "has_data": False}).encode() + b"\n"
    with socket.create_server(("127.0.0.1", first)) as listener:
        threads = [threading.Thread(target=other_program, args=[listener], daemon=True)]
        threads += [
            threading.Thread(target=visitor, args=[request]) for request in (b"GET /\n", b"[1]\n", other_job, unknown)
        ]
        for thread in threads:
            thread.start()
        try:
            clusters = gather(job, set(HOSTS))
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
    assert clusters["algo-2"].members == tuple(HOSTS)


@pytest.mark.parametrize(
    ("host", "fragment"),
    [("algo-1", "Hosts algo-10, algo-2 did not report"), ("algo-2", "The first host did not answer at 127.0.0.1")],
)
def test_waiting_for_the_other_hosts_is_bounded(
    host: str, fragment: str, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.2)
    with pytest.raises(TimeoutError, match=fragment):
        join_hosts(host, HOSTS, True, job, "lo", coordinator)


def test_a_name_that_does_not_resolve(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Any:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(cluster, "TIMEOUT_S", 0)
    monkeypatch.setattr(socket, "gethostbyname", unknown)
    with pytest.raises(TimeoutError, match="Host algo-1 does not resolve"):
        join_hosts("algo-2", HOSTS, True, job, "eth0", coordinator)
