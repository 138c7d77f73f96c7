"""AWS Signature Version 4, in headers and in presigned URLs: verified and made.

Pure functions of what is sent (method, raw path, raw query, headers, the body's SHA-256), so that the server, the
gateway and the proxy share them, and the command line can sign without botocore.
Reference: AWS General Reference, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes, urlsplit

from clary.core.canonical import (
    ALGORITHM,
    TERMINATOR,
    SignedRequest,
    canonical_request,
    query_as_sent,
    query_escaped,
    signature,
    signing_key,
)
from clary.core.credentials import Credentials
from clary.core.errors import (
    IncompleteSignature,
    InvalidSignatureException,
    MissingAuthenticationToken,
    UnrecognizedClientException,
)

__all__ = [
    "EMPTY_SHA256",
    "UNSIGNED_PAYLOAD",
    "Claim",
    "SignedRequest",
    "check_scope",
    "read_claim",
    "sign",
    "signing_key",
    "verify",
]

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
MAX_EXPIRES_S = 604_800  # a week
MAX_SIGNED_HEADERS = 200

_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request declares of its signature, not verified yet."""

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str  # when it was signed, as in X-Amz-Date
    signed_headers: tuple[str, ...]
    signature: str
    expires_s: int | None = None  # of a presigned URL; None: the signature is in the headers

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def verify(
    request: SignedRequest,
    body_sha256: str | None,
    credentials: Credentials,
    now: datetime,
    skew_s: float,
    *,
    regions: Collection[str] = (),
    services: Collection[str] = (),
    s3: bool = False,
    unsigned_payload: bool = False,
) -> Claim:
    """The claim of a request, once it is proven to be signed with these credentials.

    body_sha256       hex; None where the body is not known yet: then x-amz-content-sha256 is believed, and the caller
                      compares it once the body was received
    regions, services those that the signature may be for; () allows all
    s3                S3's way: the path is encoded once, and a presigned URL's payload is not signed
    unsigned_payload  bodies need not be signed (UNSIGNED-PAYLOAD, STREAMING-…)

    Raises MissingAuthenticationToken, IncompleteSignature, UnrecognizedClientException, InvalidSignatureException.
    """
    claim = read_claim(request)
    if not hmac.compare_digest(claim.access_key_id.encode(), credentials.access_key_id.encode()):
        raise UnrecognizedClientException("The security token included in the request is invalid.")
    check_scope(claim, regions, services)
    _check_time(claim, now, skew_s)
    payload = _payload(request, claim, body_sha256, s3, unsigned_payload)
    key = signing_key(credentials.secret_access_key, claim.date, claim.region, claim.service)
    # Clients sign a query as they send it, or as AWS would escape it.
    for query in dict.fromkeys((query_as_sent(request.query), query_escaped(request.query))):
        expected = signature(
            key, claim.timestamp, claim.scope, canonical_request(request, claim.signed_headers, query, payload, s3)
        )
        if hmac.compare_digest(expected.encode(), claim.signature.encode()):
            return claim
    raise InvalidSignatureException(_MISMATCH)


def check_scope(claim: Claim, regions: Collection[str], services: Collection[str]) -> None:
    """Raise InvalidSignatureException where the signature is for another region or service; () allows all."""
    if regions and claim.region not in regions:
        raise InvalidSignatureException(
            f"Credential should be scoped to a valid region, not '{claim.region}'. "
            f"This server answers for {' or '.join(sorted(regions))}: set AWS_DEFAULT_REGION, or the server's region."
        )
    if services and claim.service not in services:
        raise InvalidSignatureException(
            f"Credential should be scoped to correct service: '{' or '.join(sorted(services))}', not '{claim.service}'."
        )


def read_claim(request: SignedRequest) -> Claim:
    """The claim in the headers or the query, complete and well-formed, not verified yet."""
    authorization = request.header(b"authorization")
    if authorization is None and b"X-Amz-" not in request.query:
        raise MissingAuthenticationToken("Missing Authentication Token: sign the request with the keys of `clary env`.")
    fields = _query_fields(request) if authorization is None else _header_fields(request, authorization)
    parts = fields["Credential"].split("/")
    if len(parts) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{fields['Credential'][:256]}'"
        )
    claim = Claim(
        access_key_id=parts[0],
        date=parts[1],
        region=parts[2],
        service=parts[3],
        timestamp=fields["Date"],
        signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
        expires_s=_expires(fields["Expires"]) if authorization is None else None,
    )
    if parts[4] != TERMINATOR:
        raise InvalidSignatureException(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{parts[4][:256]}'."
        )
    _check_signed_headers(request, claim)
    return claim


def _header_fields(request: SignedRequest, authorization: str) -> dict[str, str]:
    algorithm, _, parameters = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported algorithm in Authorization: '{algorithm[:64]}'; use {ALGORITHM}.")
    fields: dict[str, str] = {}
    for part in re.split(r"[,\s]+", parameters.strip()):
        name, equals, value = part.partition("=")
        if not equals:
            raise IncompleteSignature(
                f"'{part[:256]}' not a valid key=value pair (missing equal-sign) in Authorization header."
            )
        fields[name] = value
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)]
    problems = [f"Authorization header requires '{name}' parameter." for name in missing]
    timestamp = _header_timestamp(request)
    if timestamp is None:
        problems.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if problems or timestamp is None:
        raise IncompleteSignature(" ".join(problems))
    return {**fields, "Date": timestamp}


def _header_timestamp(request: SignedRequest) -> str | None:
    amz_date = request.header(b"x-amz-date")
    if amz_date is not None:
        return amz_date
    date = request.header(b"date")
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(_TIMESTAMP)
    except (TypeError, ValueError, IndexError, OverflowError):
        return date  # _check_time refuses it


