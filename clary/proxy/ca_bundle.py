"""The CA bundle for clients, one PEM file: the authorities they trusted before, and the home's own.

It replaces the bundle that clients bring along, so it holds all of that too: TLS to other sites goes on to work.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from clary.core.files import write_whole
from clary.proxy.authority import Authority

# Variables that name a bundle: a company's own, perhaps.
VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def write_ca_bundle(folder: Path, authority: Authority, environment: Mapping[str, str] = os.environ) -> Path:
    """The file, written where it is missing or its content has changed."""
    path = folder / "bundle.pem"
    certificates = {_normalized(authority.pem): authority.pem.strip()}
    for source in _sources(environment):
        if source.resolve() != path.resolve():
            certificates |= {_normalized(pem): pem for pem in _certificates(source)}
    text = "\n".join((*certificates.values(), ""))
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        write_whole(path, text)
    return path


def _sources(environment: Mapping[str, str]) -> Iterator[Path]:
    yield from (Path(environment[name]) for name in VARIABLES if environment.get(name))
    defaults = ssl.get_default_verify_paths()
    yield from (Path(name) for name in (defaults.cafile, defaults.openssl_cafile) if name)
    # The bundles of Debian, Fedora and openSUSE, in this order, for programs that bring none.
    yield Path("/etc/ssl/certs/ca-certificates.crt")
    yield Path("/etc/pki/tls/certs/ca-bundle.crt")
    yield Path("/etc/ssl/ca-bundle.pem")
    for package, name in (("certifi", "cacert.pem"), ("botocore", "cacert.pem")):
        if (spec := find_spec(package)) and spec.origin:
            yield Path(spec.origin).with_name(name)


def _normalized(pem: str) -> str:
    """The same text for every way to break the lines."""
    return "".join(pem.split())


def _certificates(source: Path) -> list[str]:
    try:
        text = source.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [pem.replace("\r\n", "\n") for pem in _CERTIFICATE.findall(text)]
