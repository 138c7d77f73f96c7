"""Settings: which of several wins, and what is refused."""

from __future__ import annotations

import pytest

from clary.core.errors import SettingsError
from clary.core.settings import read_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("CLARY_")]:
        monkeypatch.delenv(name)


def test_the_file_beats_the_default_the_variable_the_file_and_the_command_line_all(tmp_path, monkeypatch):
    (tmp_path / "clary.toml").write_text("port = 9000\nregion = 'eu-west-1'\ncpus = 4\n")
    assert read_settings(tmp_path).port == 9000
    monkeypatch.setenv("CLARY_PORT", "9100")
    settings = read_settings(tmp_path)
    assert (settings.port, settings.region, settings.cpus) == (9100, "eu-west-1", 4.0)
    assert read_settings(tmp_path, {"port": 9200, "host": None}).port == 9200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "no setting 'prot'"),
        ("port = 'many'", "port = 'many': must be a whole number"),
        ("port = 70000", "from 1 to 65533"),
        ("port = true", "must be a whole number"),
        ("validation = 'loose'", "must be one of strict, lenient"),
        ("account_id = '12'", "twelve digits"),
        ("account_id = 123456789012", ""),
        ("host = '0.0.0.0'", "demands TLS"),
        ("tls_key = 'k.pem'", "go together"),
        ("s3_endpoint_url = 'https://minio'", "s3_access_key_id"),
        ("port = = 1", "not valid TOML"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name_and_remedy(tmp_path, text, message):
    (tmp_path / "clary.toml").write_text(text)
    if not message:
        assert read_settings(tmp_path).account_id == "123456789012"
        return
    with pytest.raises(SettingsError, match=message):
        read_settings(tmp_path)


def test_the_ports_beside_the_first_and_the_urls(tmp_path):
    settings = read_settings(tmp_path, {"host": "::1", "port": 8000})
    assert settings.url(settings.gateway_port) == "http://[::1]:8001"
    assert settings.s3_url == "http://[::1]:8002"


def test_a_setting_is_read_under_its_old_name_too(tmp_path, monkeypatch):
    (tmp_path / "clary.toml").write_text("first_look_s = 3\n")
    assert read_settings(tmp_path).describe_wait_s == 3
    (tmp_path / "clary.toml").write_text("describe_wait_s = 4\nfirst_look_s = 3\n")
    assert read_settings(tmp_path).describe_wait_s == 4
    monkeypatch.setenv("CLARY_FIRST_LOOK_S", "5")
    assert read_settings(tmp_path).describe_wait_s == 5
    monkeypatch.setenv("CLARY_DESCRIBE_WAIT_S", "6")
    assert read_settings(tmp_path).describe_wait_s == 6
