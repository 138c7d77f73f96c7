"""Who is calling: AWS Signature Version 4, in headers and in presigned URLs, checked and made.

Pure functions of what stands on the wire (method, raw path, raw query, headers, the body's SHA-256), so that the
server, the gateway and the proxy share them, and the command line can sign without botocore.
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
    Signed,
    canonical,
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
    "Signed",
    "check_scope",
    "read_claim",
    "sign",
    "signing_key",
    "verify",
]

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
LONGEST_EXPIRES_S = 604_800  # a week
MOST_SIGNED_HEADERS = 200

_STAMP = "%Y%m%dT%H%M%SZ"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says of itself."""

    access_key_id: str
    date: str
    region: str
    service: str
    stamp: str  # when it was signed, as in X-Amz-Date
    signed_headers: tuple[str, ...]
    signature: str
    expires_s: int | None = None  # of a presigned URL; None: the signature stands in the headers

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def verify(
    request: Signed,
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
    """Whose request this is and what it was signed for.

    body_sha256       hex; None where the body is not known yet: then what x-amz-content-sha256 says is believed, and
                      the caller compares it when the body has passed
    regions, services what the signature may be for; () allows all
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
    # A query may have been signed as it was sent, or as it would be if everyone escaped alike.
    for query in dict.fromkeys((query_as_sent(request.query), query_escaped(request.query))):
        wanted = signature(key, claim.stamp, claim.scope, canonical(request, claim.signed_headers, query, payload, s3))
        if hmac.compare_digest(wanted.encode(), claim.signature.encode()):
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


def read_claim(request: Signed) -> Claim:
    """The claim in the headers or the query, whole and well formed, not yet checked."""
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
        stamp=fields["Date"],
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


def _header_fields(request: Signed, authorization: str) -> dict[str, str]:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported algorithm in Authorization: '{algorithm[:64]}'; use {ALGORITHM}.")
    fields: dict[str, str] = {}
    for part in re.split(r"[,\s]+", rest.strip()):
        name, equals, value = part.partition("=")
        if not equals:
            raise IncompleteSignature(
                f"'{part[:256]}' not a valid key=value pair (missing equal-sign) in Authorization header."
            )
        fields[name] = value
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)]
    complaints = [f"Authorization header requires '{name}' parameter." for name in missing]
    stamp = _header_stamp(request)
    if stamp is None:
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints or stamp is None:
        raise IncompleteSignature(" ".join(complaints))
    return {**fields, "Date": stamp}


def _header_stamp(request: Signed) -> str | None:
    given = request.header(b"x-amz-date")
    if given is not None:
        return given
    date = request.header(b"date")
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(_STAMP)
    except (TypeError, ValueError, IndexError, OverflowError):
        return date  # not understood: said when the date is looked at


def _query_fields(request: Signed) -> dict[str, str]:
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
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= LONGEST_EXPIRES_S):
        raise IncompleteSignature(f"X-Amz-Expires must be from 1 to {LONGEST_EXPIRES_S} seconds, not '{text[:32]}'.")
    return int(text)


def _check_signed_headers(request: Signed, claim: Claim) -> None:
    """What decides where a request goes and what it does must be signed."""
    if len(claim.signed_headers) > MOST_SIGNED_HEADERS:
        raise IncompleteSignature(f"More than {MOST_SIGNED_HEADERS} signed headers.")
    if "host" not in claim.signed_headers:
        raise InvalidSignatureException("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for key, _ in request.headers:
        name = key.decode("latin-1")
        # A session token adds nothing here, and presigned URLs carry theirs elsewhere.
        if name.startswith("x-amz-") and name != "x-amz-security-token" and name not in claim.signed_headers:
            raise InvalidSignatureException(f"'{name[:128]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_time(claim: Claim, now: datetime, skew_s: float) -> None:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", claim.stamp):
        raise IncompleteSignature(
            "Date must be in ISO-8601 'basic format'. "
            f"Got '{claim.stamp[:64]}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    try:
        signed = datetime.fromisoformat(claim.stamp)  # strptime takes 50 times as long
    except ValueError:
        raise IncompleteSignature(f"Date is not one of the calendar: '{claim.stamp}'.") from None
    if not claim.stamp.startswith(claim.date) or len(claim.date) != 8:
        raise InvalidSignatureException(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date[:64]}' != '{claim.stamp[:8]}', from '{claim.stamp}'."
        )
    skew = timedelta(seconds=skew_s)
    if signed > now + skew:
        raise InvalidSignatureException(
            f"Signature not yet current: {claim.stamp} is still later than {now + skew:{_STAMP}} "
            f"({now:{_STAMP}} + {skew_s / 60:g} min.)"
        )
    if claim.expires_s is not None:
        if now > (end := signed + timedelta(seconds=claim.expires_s)):
            raise InvalidSignatureException(f"Signature expired: {end:{_STAMP}} is now earlier than {now:{_STAMP}}")
    elif signed < now - skew:
        raise InvalidSignatureException(
            f"Signature expired: {claim.stamp} is now earlier than {now - skew:{_STAMP}} "
            f"({now:{_STAMP}} - {skew_s / 60:g} min.)"
        )


def _payload(request: Signed, claim: Claim, body_sha256: str | None, s3: bool, unsigned_payload: bool) -> str:
    """What stands for the body in the signature."""
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
    """Names and values, unescaped; text that is no UTF-8 stays recognisable."""
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
    """The headers to send: those given, with Host, X-Amz-Date and Authorization.

    The URL's path and query are escaped already. `payload` stands in for the body's SHA-256 (UNSIGNED-PAYLOAD).
    """
    parts = urlsplit(url)
    payload = payload or hashlib.sha256(body).hexdigest()
    stamp = now.astimezone(UTC).strftime(_STAMP)
    sent = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc, "x-amz-date": stamp}
    sent.pop("authorization", None)
    if s3:
        sent["x-amz-content-sha256"] = payload
    names = tuple(sorted(sent))
    claim = Claim(credentials.access_key_id, stamp[:8], region, service, stamp, names, "")
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    request = Signed(method, (parts.path or "/").encode(), parts.query.encode(), raw)
    key = signing_key(credentials.secret_access_key, claim.date, region, service)
    made = signature(key, stamp, claim.scope, canonical(request, names, query_as_sent(request.query), payload, s3))
    credential = f"{credentials.access_key_id}/{claim.scope}"
    sent["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={made}"
    return sent
