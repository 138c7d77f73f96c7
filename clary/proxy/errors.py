"""What a client is told when the proxy itself answers: the errors, and the words for each protocol.

ServiceError (core)
├── of S3      AccessDenied  InvalidAccessKeyId  SignatureDoesNotMatch  AuthorizationHeaderMalformed
│              BadDigest  XAmzContentSHA256Mismatch  IncompleteBody  MissingContentLength  InvalidRequest
├── of HTTP    BadRequest 400  MisdirectedRequest 421
├── ServiceUnavailable 503     the service behind does not answer; clients try again
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
    """Not signed, or a presigned URL is over its time."""

    status = 403


class InvalidAccessKeyId(ServiceError):
    """The key is not the home's."""

    status = 403


class SignatureDoesNotMatch(ServiceError):
    """The signature, its date or scope, or that of a chunk does not fit."""

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
    """An object's length has to be known before it is sent."""

    status = 411


class InvalidRequest(ServiceError):
    """A header cannot be understood."""


class BadRequest(ServiceError):
    """This is no well-formed HTTP."""


class MisdirectedRequest(ServiceError):
    """The request is for another host than the connection."""

    status = 421


class ServiceUnavailable(ServiceError):
    """The service behind does not answer."""

    status = 503


_OF_S3: dict[type[AccessError], type[ServiceError]] = {
    MissingAuthenticationToken: AccessDenied,
    UnrecognizedClientException: InvalidAccessKeyId,
    InvalidSignatureException: SignatureDoesNotMatch,
    IncompleteSignature: AuthorizationHeaderMalformed,
}


def in_words_of_s3(error: AccessError) -> ServiceError:
    return _OF_S3.get(type(error), AccessDenied)(error.message)


def body(error: ServiceError, protocol: str, request_id: str) -> tuple[str, bytes]:
    """Content type and body. `protocol` is s3, json, cbor or query."""
    message = escape(error.message)
    match protocol:
        case "s3":
            told = f"<Code>{error.code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId>"
            return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{told}</Error>'.encode()
        case "json":
            return "application/x-amz-json-1.1", json.dumps({"__type": error.code, "message": error.message}).encode()
        case "cbor":
            fields = {"__type": error.code, "message": error.message}
            return "application/cbor", b"\xa2" + b"".join(_cbor(text) for pair in fields.items() for text in pair)
    fault = "Sender" if error.status < 500 else "Receiver"
    told = f"<Type>{fault}</Type><Code>{error.code}</Code><Message>{message}</Message>"
    answer = f"<ErrorResponse><Error>{told}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return "text/xml", answer.encode()


def _cbor(text: str) -> bytes:
    """A text string (RFC 8949, major type 3) of less than 64 KiB."""
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2) + raw
