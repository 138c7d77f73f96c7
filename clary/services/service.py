"""One helper process: started or adopted, checked, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import TypedDict
from urllib.parse import urlsplit

import structlog

from clary.core.errors import SettingsError
from clary.detached import process
from clary.detached.lock import try_lock

log = structlog.get_logger()

# The variables a helper inherits; with all others it would depend on who starts it.
INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_LOG_BYTES = 10 << 20
_POLL_S = 0.02


class Description(TypedDict):
    pid: int | None
    url: str
    healthy: bool


class Service:
    """A program that listens on a port.

    argv         its command; the first word is an absolute path
    environment  beside a few of the server's variables (INHERITED); may hold secrets, the command may not
    url          where clients reach it
    health_url   healthy is any answer below 500 to a GET there
    address      host and port it binds
    run          the folder of its lock and its log
    setting      what to change where the port is taken
    prepare      called (in a thread) each time before it is started anew, while it does not run
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        url: str,
        health_url: str,
        address: tuple[str, int],
        run: Path,
        setting: str = "port",
        prepare: Callable[[], None] = lambda: None,
        start_timeout_s: float = 30.0,
        health_timeout_s: float = 5.0,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.environment = dict(environment)
        self.url = url
        self.health_url = health_url
        self.address = address
        self.lock = run / f"{name}.lock"
        self.log = run / f"{name}.log"
        self.setting = setting
        self.prepare = prepare
        self.start_timeout_s = start_timeout_s
        self.health_timeout_s = health_timeout_s
        settings = json.dumps([self.argv, sorted(self.environment.items())])
        self.fingerprint = hashlib.sha256(settings.encode()).hexdigest()

    async def start_or_adopt(self, grace_s: float = 10.0) -> bool:
        """Have it running, with these settings, and healthy. Returns whether it had to be started.

        A process with other settings, or that does not get healthy, is ended first (`grace_s` as in stop).
        Raises  SettingsError where it cannot run: a taken port, a program that ends at once
        """
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        deadline = asyncio.get_running_loop().time() + self.start_timeout_s
        while True:
            if (lock := try_lock(self.lock)) is not None:
                await self._start(lock)
                return True
            with process.found(self.lock) as running:
                if running and running.fingerprint == self.fingerprint and await self._becomes_healthy(running):
                    log.info("service_adopted", service=self.name, pid=running.pid)
                    return False
                if running:
                    log.info("service_replaced", service=self.name, pid=running.pid)
                    await self._end(running, grace_s)
                    continue
            if asyncio.get_running_loop().time() > deadline:
                raise SettingsError(
                    f"{self.name}: {self.lock} is locked by a process that has not written its pid; end that process, "
                    "and start again"
                )
            await asyncio.sleep(_POLL_S)

    async def healthy(self) -> bool:
        """Whether it runs, and answers."""
        with process.found(self.lock) as running:
            return running is not None and await self._answers()

    async def ended(self, within_s: float) -> bool:
        """Whether it does not run (any more), waiting for its end up to `within_s`."""
        with process.found(self.lock) as running:
            return running is None or await running.ended(within_s)

    async def stop(self, grace_s: float = 10.0) -> None:
        """End it: SIGTERM, and SIGKILL after `grace_s`. Nothing happens where it does not run."""
        with process.found(self.lock) as running:
            if running:
                await self._end(running, grace_s)
                log.info("service_stopped", service=self.name, pid=running.pid)

    async def describe(self) -> Description:
        with process.found(self.lock) as running:
            healthy = running is not None and await self._answers()
            return {"pid": running.pid if running else None, "url": self.url, "healthy": healthy}

    async def _start(self, lock: int) -> None:
        try:
            self._check_port()
            await asyncio.to_thread(self.prepare)
            self._rotate_log()
            inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
            command = process.shell_command(self.argv)
            process.start(lock, self.fingerprint, command, {**inherited, **self.environment}, self.log)
        finally:
            os.close(lock)  # the process has its own
        if (pid := await self._wait_until_healthy()) is None:
            raise SettingsError(f"{self.name} ({self.argv[0]}) did not start: {self._last_log_lines()}")
        log.info("service_started", service=self.name, pid=pid, url=self.url)

    async def _wait_until_healthy(self) -> int | None:
        """The pid, once it is healthy; None where it is not, and it has been ended."""
        while (lock := try_lock(self.lock)) is None:
            with process.found(self.lock) as running:
                if running:
                    if await self._becomes_healthy(running):
                        return running.pid
                    await self._end(running, grace_s=1.0)
                    return None
            await asyncio.sleep(_POLL_S)  # between the fork and the shell's writing of the pid
        os.close(lock)  # it ended before it was found
        return None

    async def _becomes_healthy(self, running: process.DetachedProcess) -> bool:
        deadline = asyncio.get_running_loop().time() + self.start_timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if await self._answers():
                return True
            if await running.ended(_POLL_S):
                return False
        return False

    async def _end(self, running: process.DetachedProcess, grace_s: float) -> None:
        running.signal(SIGTERM)
        if not await running.ended(grace_s):
            running.signal(SIGKILL)
            if not await running.ended(self.start_timeout_s):
                raise SettingsError(f"{self.name}: process {running.pid} cannot be ended; see what it waits for")

    async def _answers(self) -> bool:
        """Whether an HTTP answer below 500 comes in time."""
        target = urlsplit(self.health_url)
        context = None
        if target.scheme == "https":
            # Nothing secret is sent, and the certificate has the name that other machines use.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            async with asyncio.timeout(self.health_timeout_s):
                reader, writer = await asyncio.open_connection(target.hostname, target.port, ssl=context)
                try:
                    writer.write(
                        f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: close\r\n\r\n".encode()
                    )
                    version, status, *_ = (await reader.readline()).split()
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError, ValueError):
            return False
        return version.startswith(b"HTTP/") and int(status) < 500

    def _check_port(self) -> None:
        host, port = self.address
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
        except OSError as error:
            reason = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used ({error})"
            raise SettingsError(
                f"{self.name}: port {port} on {host} {reason}; end what uses it, or change the setting {self.setting}"
            ) from error

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _last_log_lines(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 1000))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{' | '.join(lines[-3:]) or 'it printed nothing'} (see {self.log})"
