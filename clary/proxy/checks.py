"""Whether a body is the one the client meant to send: its length, and the checksums sent before or after it.

The last piece of a body is held back until everything matches, so that the service never receives a wrong body whole.
CRC32C, CRC64NVME and the XXHash family are not compared: there is no implementation of them that is fast enough.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from clary.proxy.errors import BadDigest, IncompleteBody, XAmzContentSHA256Mismatch

PREFIX = "x-amz-checksum-"


class _Sum(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4)


_SUMS: dict[str, Callable[[], _Sum]] = {
    "crc32": _Crc32, "sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512, "md5": hashlib.md5,
}  # fmt: skip


class Checks:
    """What was declared of a body, compared with what is received.

    length        in bytes
    sha256        hex, as signed; "" where the body was not
    md5           Content-MD5
    headers       its x-amz-checksum-*, base64
    trailers      the names of the checksums that follow it
    """

    def __init__(
        self, length: int, sha256: str = "", md5: str = "", headers: Mapping[str, str] | None = None, trailers: str = ""
    ) -> None:
        self._remaining = length
        self._sha256 = hashlib.sha256() if sha256 else None
        self._signed = sha256
        self._expected = dict(headers or {}) | ({"content-md5": md5} if md5 else {})
        self._announced = [name for part in trailers.lower().split(",") if (name := part.strip())]
        self._sums: dict[str, _Sum] = {}
        for name in (*self._expected, *self._announced):
            kind = "md5" if name == "content-md5" else name.removeprefix(PREFIX)
            if kind in _SUMS:
                self._sums[name] = _SUMS[kind]()

    def update(self, piece: bytes) -> None:
        self._remaining -= len(piece)
        if self._remaining < 0:
            raise IncompleteBody("The body is longer than its declared length.")
        for checksum in (*self._sums.values(), *([self._sha256] if self._sha256 else [])):
            checksum.update(piece)

    def finish(self, trailers: Mapping[str, str]) -> None:
        """Raises IncompleteBody, BadDigest, XAmzContentSHA256Mismatch."""
        if self._remaining:
            raise IncompleteBody(f"The body is {self._remaining} bytes shorter than its declared length.")
        for name in self._announced:
            if name not in trailers:
                raise IncompleteBody(f"The trailer {name[:64]} was announced and not sent.")
        for name, value in (self._expected | dict(trailers)).items():
            if name in self._sums and _decoded(name, value) != self._sums[name].digest():
                raise BadDigest(f"The {name} you sent does not match the body that was received.")
        if self._sha256 and self._sha256.hexdigest() != self._signed:
            raise XAmzContentSHA256Mismatch(
                "The provided 'x-amz-content-sha256' does not match the body that was received."
            )


def _decoded(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise BadDigest(f"{name} = {value[:64]!r} is not base64.") from error


async def checked(pieces: AsyncIterator[bytes], checks: Checks, trailers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The same pieces, the last of them once the checks have passed."""
    held = b""
    async for piece in pieces:
        checks.update(piece)
        if held:
            yield held
        held = piece
    checks.finish(trailers)
    if held:
        yield held
