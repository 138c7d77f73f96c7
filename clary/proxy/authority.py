"""A certificate authority of the home's own, which signs for hosts of AWS.

The authority may sign for AWS's domains and nothing else (a critical name constraint), so that its key, should it be
stolen, impersonates no other site to programs that trust it. Key and certificate are one file, so that both exist or
neither. It is renewed with the same key: programs that still trust the old certificate are served as well.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clary.core.errors import SettingsError
from clary.core.files import write_whole
from clary.proxy.hosts import DOMAINS

VALID = timedelta(days=730)
RENEWED_BEFORE = timedelta(days=60)
HOST_VALID = timedelta(days=30)
BACKDATED = timedelta(days=1)  # clocks differ

_CONSTRAINTS = x509.NameConstraints(
    permitted_subtrees=[x509.DNSName(domain) for domain in DOMAINS],
    # A kind of name without a constraint is free: addresses have to be excluded.
    excluded_subtrees=[x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")],
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A key, and the certificate that clients are configured to trust."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def sign(self, host: str, key: ec.EllipticCurvePublicKey, now: datetime) -> x509.Certificate:
        """A certificate for a host, valid no longer than the authority's own."""
        until = min(now + HOST_VALID, self.certificate.not_valid_after_utc)
        return (
            _builder(_name(host if len(host) <= 64 else "Clary"), key, now - BACKDATED, until)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )


def load_or_make(folder: Path, now: datetime) -> Authority:
    """The home's authority: made where there is none, renewed in time. Not for two processes at once.

    Raises SettingsError for a file that is damaged.
    """
    path = folder / "authority.pem"
    try:
        authority = _load(path)
    except FileNotFoundError:
        return _save(path, _make(ec.generate_private_key(ec.SECP256R1()), now))
    if _is_current(authority.certificate, now):
        return authority
    return _save(path, _make(authority.key, now))


def load(folder: Path) -> Authority:
    """The home's authority as it was saved. Raises SettingsError where there is none, or its file is damaged."""
    try:
        return _load(folder / "authority.pem")
    except FileNotFoundError as error:
        raise SettingsError(f"{error.filename} is missing: `clary env --transparent` makes it") from error


def _load(path: Path) -> Authority:
    pem = path.read_bytes()
    try:
        key = load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise SettingsError(f"{path} is damaged ({error}): remove it, and run `clary env --transparent`") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SettingsError(f"{path}: key and certificate differ: remove it, and run `clary env --transparent`")
    return Authority(key, certificate)


def _is_current(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it is valid for some time yet, and for today's list of domains."""
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEWED_BEFORE:
        return False
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value == _CONSTRAINTS
    except x509.ExtensionNotFound:
        return False


def _make(key: ec.EllipticCurvePrivateKey, now: datetime) -> Authority:
    name = _name("Clary, answering for AWS on this machine")
    certificate = (
        _builder(name, key.public_key(), now - BACKDATED, now + VALID)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CONSTRAINTS, critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def _save(path: Path, authority: Authority) -> Authority:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, key_pem(authority.key) + authority.pem, mode=0o600)
    return authority


def _builder(
    name: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
