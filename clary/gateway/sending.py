"""A request's body sent to a replica while it is still being received; the response may come before its end."""

from __future__ import annotations

import asyncio

from clary.gateway.exchange import Exchange
from clary.gateway.replica_connection import ReplicaConnection


async def send_body(exchange: Exchange, connection: ReplicaConnection, *, chunked: bool) -> None:
    """Send the body on as it is received. Raises ServiceError where receiving it fails."""
    while chunk := await exchange.body.next():
        await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
    if chunked:
        await connection.write(b"0\r\n\r\n")
    connection.finish_request()


def retrieve_exception(task: asyncio.Task[None]) -> None:
    """Keep asyncio from reporting a failure that is handled elsewhere."""
    if not task.cancelled():
        task.exception()


async def receive_head(connection: ReplicaConnection, sender: asyncio.Task[None] | None) -> None:
    """Return when the head of the response was received. Raises the sender's error, if that comes first."""
    if sender is None:
        await connection.head()
        return
    head = asyncio.create_task(connection.head())
    head.add_done_callback(retrieve_exception)
    try:
        await asyncio.wait((head, sender), return_when=asyncio.FIRST_COMPLETED)
        if not head.done():
            await sender
        await head
    finally:
        head.cancel()
