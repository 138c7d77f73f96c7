"""The canonical form of a request, which is what AWS Signature Version 4 signs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it was sent. Header names are lower case; path and query are not decoded."""

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def header(self, name: bytes) -> str | None:
        """The values of a header, joined; None where it was not sent."""
        values = [_trimmed(value) for key, value in self.headers if key == name]
        return ",".join(values) if values else None


def canonical_request(request: SignedRequest, signed_headers: Sequence[str], query: str, payload: str, s3: bool) -> str:
    """The form of the request that both sides sign. `payload` stands for the body."""
    headers = "".join(f"{name}:{request.header(name.encode()) or ''}\n" for name in signed_headers)
    parts = (request.method.upper(), _path(request.path, s3), query, headers, ";".join(signed_headers), payload)
    return "\n".join(parts)


def _path(path: bytes, s3: bool) -> str:
    if s3:
        return quote(unquote_to_bytes(path), safe="/~") or "/"
    # Of other services dots and empty segments are removed, and what is already escaped is escaped once more.
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    tail = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + tail, safe="/~")


def query_as_sent(query: bytes) -> str:
    """The parameters sorted, escaped as they were sent."""
    pairs = (pair.partition(b"=") for pair in query.split(b"&") if pair)
    return _joined([(name.decode("latin-1"), value.decode("latin-1")) for name, _, value in pairs])


def query_escaped(query: bytes) -> str:
    """The parameters sorted, escaped as AWS escapes."""
    pairs = (pair.partition(b"=") for pair in query.split(b"&") if pair)
    return _joined([(_escaped(name), _escaped(value)) for name, _, value in pairs])


def _escaped(raw: bytes) -> str:
    return quote(unquote_to_bytes(raw), safe="-_.~")


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature")


def _trimmed(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return " ".join(text.split())


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key for a day, region and service."""
    key = f"AWS4{secret}".encode()
    for step in (date, region, service, TERMINATOR):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def signature(key: bytes, timestamp: str, scope: str, canonical: str) -> str:
    """Hex."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.digest(key, "\n".join((ALGORITHM, timestamp, scope, digest)).encode(), "sha256").hex()
