"""Signatures, under the name they had here: they live in `clary.core.sigv4`, for the gateway and the proxy too."""

from clary.core.sigv4 import (
    ALGORITHM,
    EMPTY_SHA256,
    TERMINATOR,
    UNSIGNED_PAYLOAD,
    Claim,
    Signed,
    check_scope,
    read_claim,
    sign,
    signing_key,
    verify,
)

__all__ = [
    "ALGORITHM",
    "EMPTY_SHA256",
    "TERMINATOR",
    "UNSIGNED_PAYLOAD",
    "Claim",
    "Signed",
    "check_scope",
    "read_claim",
    "sign",
    "signing_key",
    "verify",
]
