"""The other processes of a home: the services that the server keeps, and what a task's supervisor is given."""

from __future__ import annotations

import os
import sys

from clary.artifacts.stores import s3_access
from clary.compute.plan import Platform
from clary.core.credentials import Credentials
from clary.core.settings import Settings
from clary.services.s3 import embedded_s3
from clary.services.service import Service


def services_of(settings: Settings, credentials: Credentials) -> list[Service]:
    """The gateway, and the embedded S3 where there is no other."""
    url = settings.url(settings.gateway_port)
    argv = [sys.executable, "-m", "clary.gateway", "--home", str(settings.home), "--host", settings.host]
    variables = {name: value for name, value in os.environ.items() if name.startswith("CLARY_")}
    gateway = Service(
        "gateway",
        [*argv, "--port", str(settings.port)],
        variables,
        url=url,
        health_url=f"{url}/healthz",
        address=(settings.host, settings.gateway_port),
        run=settings.paths.run,
        setting="port (the gateway takes port+1)",
    )
    return [gateway, embedded_s3(settings, credentials)] if settings.embedded_s3 else [gateway]


def platform_of(settings: Settings, credentials: Credentials) -> Platform:
    """What every task is given of this server: where its logs, events and metrics go, and how it reaches S3."""
    s3 = s3_access(settings, credentials)
    return Platform(
        logs=str(settings.paths.logs),
        events_socket=str(settings.paths.run / "events.sock"),
        endpoint_url=settings.url(settings.port),
        s3_endpoint_url=s3.endpoint_url,
        s3_folder=str(s3.folder or ""),
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        s3_access_key_id=s3.access_key_id,
        s3_secret_access_key=s3.secret_access_key,
        region=settings.region,
        account_id=settings.account_id,
        metrics=str(settings.paths.metrics),
    )
