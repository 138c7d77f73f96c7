"""What else is done with an invocation, beside answering it: an ordered tuple of hooks, empty by default.

    variant chosen ──> before, in order ──> replica ──> response ──> after, in order
Where there are hooks, a request's body is received whole before a replica gets any of it, and up to
`MAX_RECORDED_BYTES` of the response are kept until `after` has been called. Without hooks nothing of this costs a
request anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from clary.core.routes import Route, Variant
from clary.gateway.call import Call
from clary.gateway.exchange import Headers

MAX_RECORDED_BYTES = 25 * 1024 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Request:
    """An invocation's request. `id` is the value of x-amzn-RequestId."""

    id: str
    call: Call
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What the container answered, with a 2xx status. `headers` have lower-case names.

    complete   False where the body broke off, the client left, or the body is larger than MAX_RECORDED_BYTES
    """

    status: int
    headers: Headers
    body: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `model_s` is 0 where nothing was sent to a replica.

    received_at   epoch seconds
    model_s       from the request's sending to the end of the response
    total_s       from the request's receipt to the end of the response
    """

    received_at: float
    model_s: float
    total_s: float


class InvocationHook(Protocol):
    """Called from the event loop: it must return at once, and start a task or a thread for what takes time.

    An exception it raises is logged; it changes nothing for the client, and the other hooks are still called.
    """

    def before(self, request: Request, route: Route, variant: Variant) -> None:
        """The request was received whole, and this variant will answer it."""
        ...

    def after(
        self, request: Request, route: Route, variant: Variant, response: Response | None, timing: Timing
    ) -> None:
        """The client has its answer. `response` is None where that is an error."""
        ...


class Recording:
    """Of a response, what hooks will see."""

    def __init__(self, status: int, headers: Headers) -> None:
        self._status = status
        self._headers = headers
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MAX_RECORDED_BYTES:
            self._pieces.append(piece)

    def response(self, *, whole: bool) -> Response:
        """`whole`: the client got all of it."""
        complete = whole and self._size <= MAX_RECORDED_BYTES
        return Response(self._status, self._headers, b"".join(self._pieces), complete)


def call_each(hooks: Sequence[InvocationHook], call: Callable[[InvocationHook], None]) -> None:
    """Call every hook in order, whatever one of them raises."""
    for hook in hooks:
        try:
            call(hook)
        except Exception:
            log.exception("hook_failed", hook=type(hook).__name__)
