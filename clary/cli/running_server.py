"""A running server as the command line finds it: its processes, and its own account of itself."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from datetime import UTC, datetime
from typing import Any

from clary.core import sigv4
from clary.core.credentials import credentials_for
from clary.core.settings import Settings
from clary.detached import process


def running_pid(settings: Settings) -> int | None:
    """The process that serves this home, None where none does."""
    return pid_of(settings, "server")


def pid_of(settings: Settings, name: str) -> int | None:
    """The process that holds the lock of the server or one of its services."""
    with process.found(settings.paths.run / f"{name}.lock") as running:
        return running.pid if running else None


def get(url: str, path: str, headers: dict[str, str] | None = None, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """Status and body of a GET; (0, b"") where nothing answers."""
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # The server on this machine, whatever name its certificate has: only whether it answers matters.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def answers(url: str) -> bool:
    return get(url, "/healthz")[0] == 200


def server_status(settings: Settings) -> dict[str, Any] | None:
    """What GET /status of a running server gives, None where it does not answer."""
    url = settings.url(settings.port)
    headers = sigv4.sign(
        "GET",
        f"{url}/status",
        {},
        b"",
        credentials_for(settings),
        region=settings.region,
        service="sagemaker",
        now=datetime.now(UTC),
    )
    status, body = get(url, "/status", headers, timeout_s=10.0)
    answer: dict[str, Any] | None = json.loads(body) if status == 200 else None
    return answer
