"""A request goes on to a service, its answer comes back. Bodies stream both ways, and at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import h11

from clary.proxy.caller import Caller, CallerGone, Headers
from clary.proxy.errors import ServiceUnavailable
from clary.proxy.limits import Limits
from clary.proxy.upstream import Target, Upstream

# About one connection only, not for the next.
_OF_THE_CONNECTION = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip

FixHeaders = Callable[[int, Headers], Headers]


def header(headers: Headers, name: bytes) -> bytes:
    """The first of its values, b"" where there is none."""
    return next((value for key, value in headers if key == name), b"")


def end_to_end(headers: Headers) -> Headers:
    """What is meant for who answers in the end. Names are lower case."""
    named = {name.strip().lower() for key, value in headers if key == b"connection" for name in value.split(b",")} - {
        b"host"
    }
    return [(name, value) for name, value in headers if name not in _OF_THE_CONNECTION and name not in named]


def onward(request: h11.Request) -> h11.Request:
    """The same request, for the next connection: its signature stays good, Host and all.

    The client was told to send its body already, and no client signs Expect.
    """
    headers = [pair for pair in end_to_end(list(request.headers)) if pair[0] != b"expect"]
    if header(list(request.headers), b"transfer-encoding"):
        headers.append((b"transfer-encoding", b"chunked"))
    headers.append((b"connection", b"close"))
    return h11.Request(method=request.method, target=request.target, headers=headers)


async def relay(
    caller: Caller,
    request: h11.Request,
    body: AsyncIterator[bytes],
    target: Target,
    limits: Limits,
    fix: FixHeaders = lambda status, headers: headers,
) -> None:
    """Answer the caller with what `target` answers to `request` and `body`.

    A body that turns out not to be what it should raises, and the target never sees its end. Raises ServiceUnavailable
    while there is no answer yet, CallerGone once there is nobody, or nothing more, to tell.
    """
    upstream = await Upstream.open(target, limits)
    sending = asyncio.create_task(_send(caller, upstream, request, body))
    answering = asyncio.create_task(_answer(caller, upstream, fix))
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        # Sending comes to an end by itself only with an error.
        (answering if answering.done() else sending).result()
    finally:
        for task in (sending, answering):
            task.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)
        upstream.close()


async def _send(caller: Caller, upstream: Upstream, request: h11.Request, body: AsyncIterator[bytes]) -> None:
    await upstream.send(request, body)
    await caller.gone()
    raise CallerGone


async def _answer(caller: Caller, upstream: Upstream, fix: FixHeaders) -> None:
    head = await upstream.head()
    await caller.start(head.status_code, bytes(head.reason), fix(head.status_code, end_to_end(list(head.headers))))
    try:
        async for piece in upstream.body():
            await caller.send(piece)
    except ServiceUnavailable as error:
        raise CallerGone from error  # an answer cut short says so by itself
    await caller.end()
