"""Presigned URLs of Signature Version 2: those that boto3 makes for S3 by default.

Reference: S3 User Guide, "Signing and Authenticating REST Requests", "Query String Request Authentication Alternative".
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from urllib.parse import unquote_to_bytes

from clary.core.credentials import Credentials
from clary.core.sigv4 import SignedRequest
from clary.proxy.errors import AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch

# The parameters that are signed: those that name what is requested.
_SUBRESOURCES = frozenset(
    (
        "acl", "accelerate", "analytics", "cors", "defaultObjectAcl", "delete", "encryption", "inventory", "lifecycle",
        "location", "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "publicAccessBlock",
        "replication", "requestPayment", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
        "restore", "retention", "select", "select-type", "tagging", "torrent", "uploadId", "uploads", "versionId",
        "versioning", "versions", "website",
    )
)  # fmt: skip
PARAMETERS = frozenset(("AWSAccessKeyId", "Signature", "Expires"))


def presigned(request: SignedRequest) -> bool:
    """Whether the request is one, by its query."""
    return {name for name, _ in _pairs(request.query)} >= PARAMETERS and request.header(b"authorization") is None


def verify(request: SignedRequest, bucket: str, credentials: Credentials, now: datetime) -> None:
    """`bucket` is the one in the host's name. Raises AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch."""
    parameters = dict(_pairs(request.query))
    if not hmac.compare_digest(parameters["AWSAccessKeyId"].encode(), credentials.access_key_id.encode()):
        raise InvalidAccessKeyId("The AWS Access Key Id you provided does not exist in our records.")
    text = _string_to_sign(request, bucket, parameters)
    expected = base64.b64encode(hmac.digest(credentials.secret_access_key.encode(), text.encode(), "sha1"))
    if not hmac.compare_digest(expected, parameters["Signature"].encode()):
        raise SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method."
        )
    expires = parameters["Expires"]
    if not (expires.isascii() and expires.isdigit() and int(expires[:15]) >= now.timestamp()):
        raise AccessDenied(f"Request has expired: Expires = {expires[:32]!r}.")


def _string_to_sign(request: SignedRequest, bucket: str, parameters: dict[str, str]) -> str:
    headers = {name.decode("latin-1"): request.header(name) or "" for name, _ in request.headers}
    # Headers that a client could not send are parameters.
    headers |= {name.lower(): value for name, value in parameters.items() if name.lower().startswith("x-amz-")}
    amz = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    plain = [headers.get(name, parameters.get(name, "")) for name in ("content-md5", "content-type")]
    path = (f"/{bucket}" if bucket else "") + request.path.decode("latin-1")
    signed = sorted((name, value) for name, value in parameters.items() if name in _SUBRESOURCES)
    query = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return "\n".join((request.method, *plain, parameters["Expires"], f"{amz}{path}{'?' if query else ''}{query}"))


def _pairs(query: bytes) -> list[tuple[str, str]]:
    pairs = (pair.partition(b"=") for pair in query.split(b"&") if pair)
    return [
        (unquote_to_bytes(name).decode(errors="replace"), unquote_to_bytes(value).decode(errors="replace"))
        for name, _, value in pairs
    ]
