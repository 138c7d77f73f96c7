"""A request's body on its way to a replica while it still comes in, and the answer that may come before its end."""

from __future__ import annotations

import asyncio

from clary.gateway.exchange import Exchange
from clary.gateway.replica_connection import ReplicaConnection


async def send_body(exchange: Exchange, connection: ReplicaConnection, *, chunked: bool) -> None:
    """Hand the body on as it comes. Raises ServiceError where the caller's side of it fails."""
    while chunk := await exchange.body.next():
        await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
    if chunked:
        await connection.write(b"0\r\n\r\n")
    connection.finish_request()


def look_at_result(task: asyncio.Task[None]) -> None:
    """So that asyncio does not report a failure which was dealt with elsewhere."""
    if not task.cancelled():
        task.exception()


async def head_or_failed_sender(connection: ReplicaConnection, sender: asyncio.Task[None] | None) -> None:
    """Return when the head of the answer is there. Raises what stopped the request's body, if that comes first."""
    if sender is None:
        await connection.head()
        return
    head = asyncio.create_task(connection.head())
    head.add_done_callback(look_at_result)
    try:
        await asyncio.wait((head, sender), return_when=asyncio.FIRST_COMPLETED)
        if not head.done():
            await sender
        await head
    finally:
        head.cancel()
