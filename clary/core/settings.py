"""Every setting, read once when a process starts and passed down as values.

A setting comes, last one wins, from its default here, from `<home>/clary.toml`, from an environment variable
`CLARY_<NAME>`, from the command line. `docs/settings.md` describes each.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from clary.core.arns import Account
from clary.core.errors import SettingsError


def default_home() -> Path:
    return Path(os.environ.get("CLARY_HOME") or Path.home() / ".clary")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths below a home. Nothing here makes a directory."""

    root: Path

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @property
    def settings(self) -> Path:
        return self.root / "clary.toml"

    @property
    def database(self) -> Path:
        return self.root / "clary.db"

    @property
    def node(self) -> Path:
        """The name under which the servers of a database know this home."""
        return self.root / "node"

    @property
    def sdk_config(self) -> Path:
        return self.root / "sagemaker.yaml"

    @property
    def buckets(self) -> Path:
        """What the embedded S3 serves: a folder per bucket."""
        return self.root / "s3"

    @property
    def tasks(self) -> Path:
        return self.root / "tasks"

    @property
    def logs(self) -> Path:
        """CloudWatch's groups as folders, its streams as files."""
        return self.root / "logs"

    @property
    def metrics(self) -> Path:
        """Where metrics wait for the server to take them into its tables."""
        return self.root / "metrics"

    @property
    def routes(self) -> Path:
        return self.root / "routes"

    @property
    def run(self) -> Path:
        """Locks, sockets and process files: nothing that has to last."""
        return self.root / "run"

    @property
    def runtimes(self) -> Path:
        """Python environments made for images of other versions."""
        return self.root / "runtimes"

    @property
    def certificates(self) -> Path:
        """The CA of the transparent proxy, and what it signed."""
        return self.root / "certificates"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may choose. Times in seconds, sizes in the unit of the name."""

    home: Path = field(default_factory=default_home)  # the directory of everything
    host: str = "127.0.0.1"  # the address to listen on; another than loopback demands TLS
    port: int = 8721  # control API and console; the gateway takes port+1, the embedded S3 port+2
    tls_certificate: str = ""  # PEM file, with its chain
    tls_key: str = ""  # PEM file
    account_id: str = "000000000000"  # twelve digits, part of every ARN
    region: str = "us-east-1"
    validation: Literal["strict", "lenient"] = "strict"  # lenient: what is missing fails the job, not the call
    database_url: str = ""  # SQLAlchemy URL; empty: SQLite in the home
    s3_endpoint_url: str = ""  # an S3 of your own; empty: the embedded one
    s3_access_key_id: str = ""  # for an S3 of your own
    s3_secret_access_key: str = ""
    backend: Literal["auto", "local", "oci"] = "auto"  # auto: runtimes run locally, other images in containers
    sandbox: Literal["auto", "bubblewrap", "none"] = "auto"  # auto: bubblewrap where it works
    container_engine: Literal["auto", "podman", "docker"] = "auto"
    container_engine_options: str = ""  # put before `run`'s own, e.g. "--runtime runc"
    cpus: float = 0  # CPUs that jobs may hold together; 0: all of the machine
    memory_mib: int = 0  # memory that jobs may hold together; 0: all of the machine
    replica_cpus: float = 0  # CPUs a replica holds while it serves; 0: endpoints never wait for jobs
    replica_memory_mib: int = 0  # memory a replica holds while it serves
    runtime_versions: Literal["current", "exact"] = "current"  # exact: an image's version chooses its own environment
    proxy_other_hosts: Literal["pass", "refuse"] = "pass"  # of the transparent proxy: hosts that are not AWS's
    describe_wait_s: float = 10.0  # the first Describe in a status that will change waits so long for it; 0: never
    max_request_mib: int = 8  # largest body of a control request
    max_invocation_mib: int = 25  # largest body of an inference request
    clock_skew_s: int = 900  # how far a signature's date may be off
    reconcile_workers: int = 16  # records worked on at once
    resync_s: float = 30.0  # how often every record that is not in a terminal status is worked on anew
    lease_s: float = 15.0  # a server that has not renewed its leases for so long has lost them
    metrics_single_values_days: float = 15.0  # what programs print is kept as printed for so long
    metrics_high_resolution_hours: float = 3.0  # what gateways count every ten seconds
    metrics_minutes_days: float = 15.0  # and then by the minute
    metrics_five_minutes_days: float = 63.0  # and then, as what programs print, by five minutes
    metrics_hours_days: float = 455.0  # and then by the hour, until it is removed
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def paths(self) -> Home:
        return Home(self.home)

    @property
    def account(self) -> Account:
        return Account(self.account_id, self.region)

    @property
    def gateway_port(self) -> int:
        return self.port + 1

    @property
    def s3_port(self) -> int:
        return self.port + 2

    @property
    def scheme(self) -> str:
        return "https" if self.tls_certificate else "http"

    def url(self, port: int) -> str:
        """Where clients on this machine reach the process that listens on `port`."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def embedded_s3(self) -> bool:
        return not self.s3_endpoint_url

    @property
    def s3_url(self) -> str:
        return self.s3_endpoint_url or self.url(self.s3_port)

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def read_settings(home: Path | None = None, given: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a home: defaults, its clary.toml, CLARY_* variables, then `given`.

    Raises SettingsError for a name that is no setting, a value that does not fit, or a combination that is unsafe.
    """
    root = (home or default_home()).expanduser().absolute()
    chosen: dict[str, Any] = {}
    names = {f.name for f in dataclasses.fields(Settings)} - {"home"}
    file = Home(root).settings
    if file.exists():
        try:
            in_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from error
        for name, value in _old_first(in_file):
            name = _RENAMED.get(name, name)  # noqa: PLW2901
            if name not in names:
                raise SettingsError(f"{file}: there is no setting {name!r}; docs/settings.md lists them all")
            chosen[name] = value
    for name in (*_RENAMED, *names):
        if (variable := f"CLARY_{name.upper()}") in os.environ:
            chosen[_RENAMED.get(name, name)] = os.environ[variable]
    chosen |= {name: value for name, value in (given or {}).items() if value is not None}
    hints = get_type_hints(Settings)
    settings = Settings(home=root, **{name: _fit(name, value, hints[name]) for name, value in chosen.items()})
    _check(settings)
    return settings


# Names that settings had before, accepted where the new one is not given.
_RENAMED = {"first_look_s": "describe_wait_s"}


def _old_first(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(members.items(), key=lambda member: member[0] not in _RENAMED)


def _fit(name: str, value: Any, hint: Any) -> Any:
    """The value as the type the setting has: variables and command lines bring text."""
    if choices := getattr(hint, "__args__", ()):
        if value not in choices:
            raise SettingsError(f"{name} = {value!r}: must be one of {', '.join(map(str, choices))}")
        return value
    try:
        if isinstance(value, bool):
            raise ValueError
        return hint(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{name} = {value!r}: must be {_NOUNS[hint]}") from None


_NOUNS = {int: "a whole number", float: "a number", str: "text"}


def _check(settings: Settings) -> None:
    if not 1 <= settings.port <= 65533:
        raise SettingsError(f"port = {settings.port}: must be from 1 to 65533, as port+1 and port+2 are used too")
    if not (settings.account_id.isascii() and settings.account_id.isdigit() and len(settings.account_id) == 12):
        raise SettingsError(f"account_id = {settings.account_id!r}: must be twelve digits, in quotes in clary.toml")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError("tls_certificate and tls_key go together: set both, or neither")
    if not settings.loopback and not settings.tls_certificate:
        raise SettingsError(
            f"host = {settings.host!r}: listening beyond this machine demands TLS; "
            "set tls_certificate and tls_key, or host = '127.0.0.1'"
        )
    for name in (f.name for f in dataclasses.fields(settings) if f.name.startswith("metrics_")):
        if not 0 <= getattr(settings, name) <= 36500:
            raise SettingsError(f"{name} = {getattr(settings, name)}: must be from 0 to 36500")
    if settings.s3_endpoint_url and not (settings.s3_access_key_id and settings.s3_secret_access_key):
        raise SettingsError("s3_endpoint_url needs s3_access_key_id and s3_secret_access_key too")
