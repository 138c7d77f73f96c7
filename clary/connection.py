"""How clients on this machine find a server: its settings as they are in force, and the variables to export."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from clary.core.credentials import credentials_for
from clary.core.files import write_whole
from clary.core.s3_clients import CLIENT_ENVIRONMENT
from clary.core.settings import Settings, read_settings

# What the command line may set, and so the next command must find again.
_SAVED = ("host", "port")


def save_started_settings(settings: Settings) -> None:
    """Write down how the server was started, for `running_settings`."""
    settings.paths.run.mkdir(parents=True, exist_ok=True)
    saved = {name: getattr(settings, name) for name in _SAVED}
    write_whole(settings.paths.run / "started.json", json.dumps(saved))


def running_settings(home: Path | None) -> Settings:
    """The settings of a home, with the options of the last `clary up`."""
    settings = read_settings(home)
    try:
        saved: dict[str, Any] = json.loads((settings.paths.run / "started.json").read_text())
    except (FileNotFoundError, ValueError):
        return settings
    return dataclasses.replace(settings, **{name: saved[name] for name in _SAVED if name in saved})


def environment(settings: Settings) -> dict[str, str]:
    """The variables that point AWS clients at this server. Keys and the SDKs' file are made where they are missing."""
    credentials = credentials_for(settings)
    write_sdk_config(settings)
    variables = {
        "AWS_ENDPOINT_URL": settings.url(settings.port),
        "AWS_ENDPOINT_URL_S3": settings.s3_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": settings.url(settings.gateway_port),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "SAGEMAKER_ROLE_ARN": settings.account.role_arn,
        "SAGEMAKER_DEFAULT_BUCKET": settings.account.default_bucket,
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings.paths.sdk_config),
        **(CLIENT_ENVIRONMENT if settings.embedded_s3 else {}),
    }
    if settings.tls_certificate:
        variables["AWS_CA_BUNDLE"] = settings.tls_certificate
    return variables


def write_sdk_config(settings: Settings) -> None:
    """Give both SageMaker SDKs the default bucket, so that they need not ask a hard-coded STS host for the account."""
    text = (
        "SchemaVersion: '1.0'\n"
        "SageMaker:\n"
        "  PythonSDK:\n"
        "    Modules:\n"
        "      TelemetryOptOut: true\n"
        "      Session:\n"
        f"        DefaultS3Bucket: {settings.account.default_bucket}\n"
    )
    path = settings.paths.sdk_config
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
