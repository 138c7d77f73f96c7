"""The errors that the proxy itself answers with, and their format in each protocol.

ServiceError (core)
├── of S3      AccessDenied  InvalidAccessKeyId  SignatureDoesNotMatch  AuthorizationHeaderMalformed
│              BadDigest  XAmzContentSHA256Mismatch  IncompleteBody  MissingContentLength  InvalidRequest
├── of HTTP    BadRequest 400  MisdirectedRequest 421
├── ServiceUnavailable (core)  the service behind does not answer
└── NotImplementedByClary (core)
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from clary.core.errors import (
    AccessError,
    IncompleteSignature,
    InvalidSignatureException,
    MissingAuthenticationToken,
    ServiceError,
    UnrecognizedClientException,
)


class AccessDenied(ServiceError):
    """The request is not signed, or its presigned URL has expired."""

    status = 403


class InvalidAccessKeyId(ServiceError):
    """The access key is not the home's."""

    status = 403


class SignatureDoesNotMatch(ServiceError):
    """The signature, its date or its scope, or the signature of a chunk, does not match."""

    status = 403


class AuthorizationHeaderMalformed(ServiceError):
    """A part of the signature is missing."""


class BadDigest(ServiceError):
    """The body is not the one whose checksum was sent."""


class XAmzContentSHA256Mismatch(ServiceError):
    """The body is not the one that was signed."""


class IncompleteBody(ServiceError):
    """The body is longer or shorter than announced, or its chunks are malformed."""


class MissingContentLength(ServiceError):
    """The length of an object is not declared."""

    status = 411


class InvalidRequest(ServiceError):
    """A header is malformed."""


class BadRequest(ServiceError):
    """The request is not well-formed HTTP."""


class MisdirectedRequest(ServiceError):
    """The request is for another host than the connection."""

    status = 421


_S3_ERRORS: dict[type[AccessError], type[ServiceError]] = {
    MissingAuthenticationToken: AccessDenied,
    UnrecognizedClientException: InvalidAccessKeyId,
    InvalidSignatureException: SignatureDoesNotMatch,
    IncompleteSignature: AuthorizationHeaderMalformed,
}


def as_s3_error(error: AccessError) -> ServiceError:
    """The same error under the code that S3 has for it."""
    return _S3_ERRORS.get(type(error), AccessDenied)(error.message)


def error_body(error: ServiceError, protocol: str, request_id: str) -> tuple[str, bytes]:
    """Content type and body. `protocol` is s3, json, cbor or query."""
    message = escape(error.message)
    match protocol:
        case "s3":
            members = f"<Code>{error.code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId>"
            return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{members}</Error>'.encode()
        case "json":
            return "application/x-amz-json-1.1", json.dumps({"__type": error.code, "message": error.message}).encode()
        case "cbor":
            fields = {"__type": error.code, "message": error.message}
            return "application/cbor", b"\xa2" + b"".join(_cbor(text) for pair in fields.items() for text in pair)
    fault = "Sender" if error.status < 500 else "Receiver"
    members = f"<Type>{fault}</Type><Code>{error.code}</Code><Message>{message}</Message>"
    text = f"<ErrorResponse><Error>{members}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return "text/xml", text.encode()


def _cbor(text: str) -> bytes:
    """A text string (RFC 8949, major type 3) of less than 64 KiB."""
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2) + raw
