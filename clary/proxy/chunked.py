"""aws-chunked: a body in pieces, each with its length and perhaps its signature, and checksums behind them.

    10000;chunk-signature=ad80…\\r\\n  <65536 bytes>  \\r\\n
    0;chunk-signature=b6c6…\\r\\n
    x-amz-checksum-crc32:sOO8/Q==\\r\\n
    x-amz-trailer-signature:d81f…\\r\\n
    \\r\\n
Reference: S3 API Reference, "Signature Calculations: Transferring Payload in Multiple Chunks", "… with trailing
headers".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator

from clary.core.sigv4 import EMPTY_SHA256, Claim
from clary.proxy.errors import IncompleteBody, SignatureDoesNotMatch

UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

_MAX_LINE_BYTES = 4096
_MAX_TRAILERS = 16
_HEAD = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER = re.compile(rb"([A-Za-z0-9-]{1,64})[ \t]*:[ \t]*([!-~]{1,256})[ \t]*")
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


class ChunkSigner:
    """Checks the signatures of one body's chunks. Each signs the one before it; the first, the request's."""

    def __init__(self, claim: Claim, key: bytes) -> None:
        self._claim = claim
        self._key = key
        self._last = claim.signature

    def check_chunk(self, sha256: str, signature: str) -> None:
        self._check(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._preceding}\n{EMPTY_SHA256}\n{sha256}", signature, "a chunk")

    def check_trailers(self, trailers: dict[str, str], signature: str) -> None:
        text = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._preceding}\n{digest}", signature, "the trailer")

    @property
    def _preceding(self) -> str:
        return f"{self._claim.timestamp}\n{self._claim.scope}\n{self._last}"

    def _check(self, text: str, signature: str, part: str) -> None:
        expected = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, signature):
            raise SignatureDoesNotMatch(f"The signature of {part} does not match what we calculated for it.")
        self._last = expected


async def decode(
    pieces: AsyncIterator[bytes],
    trailers: dict[str, str],
    signer: ChunkSigner | None = None,
    sign_trailers: bool = False,
) -> AsyncIterator[bytes]:
    """The decoded body. `trailers` is filled at its end, names in lower case.

    Raises IncompleteBody where it is malformed or ends early, SignatureDoesNotMatch.
    """
    source = _Source(pieces)
    size = 1
    while size:
        size, signature = _head(await source.line())
        digest = hashlib.sha256()
        async for piece in source.take(size):
            digest.update(piece)
            yield piece
        if size and await source.line():
            raise IncompleteBody("A chunk of the body is longer than its declared length.")
        if signer is not None:
            signer.check_chunk(digest.hexdigest(), signature)
    while line := await source.line():
        name, value = _trailer(line)
        trailers[name] = value
        if len(trailers) > _MAX_TRAILERS:
            raise IncompleteBody(f"More than {_MAX_TRAILERS} trailers.")
    signature = trailers.pop(_TRAILER_SIGNATURE, "")
    if signer is not None and sign_trailers:
        signer.check_trailers(trailers, signature)
    await source.end()


def _head(line: bytes) -> tuple[int, str]:
    match = _HEAD.fullmatch(line)
    if not match:
        raise IncompleteBody(f"A chunk of the body begins with {line[:64]!r}, which is not a length.")
    return int(match[1], 16), (match[2] or b"").decode()


def _trailer(line: bytes) -> tuple[str, str]:
    match = _TRAILER.fullmatch(line)
    if not match:
        raise IncompleteBody(f"The trailer {line[:64]!r} is malformed.")
    return match[1].decode().lower(), match[2].decode()


class _Source:
    """Pieces of any size, read as lines and as numbers of bytes."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""

    async def line(self) -> bytes:
        """Up to the next CRLF, without it."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _MAX_LINE_BYTES:
                raise IncompleteBody(f"A line between the body's chunks is longer than {_MAX_LINE_BYTES} bytes.")
            self._buffer += await self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    async def take(self, size: int) -> AsyncIterator[bytes]:
        """Exactly so many bytes."""
        while size:
            piece = self._buffer or await self._more()
            piece, self._buffer = piece[:size], piece[size:]
            size -= len(piece)
            yield piece

    async def end(self) -> None:
        """Raises IncompleteBody where there is more."""
        if self._buffer or await anext(self._pieces, b""):
            raise IncompleteBody("The body goes on after its last chunk.")

    async def _more(self) -> bytes:
        if not (piece := await anext(self._pieces, b"")):
            raise IncompleteBody("The body ends before its last chunk.")
        return piece
