"""S3 requests as AWS's clients send them over TLS, rewritten into what any S3 server understands.

The bucket moves from the host's name into the path; a chunked body is decoded; checksums are compared here and not sent
on; and since all of this breaks the signature, it is verified here and the request signed anew.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import h11

from clary.core import sigv4
from clary.core.credentials import Credentials
from clary.core.errors import AccessError
from clary.core.sigv4 import Claim, SignedRequest
from clary.proxy import chunked, sigv2
from clary.proxy.checks import PREFIX, Checks, checked
from clary.proxy.client import Client, Headers
from clary.proxy.errors import (
    InvalidRequest,
    MissingContentLength,
    as_s3_error,
)
from clary.proxy.limits import Limits
from clary.proxy.relay import end_to_end, relay
from clary.proxy.upstream import Target

_HEX = re.compile(r"[0-9a-f]{64}")
# Said anew for the next connection, or of no destination there.
_NOT_FORWARDED = re.compile(
    rb"authorization|host|expect|content-length|content-encoding|x-amz-content-sha256|x-amz-date"
    rb"|x-amz-security-token|x-amz-decoded-content-length|x-amz-trailer|x-amz-sdk-checksum-algorithm"
    rb"|x-amz-checksum-.*"
)
_SIGNATURE_PARAMETERS = frozenset(
    f"X-Amz-{name}".encode()
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token")
) | {name.encode() for name in sigv2.PARAMETERS}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class S3:
    """The S3 service behind the proxy.

    client_keys   the keys that clients sign with
    keys          the keys that requests to the service are signed with
    region        that they are signed for
    """

    target: Target
    client_keys: Credentials
    keys: Credentials
    region: str
    skew_s: float
    limits: Limits
    now: Callable[[], datetime] = _now

    async def answer(self, client: Client, request: h11.Request, bucket: str) -> None:
        """Forward the request. Raises ServiceError, with S3's codes, while the client has no response yet."""
        path, _, query = request.target.partition(b"?")
        signed = SignedRequest(request.method.decode(), path, query, list(request.headers))
        claim = self._verify(signed, bucket)
        body = await _with_first_piece(self._body(signed, claim, client.body()))
        await relay(client, self._rewritten(signed, bucket), body, self.target, self.limits, _without_partial_checksums)

    def _verify(self, signed: SignedRequest, bucket: str) -> Claim | None:
        """The claim; None for a presigned URL of Signature Version 2."""
        if not signed.path.startswith(b"/"):
            raise InvalidRequest(f"The path {signed.path[:64]!r} does not begin with a slash.")
        if sigv2.presigned(signed):
            sigv2.verify(signed, bucket, self.client_keys, self.now())
            return None
        try:
            return sigv4.verify(
                signed,
                None,
                self.client_keys,
                self.now(),
                self.skew_s,
                services=("s3",),
                s3=True,
                unsigned_payload=True,
            )
        except AccessError as error:
            raise as_s3_error(error) from error

    def _body(self, signed: SignedRequest, claim: Claim | None, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The object's bytes, with the checks of the body."""
        declared = signed.header(b"x-amz-content-sha256") or ""
        trailers: dict[str, str] = {}
        if declared.startswith("STREAMING-"):
            pieces = self._dechunked(declared, claim, pieces, trailers)
        elif declared not in ("", sigv4.UNSIGNED_PAYLOAD) and not _HEX.fullmatch(declared):
            raise InvalidRequest("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-…, or a valid sha256 value.")
        checks = Checks(
            _length(signed),
            declared if _HEX.fullmatch(declared) else "",
            signed.header(b"content-md5") or "",
            _checksums(signed),
            signed.header(b"x-amz-trailer") or "",
        )
        return checked(pieces, checks, trailers)

    def _dechunked(
        self, declared: str, claim: Claim | None, pieces: AsyncIterator[bytes], trailers: dict[str, str]
    ) -> AsyncIterator[bytes]:
        if declared == chunked.UNSIGNED_TRAILER:
            return chunked.decode(pieces, trailers)
        if declared not in (chunked.SIGNED, chunked.SIGNED_TRAILER) or claim is None:
            raise InvalidRequest(f"x-amz-content-sha256 = {declared[:64]!r} is not supported.")
        key = sigv4.signing_key(self.client_keys.secret_access_key, claim.date, claim.region, claim.service)
        signer = chunked.ChunkSigner(claim, key)
        return chunked.decode(pieces, trailers, signer, sign_trailers=declared == chunked.SIGNED_TRAILER)

    def _rewritten(self, signed: SignedRequest, bucket: str) -> h11.Request:
        """The request as the service understands it, signed for it."""
        headers = [pair for pair in end_to_end(list(signed.headers)) if not _NOT_FORWARDED.fullmatch(pair[0])]
        coding = [part.strip() for part in (signed.header(b"content-encoding") or "").split(",")]
        if encodings := [part for part in coding if part not in ("", "aws-chunked")]:
            headers.append((b"content-encoding", ",".join(encodings).encode()))
        if _announces_body(signed):
            headers.append((b"content-length", str(_length(signed)).encode()))
        amz = {name for name, _ in headers if name.startswith(b"x-amz-")}
        target = _path(signed.path, bucket) + _query(signed.query)
        try:
            signed_headers = {name.decode(): _joined(headers, name) for name in amz}
        except UnicodeDecodeError as error:
            raise InvalidRequest("A header is not UTF-8.") from error
        signature = sigv4.sign(
            signed.method,
            self.target.url + target,
            signed_headers,
            b"",
            self.keys,
            region=self.region,
            service="s3",
            now=self.now(),
            s3=True,
            payload=sigv4.UNSIGNED_PAYLOAD,
        )
        sent = [(name.encode(), value.encode()) for name, value in signature.items()]
        unsigned = [pair for pair in headers if pair[0] not in amz]
        return h11.Request(method=signed.method, target=target, headers=[*sent, *unsigned, (b"connection", b"close")])


async def _with_first_piece(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same body, once its first piece is received: a body of one piece is checked before anything is sent on."""
    first = await anext(body, None)

    async def whole() -> AsyncIterator[bytes]:
        if first is not None:
            yield first
        async for piece in body:
            yield piece

    return whole()


def _without_partial_checksums(status: int, headers: Headers) -> Headers:
    """Without the checksums of a part of an object: some servers send that of the whole, and clients would compare."""
    if status != 206:
        return headers
    return [pair for pair in headers if not pair[0].startswith(PREFIX.encode())]


def _checksums(signed: SignedRequest) -> dict[str, str]:
    """The declared checksums of the body. Those of CompleteMultipartUpload are of the whole object, not of its body."""
    if signed.method == "POST" and b"uploadId=" in signed.query:
        return {}
    names = {name.decode("latin-1") for name, _ in signed.headers}
    return {name: signed.header(name.encode("latin-1")) or "" for name in names if name.startswith(PREFIX)}


def _announces_body(signed: SignedRequest) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in signed.headers)


def _length(signed: SignedRequest) -> int:
    """The declared length of the object. Raises MissingContentLength, InvalidRequest."""
    chunked_body = (signed.header(b"x-amz-content-sha256") or "").startswith("STREAMING-")
    name = b"x-amz-decoded-content-length" if chunked_body else b"content-length"
    text = signed.header(name)
    if text is None:
        if not _announces_body(signed):
            return 0
        raise MissingContentLength(f"You must provide the {name.decode()} HTTP header.")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidRequest(f"{name.decode()} = {text[:64]!r} is not a length in bytes.")
    return int(text)


def _joined(headers: Headers, name: bytes) -> str:
    return ",".join(value.decode() for key, value in headers if key == name)


def _path(path: bytes, bucket: str) -> str:
    return quote(unquote_to_bytes((f"/{bucket}".encode() if bucket else b"") + path), safe="/~")


def _query(query: bytes) -> str:
    """The query without the signature, escaped as all servers sign it."""
    pairs = (pair.partition(b"=") for pair in query.split(b"&") if pair)
    parameters = [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]
    text = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in parameters
        if name not in _SIGNATURE_PARAMETERS
    )
    return f"?{text}" if text else ""
