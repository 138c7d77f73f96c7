"""The proxy's side of TLS, as any host of AWS: certificates made when first needed, and kept for a while."""

from __future__ import annotations

import os
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from clary.proxy.authority import Authority, key_pem

RENEWED_BEFORE = timedelta(days=2)
MAX_HOSTS = 256


def _now() -> datetime:
    return datetime.now(UTC)


class Certificates:
    """TLS as each host. One key is used for all of them; it is never written to a disk."""

    def __init__(self, authority: Authority, now: Callable[[], datetime] = _now) -> None:
        self._authority = authority
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[str, tuple[ssl.SSLContext, datetime]] = OrderedDict()

    def context(self, host: str) -> ssl.SSLContext:
        """For the server's side of a connection to `host`."""
        now = self._now()
        if host in self._contexts:
            context, until = self._contexts[host]
            if now < until - RENEWED_BEFORE:
                self._contexts.move_to_end(host)
                return context
        certificate = self._authority.sign(host, self._key.public_key(), now)
        context = server_context([certificate, self._authority.certificate], self._key)
        self._contexts[host] = context, certificate.not_valid_after_utc
        self._contexts.move_to_end(host)
        if len(self._contexts) > MAX_HOSTS:
            self._contexts.popitem(last=False)
        return context


def server_context(chain: Sequence[x509.Certificate], key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    pem = key_pem(key) + "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in chain)
    # ssl takes files only; this file is in memory.
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context
