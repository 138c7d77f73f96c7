"""The keys callers sign with, made at the first start and kept in `<home>/credentials.json`, mode 0600.

AWS clients sign with one pair of keys whatever service they call, so with an S3 of one's own its keys are Clary's too.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from clary.core.files import write_whole
from clary.core.settings import Settings

_ACCESS_KEY_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key pair, in the form AWS gives them."""

    access_key_id: str
    secret_access_key: str


def credentials_for(settings: Settings) -> Credentials:
    """The keys that callers of this server sign with."""
    if settings.embedded_s3:
        return load_or_make(settings.paths.credentials)
    return Credentials(settings.s3_access_key_id, settings.s3_secret_access_key)


def load_or_make(path: Path) -> Credentials:
    """The home's keys; new ones where there are none. Processes that make them at the same time all get the same."""
    with contextlib.suppress(FileNotFoundError):
        return _load(path)
    created = Credentials(
        access_key_id="AKIA" + "".join(secrets.choice(_ACCESS_KEY_ALPHABET) for _ in range(16)),
        secret_access_key=secrets.token_urlsafe(30),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_whole(temporary, json.dumps(asdict(created)), mode=0o600)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)  # unlike a rename, it replaces no file
    finally:
        temporary.unlink(missing_ok=True)
    return _load(path)


def _load(path: Path) -> Credentials:
    return Credentials(**json.loads(path.read_text()))
