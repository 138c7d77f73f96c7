"""The keys callers sign with, made at the first start and kept in `<home>/credentials.json`, mode 0600."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from clary.core.files import write_whole

_ACCESS_KEY_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key pair, in the form AWS gives them."""

    access_key_id: str
    secret_access_key: str


def load_or_make(path: Path) -> Credentials:
    """The home's keys; new ones where there are none yet."""
    try:
        return Credentials(**json.loads(path.read_text()))
    except FileNotFoundError:
        made = Credentials(
            access_key_id="AKIA" + "".join(secrets.choice(_ACCESS_KEY_ALPHABET) for _ in range(16)),
            secret_access_key=secrets.token_urlsafe(30),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(made)), mode=0o600)
        return made
