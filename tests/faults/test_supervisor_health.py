"""Pings and ports of replicas, over real sockets."""

from __future__ import annotations

import http.server
import selectors
import socket
import threading
import time

from clary.core.tasks import Serve
from clary.supervisor.health import Health
from clary.supervisor.ports import hold_ports
from clary.supervisor.timers import Timers


def test_a_server_that_answers_500_and_then_hangs_is_not_ready() -> None:
    """Three kinds of response in a row: an error, none within the time, 200 on a connection that stays open."""
    responses = iter(["500", "hang", "200"])
    hold = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = next(responses, "200")
            if response == "hang":
                hold.wait(10)
            self.send_response(500 if response == "500" else 200)
            self.end_headers()
            self.wfile.flush()
            if response == "200":
                hold.wait(10)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        selector, timers, seen = selectors.DefaultSelector(), Timers(), list[str]()
        serve = Serve(startup_timeout_s=10, ping_timeout_s=0.2)
        health = Health(server.server_port, serve, selector, timers, lambda: seen.append("ready"), seen.append)
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            for key, _ in selector.select(timers.wait_s):
                key.data()
            timers.run_due()
        health.stop()
        hold.set()
        server.shutdown()
    assert seen == ["ready"]
    assert next(responses, None) is None
    assert timers.wait_s is None
    assert not selector.get_map()
    selector.close()


def test_a_port_without_a_listener_is_pinged_until_the_startup_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    selector, timers, seen = selectors.DefaultSelector(), Timers(), list[str]()
    Health(port, Serve(startup_timeout_s=0.3), selector, timers, lambda: seen.append("ready"), seen.append)
    while not seen:
        for key, _ in selector.select(timers.wait_s):
            key.data()
        timers.run_due()
    assert seen == ["The model server did not pass the ping health check within 0.3 s"]
    selector.close()


def test_two_replicas_never_get_the_same_port() -> None:
    held = [hold_ports() for _ in range(20)]
    ranges = [{ports.bind, *range(ports.safe[0], ports.safe[1] + 1)} for ports in (each.ports for each in held)]
    assert len(set().union(*ranges)) == sum(map(len, ranges)) == 200
    for each in held:
        each.reservation.close()
