"""The proxy's authority: kept safely, good for AWS's names only, renewed in time."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from clary.core.errors import SettingsError
from clary.proxy import authority as authorities
from clary.proxy.authority import (
    HOST_VALID,
    RENEWED_BEFORE,
    VALID,
    Authority,
    load,
    load_or_make,
)
from clary.proxy.ca_bundle import write_ca_bundle
from clary.proxy.certificates import Certificates, server_context

HOST = "api.sagemaker.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def now():
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory, now):
    return load_or_make(tmp_path_factory.mktemp("certificates"), now)


def greet(server: ssl.SSLContext, trusted: str, host: str) -> None:
    """A handshake as OpenSSL makes it, with no socket between. Raises what the client raises."""
    client = ssl.create_default_context(cadata=trusted)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _ in range(8):
        for side in (ours, theirs):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert done == {ours, theirs}


def as_host(authority: Authority, host: str, now: datetime) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    return server_context([authority.sign(host, key.public_key(), now), authority.certificate], key)


@pytest.mark.parametrize(
    "host", [HOST, "bucket.s3.amazonaws.com", "iam.cn-north-1.amazonaws.com.cn", f"{'b' * 60}.s3.api.aws"]
)
def test_a_client_that_trusts_it_accepts_any_host_of_aws(authority, host):
    greet(Certificates(authority).context(host), authority.pem, host)


@pytest.mark.parametrize("host", ["pypi.org", "amazonaws.com.evil.example", "127.0.0.1"])
def test_nobody_else_can_be_impersonated_with_its_key(authority, now, host):
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(as_host(authority, host, now), authority.pem, host)


def test_addresses_are_excluded_too(authority, now):
    constraints = authority.certificate.extensions.get_extension_for_class(authorities.x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.excluded_subtrees} == {"0.0.0.0/0", "::/0"}


def test_a_client_that_does_not_trust_it_refuses(authority, tmp_path, now):
    other = load_or_make(tmp_path, now)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(Certificates(authority).context(HOST), other.pem, HOST)


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path, now):
    made = load_or_make(tmp_path, now)
    assert load_or_make(tmp_path, now).fingerprint == load(tmp_path).fingerprint == made.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["authority.pem"]
    assert stat.S_IMODE((tmp_path / "authority.pem").stat().st_mode) == 0o600


def test_it_is_renewed_in_time_with_the_same_key(tmp_path, now):
    old = load_or_make(tmp_path, now - VALID + RENEWED_BEFORE - timedelta(hours=1))
    new = load_or_make(tmp_path, now)
    assert new.fingerprint != old.fingerprint
    assert new.certificate.not_valid_after_utc > now + VALID - timedelta(days=1)
    greet(Certificates(new).context(HOST), old.pem, HOST)
    greet(Certificates(new).context(HOST), new.pem, HOST)


def test_it_is_not_renewed_before(tmp_path, now):
    made = load_or_make(tmp_path, now - VALID + RENEWED_BEFORE + timedelta(hours=1))
    assert load_or_make(tmp_path, now).fingerprint == made.fingerprint


def test_an_authority_for_other_domains_is_replaced(tmp_path, now, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            authorities, "_CONSTRAINTS", authorities.x509.NameConstraints([authorities.x509.DNSName("api.aws")], None)
        )
        old = load_or_make(tmp_path, now)
    assert load_or_make(tmp_path, now).fingerprint != old.fingerprint


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, now, content):
    (tmp_path / "authority.pem").write_text(content)
    with pytest.raises(SettingsError, match=r"authority\.pem is damaged .* remove it"):
        load_or_make(tmp_path, now)


def test_key_and_certificate_must_belong_together(tmp_path, now):
    first, other = load_or_make(tmp_path / "a", now), load_or_make(tmp_path / "b", now)
    (tmp_path / "authority.pem").write_text(authorities.key_pem(first.key) + other.pem)
    with pytest.raises(SettingsError, match="key and certificate differ"):
        load(tmp_path)


def test_a_missing_authority_is_named(tmp_path):
    with pytest.raises(SettingsError, match="clary env --transparent"):
        load(tmp_path)


def test_a_hosts_certificate_is_kept_and_renewed_before_its_end(authority, now):
    moment = now
    certificates = Certificates(authority, lambda: moment)
    first = certificates.context(HOST)
    assert certificates.context(HOST) is first
    assert certificates.context("sts.amazonaws.com") is not first
    moment = now + HOST_VALID - timedelta(days=1)
    assert certificates.context(HOST) is not first


def test_cached_hosts_are_bounded(authority, monkeypatch):
    monkeypatch.setattr("clary.proxy.certificates.MAX_HOSTS", 2)
    certificates = Certificates(authority)
    first = certificates.context("a.amazonaws.com")
    certificates.context("b.amazonaws.com")
    assert certificates.context("a.amazonaws.com") is first
    certificates.context("c.amazonaws.com")
    assert certificates.context("a.amazonaws.com") is first
    assert set(certificates._contexts) == {"a.amazonaws.com", "c.amazonaws.com"}


def test_the_bundle_has_all_authorities_that_were_trusted_before(authority, tmp_path, now):
    company = load_or_make(tmp_path / "company", now).pem
    (tmp_path / "company.pem").write_text(f"# ours\n{company}".replace("\n", "\r\n"))
    path = write_ca_bundle(tmp_path / "c", authority, {"REQUESTS_CA_BUNDLE": str(tmp_path / "company.pem")})
    context = ssl.create_default_context(cafile=str(path))
    # botocore's own bundle is the least that is always there.
    assert context.cert_store_stats()["x509_ca"] > 100
    serials = {int(ca["serialNumber"], 16) for ca in context.get_ca_certs()}
    assert authority.certificate.serial_number in serials
    assert path.read_text().count("".join(company.split("\n")[1:2])) == 1


def test_the_bundle_is_the_same_when_its_own_variables_are_set_already(authority, tmp_path):
    path = write_ca_bundle(tmp_path, authority, {})
    before = path.read_text(), path.stat().st_ino
    again = write_ca_bundle(tmp_path, authority, {"AWS_CA_BUNDLE": str(path), "SSL_CERT_FILE": "/nowhere/at/all.pem"})
    assert (again.read_text(), again.stat().st_ino) == before


def test_a_new_authority_replaces_the_old_one_in_the_bundle(authority, tmp_path, now):
    write_ca_bundle(tmp_path, authority, {})
    new = load_or_make(tmp_path, now)
    text = write_ca_bundle(tmp_path, new, {"AWS_CA_BUNDLE": str(tmp_path / "bundle.pem")}).read_text()
    assert new.pem.strip() in text
    assert authority.pem.strip() not in text
