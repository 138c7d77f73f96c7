"""The service's side of a request: a connection of its own for each.

On loopback a new connection costs less than finding out whether an old one is still usable.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import h11

from clary.core.errors import ServiceUnavailable, SettingsError
from clary.proxy.client import READ_BYTES
from clary.proxy.limits import Limits


@dataclass(frozen=True, slots=True)
class Target:
    """A service behind the proxy.

    remedy   what a person may do where it is unavailable
    tls      None: plain HTTP
    """

    name: str
    url: str
    remedy: str
    tls: ssl.SSLContext | None = None

    def unavailable(self, trouble: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"Clary's {self.name} at {self.url} {trouble}; {self.remedy}.")


def pinned(certificate: str) -> ssl.SSLContext:
    """TLS to a server of Clary: it is recognised by its certificate, whatever name that is made out to."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls_certificate = {certificate!r}: {error}") from error
    return context


class Upstream:
    """The connection of one request."""

    def __init__(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
    ) -> None:
        self._target = target
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.head_bytes)

    @classmethod
    async def open(cls, target: Target, limits: Limits) -> Self:
        """A new connection. Raises ServiceUnavailable where nothing listens."""
        url = urlsplit(target.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(limits.connect_s):
                streams = await asyncio.open_connection(url.hostname, port, ssl=target.tls, limit=READ_BYTES)
        except OSError as error:
            raise target.unavailable("does not answer") from error
        return cls(target, *streams, limits)

    async def send(self, request: h11.Request, body: AsyncIterator[bytes]) -> None:
        """Send it whole, unless the service stops reading it: then its response has the reason."""
        try:
            await self._write(self._http.send(request))
            async for piece in body:
                await self._write(self._http.send(h11.Data(data=piece)))
            await self._write(self._http.send(h11.EndOfMessage()))
        except OSError:
            return

    async def head(self) -> h11.Response:
        """Status and headers. Raises ServiceUnavailable where there is no response."""
        while True:
            match await self._event():
                case h11.Response() as response:
                    return response
                case h11.ConnectionClosed():
                    raise self._target.unavailable("closed the connection without a response")

    async def body(self) -> AsyncIterator[bytes]:
        """The response's body. Raises ServiceUnavailable where it breaks off."""
        while True:
            match await self._event():
                case h11.Data(data=data):
                    yield bytes(data)
                case h11.EndOfMessage():
                    return
                case _:
                    raise self._target.unavailable("broke off its response")

    def close(self) -> None:
        """Close at once, whatever is still being sent."""
        self._writer.transport.abort()

    async def _event(self) -> object:
        data = None
        while True:
            try:
                if (event := self._http.next_event()) is not h11.NEED_DATA:
                    return event
                async with asyncio.timeout(self._limits.answer_s):
                    data = await self._reader.read(READ_BYTES)
            except h11.RemoteProtocolError as error:
                if data == b"":
                    return h11.ConnectionClosed()  # too early for HTTP
                raise self._target.unavailable(f"answered something else than HTTP ({error})") from error
            except TimeoutError as error:
                raise self._target.unavailable("took too long to answer") from error
            except OSError:
                data = b""
            self._http.receive_data(data)

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        async with asyncio.timeout(self._limits.stall_s):
            await self._writer.drain()
