"""Every invocation is signed (SigV4) with the keys of `<home>/credentials.json`.

A signature covers the body's SHA-256. AWS's clients do not send it in a header, so the body has to be received whole
before the signature can be checked; where the header declares a hash, or an unsigned payload, the head is enough.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime

from clary.core import sigv4
from clary.core.credentials import Credentials
from clary.core.errors import InvalidSignatureException, UnrecognizedClientException
from clary.gateway.exchange import Exchange

_SERVICES = ("sagemaker",)


def _now() -> datetime:
    return datetime.now(UTC)


class Authenticator:
    """Raises AccessError for a request that is not signed by our key."""

    def __init__(
        self, credentials: Credentials, region: str, skew_s: float, now: Callable[[], datetime] = _now
    ) -> None:
        self._credentials = credentials
        self._regions = (region,)
        self._skew_s = skew_s
        self._now = now

    async def check(self, exchange: Exchange) -> bool:
        """True where the body is unsigned, and may be forwarded as it is received; else it has been received whole."""
        signed = _signed(exchange)
        declared = exchange.headers.get("x-amz-content-sha256")
        if declared is not None:
            self._verify(signed, None)
            if declared == sigv4.UNSIGNED_PAYLOAD:
                return True
            if declared.startswith("STREAMING-"):
                raise InvalidSignatureException(
                    f"x-amz-content-sha256 = {declared[:64]!r}: aws-chunked bodies are not supported; send the "
                    "body's SHA-256, UNSIGNED-PAYLOAD, or no such header."
                )
        elif not exchange.body.complete:
            self._check_key(signed)  # before the body of a request with another key is read
        await exchange.body.whole()
        self._verify(signed, exchange.body.sha256)
        return False

    def _check_key(self, signed: sigv4.SignedRequest) -> None:
        claim = sigv4.read_claim(signed)
        if not hmac.compare_digest(claim.access_key_id.encode(), self._credentials.access_key_id.encode()):
            raise UnrecognizedClientException("The security token included in the request is invalid.")

    def _verify(self, signed: sigv4.SignedRequest, body_sha256: str | None) -> None:
        sigv4.verify(
            signed,
            body_sha256,
            self._credentials,
            self._now(),
            self._skew_s,
            regions=self._regions,
            services=_SERVICES,
            unsigned_payload=True,
        )


def _signed(exchange: Exchange) -> sigv4.SignedRequest:
    return sigv4.SignedRequest(exchange.method, exchange.path.encode(), exchange.query.encode(), exchange.raw_headers)