def _query_fields(request: SignedRequest) -> dict[str, str]:
    given = dict(_pairs(request.query))
    algorithm = given.get("X-Amz-Algorithm", "")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"X-Amz-Algorithm must be {ALGORITHM}, not '{algorithm[:64]}'.")
    names = ("Credential", "SignedHeaders", "Signature", "Date", "Expires")
    missing = [f"X-Amz-{name}" for name in names if not given.get(f"X-Amz-{name}")]
    if missing:
        raise IncompleteSignature(" ".join(f"AWS query-string parameters must include '{name}'." for name in missing))
    return {name: given[f"X-Amz-{name}"] for name in names}


def _expires(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_EXPIRES_S):
        raise IncompleteSignature(f"X-Amz-Expires must be from 1 to {MAX_EXPIRES_S} seconds, not '{text[:32]}'.")
    return int(text)


def _check_signed_headers(request: SignedRequest, claim: Claim) -> None:
    """The headers that decide where a request goes and what it does must be signed."""
    if len(claim.signed_headers) > MAX_SIGNED_HEADERS:
        raise IncompleteSignature(f"More than {MAX_SIGNED_HEADERS} signed headers.")
    if "host" not in claim.signed_headers:
        raise InvalidSignatureException("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for key, _ in request.headers:
        name = key.decode("latin-1")
        # A session token has no meaning for Clary, and presigned URLs carry theirs in the query.
        if name.startswith("x-amz-") and name != "x-amz-security-token" and name not in claim.signed_headers:
            raise InvalidSignatureException(f"'{name[:128]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_time(claim: Claim, now: datetime, skew_s: float) -> None:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", claim.timestamp):
        raise IncompleteSignature(
            "Date must be in ISO-8601 'basic format'. "
            f"Got '{claim.timestamp[:64]}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    try:
        signed = datetime.fromisoformat(claim.timestamp)  # strptime takes 50 times as long
    except ValueError:
        raise IncompleteSignature(f"Date is not one of the calendar: '{claim.timestamp}'.") from None
    if not claim.timestamp.startswith(claim.date) or len(claim.date) != 8:
        raise InvalidSignatureException(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date[:64]}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'."
        )
    skew = timedelta(seconds=skew_s)
    if signed > now + skew:
        raise InvalidSignatureException(
            f"Signature not yet current: {claim.timestamp} is still later than {now + skew:{_TIMESTAMP}} "
            f"({now:{_TIMESTAMP}} + {skew_s / 60:g} min.)"
        )
    if claim.expires_s is not None:
        if now > (end := signed + timedelta(seconds=claim.expires_s)):
            raise InvalidSignatureException(
                f"Signature expired: {end:{_TIMESTAMP}} is now earlier than {now:{_TIMESTAMP}}"
            )
    elif signed < now - skew:
        raise InvalidSignatureException(
            f"Signature expired: {claim.timestamp} is now earlier than {now - skew:{_TIMESTAMP}} "
            f"({now:{_TIMESTAMP}} - {skew_s / 60:g} min.)"
        )


def _payload(request: SignedRequest, claim: Claim, body_sha256: str | None, s3: bool, unsigned_payload: bool) -> str:
    """The text that stands for the body in the signature."""
    declared = request.header(b"x-amz-content-sha256")
    if declared is None:
        if s3 and claim.expires_s is not None:
            return UNSIGNED_PAYLOAD
        if body_sha256 is None:
            raise InvalidSignatureException("Missing required header for this request: x-amz-content-sha256")
        return body_sha256
    if declared == UNSIGNED_PAYLOAD or declared.startswith("STREAMING-"):
        if not unsigned_payload:
            raise InvalidSignatureException(f"x-amz-content-sha256 = {declared[:64]!r}: the body must be signed.")
    elif body_sha256 is not None and declared != body_sha256:
        raise InvalidSignatureException(
            "The provided 'x-amz-content-sha256' header does not match what was computed: another body was signed."
        )
    return declared


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values, unescaped; what is not UTF-8 is replaced."""
    pairs = (pair.partition(b"=") for pair in query.split(b"&") if pair)
    return [
        (unquote_to_bytes(name).decode(errors="replace"), unquote_to_bytes(value).decode(errors="replace"))
        for name, _, value in pairs
    ]


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    *,
    region: str,
    service: str,
    now: datetime,
    s3: bool = False,
    payload: str = "",
) -> dict[str, str]:
    """The headers to send: `headers` with Host, X-Amz-Date and Authorization.

    The URL's path and query are escaped already. `payload` stands in for the body's SHA-256 (UNSIGNED-PAYLOAD).
    """
    parts = urlsplit(url)
    payload = payload or hashlib.sha256(body).hexdigest()
    timestamp = now.astimezone(UTC).strftime(_TIMESTAMP)
    sent = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc, "x-amz-date": timestamp}
    sent.pop("authorization", None)
    if s3:
        sent["x-amz-content-sha256"] = payload
    names = tuple(sorted(sent))
    claim = Claim(credentials.access_key_id, timestamp[:8], region, service, timestamp, names, "")
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    request = SignedRequest(method, (parts.path or "/").encode(), parts.query.encode(), raw)
    key = signing_key(credentials.secret_access_key, claim.date, region, service)
    signed = signature(
        key, timestamp, claim.scope, canonical_request(request, names, query_as_sent(request.query), payload, s3)
    )
    credential = f"{credentials.access_key_id}/{claim.scope}"
    sent["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signed}"
    return sent
