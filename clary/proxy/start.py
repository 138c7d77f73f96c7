"""The variables that `clary env --transparent` exports; it starts the proxy where none runs."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from clary.core.credentials import credentials_for
from clary.core.files import write_whole
from clary.core.settings import Settings
from clary.proxy import authority
from clary.proxy.authority import Authority
from clary.proxy.ca_bundle import VARIABLES, write_ca_bundle
from clary.services.service import Service

ADDRESS = "127.0.0.1"
# The settings that a proxy is started with, and restarted for. They reach it as variables of its environment.
_SETTINGS = (
    "host", "port", "tls_certificate", "tls_key", "region", "account_id", "clock_skew_s", "s3_endpoint_url",
    "s3_access_key_id", "s3_secret_access_key", "proxy_other_hosts", "log_level",
)  # fmt: skip


def transparent_environment(settings: Settings) -> dict[str, str]:
    """The variables with which code that names AWS's own hosts reaches this server instead.

    Raises SettingsError where the proxy cannot run.
    """
    credentials = credentials_for(settings)
    with _exclusive(settings.paths.run / "proxy.starting"):
        signer = authority.load_or_make(settings.paths.certificates, datetime.now(UTC))
        bundle = str(write_ca_bundle(settings.paths.certificates, signer))
        port = _running_port(settings, signer)
    proxy, no_proxy = f"http://{ADDRESS}:{port}", _no_proxy(settings)
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        **dict.fromkeys(VARIABLES, bundle),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "SAGEMAKER_ROLE_ARN": settings.account.role_arn,
    }


def stop(settings: Settings) -> None:
    """End the home's proxy, if it runs."""
    asyncio.run(_service(settings, 0, "").stop())


def _running_port(settings: Settings, signer: Authority) -> int:
    """The proxy's port, once it runs: the same as before where that is possible, as shells remember it."""
    record = settings.paths.run / "proxy.json"
    port = _recorded_port(record)
    service = _service(settings, port, signer.fingerprint)
    if not port or not (asyncio.run(_is_running(service)) or _is_free(port)):
        port = _free_port()
        service = _service(settings, port, signer.fingerprint)
    write_whole(record, json.dumps({"port": port}))
    asyncio.run(service.start_or_adopt())
    return port


def _service(settings: Settings, port: int, fingerprint: str) -> Service:
    home = str(settings.home)
    argv = [sys.executable, "-P", "-m", "clary.proxy", "--home", home, "--port", str(port), "--authority", fingerprint]
    url = f"http://{ADDRESS}:{port}"
    return Service(
        "proxy",
        argv,
        {f"CLARY_{name.upper()}": str(getattr(settings, name)) for name in _SETTINGS},
        url=url,
        health_url=f"{url}/healthz",
        address=(ADDRESS, port),
        run=settings.paths.run,
        setting="(none: the proxy takes any free port, and this one was taken meanwhile; try again)",
    )


async def _is_running(service: Service) -> bool:
    return not await service.ended(0)


def _recorded_port(record: Path) -> int:
    try:
        port = json.loads(record.read_text())["port"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0
    return port if isinstance(port, int) and 0 < port < 65536 else 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def _no_proxy(settings: Settings) -> str:
    """The hosts to be reached without the proxy: this machine, and those in the shell's own NO_PROXY."""
    inherited = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    local = ["127.0.0.1", "localhost", "::1", *([] if settings.loopback else [settings.host])]
    return ",".join(dict.fromkeys([*local, *(name for part in inherited.split(",") if (name := part.strip()))]))


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock: two shells that start the proxy at once get the same proxy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
