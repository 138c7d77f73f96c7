"""Connections to hosts that are not AWS's: bytes copied both ways, unread."""

from __future__ import annotations

import asyncio
import socket

from clary.proxy.client import READ_BYTES
from clary.proxy.limits import Limits

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(host: str, port: int, limits: Limits) -> Streams:
    """A connection to the host. Raises OSError, TimeoutError."""
    async with asyncio.timeout(limits.connect_s):
        return await asyncio.open_connection(host, port, limit=READ_BYTES)


async def tunnel(client: Streams, host: Streams, limits: Limits) -> None:
    """Copy until both directions have ended, or one broke; once one has ended, the other has a bounded time."""
    for _, writer in (client, host):
        _keep_alive(writer)
    tasks = [asyncio.create_task(_copy(client[0], host[1])), asyncio.create_task(_copy(host[0], client[1]))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if all(task.exception() is None for task in done):
            await asyncio.wait(tasks, timeout=limits.half_open_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in (client, host):
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the system detect a peer that vanished without closing the connection."""
    handle: socket.socket = writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
