"""A request forwarded to a service, and its response to the client. Bodies stream both ways, at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import h11

from clary.core.errors import ServiceUnavailable
from clary.proxy.client import Client, ClientDisconnected, Headers
from clary.proxy.limits import Limits
from clary.proxy.upstream import Target, Upstream

# Of a single connection, and not forwarded (RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip

EditHeaders = Callable[[int, Headers], Headers]


def header(headers: Headers, name: bytes) -> bytes:
    """The first of its values, b"" where there is none."""
    return next((value for key, value in headers if key == name), b"")


def end_to_end(headers: Headers) -> Headers:
    """The headers for the final recipient, without those of a single connection. Names are lower case."""
    named = {name.strip().lower() for key, value in headers if key == b"connection" for name in value.split(b",")} - {
        b"host"
    }
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named]


def forwarded(request: h11.Request) -> h11.Request:
    """The same request, for the connection to the service: its signature, which covers Host, stays valid.

    The client has got its `100 Continue` already, and no client signs Expect.
    """
    headers = [pair for pair in end_to_end(list(request.headers)) if pair[0] != b"expect"]
    if header(list(request.headers), b"transfer-encoding"):
        headers.append((b"transfer-encoding", b"chunked"))
    headers.append((b"connection", b"close"))
    return h11.Request(method=request.method, target=request.target, headers=headers)


async def relay(
    client: Client,
    request: h11.Request,
    body: AsyncIterator[bytes],
    target: Target,
    limits: Limits,
    edit_headers: EditHeaders = lambda status, headers: headers,
) -> None:
    """Answer the client with the response of `target` to `request` and `body`.

    A body that fails its checks raises, and the target never receives its end. Raises ServiceUnavailable while there is
    no response yet, ClientDisconnected once no answer can reach the client.
    """
    upstream = await Upstream.open(target, limits)
    sending = asyncio.create_task(_send(client, upstream, request, body))
    answering = asyncio.create_task(_answer(client, upstream, edit_headers))
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        # Sending ends by itself only with an error.
        (answering if answering.done() else sending).result()
    finally:
        for task in (sending, answering):
            task.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)
        upstream.close()


async def _send(client: Client, upstream: Upstream, request: h11.Request, body: AsyncIterator[bytes]) -> None:
    await upstream.send(request, body)
    await client.disconnected()
    raise ClientDisconnected


async def _answer(client: Client, upstream: Upstream, edit_headers: EditHeaders) -> None:
    head = await upstream.head()
    await client.start(
        head.status_code, bytes(head.reason), edit_headers(head.status_code, end_to_end(list(head.headers)))
    )
    try:
        async for piece in upstream.body():
            await client.send(piece)
    except ServiceUnavailable as error:
        raise ClientDisconnected from error  # the client sees that the response is not whole
    await client.end()
