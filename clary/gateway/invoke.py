"""An invocation, from the checked call to the last byte of its answer.

    variant ──> (held while it has no replica) ──> replica ──> sent ──> answer passed on
Until something was sent, a request may go to another replica; from then on what happens is the caller's to know.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from clary.core.routes import Replica, Route, Variant
from clary.gateway import answers, eventstream
from clary.gateway.call import Call, refuse_what_the_endpoint_lacks
from clary.gateway.choose import choose_replica, choose_variant
from clary.gateway.errors import TIMED_OUT, ModelError, Place, ServiceUnavailable
from clary.gateway.exchange import Exchange
from clary.gateway.hops import Hops
from clary.gateway.limits import Limits
from clary.gateway.metrics import Metrics, VariantMetrics
from clary.gateway.replica_connection import ReplicaConnection, ReplicaGone
from clary.gateway.replicas import Replicas, ReplicaUnreachable, host_and_port
from clary.gateway.sending import head_or_failed_sender, look_at_result, send_body
from clary.gateway.table import SERVING, RouteTable

_AT_ONCE_BYTES = 64 * 1024  # an answer up to this size is taken whole before any of it is passed on
_ERROR_BYTES = 16 * 1024  # read of a container's error; more would not be shown


@dataclass(slots=True)
class Invocation:
    """What is known of one request while it is under way."""

    exchange: Exchange
    call: Call
    streamed_body: bool
    variant: str = ""
    counts: VariantMetrics | None = None
    container: str = "primary"  # the one that has the request now
    sent_at: float = 0.0
    model_s: float = 0.0

    @property
    def streams(self) -> bool:
        return self.call.operation == "InvokeEndpointWithResponseStream"


class Invoker:
    """Answers invocations."""

    def __init__(
        self,
        table: RouteTable,
        replicas: Replicas,
        metrics: Metrics,
        place: Place,
        limits: Limits,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._replicas = replicas
        self._metrics = metrics
        self._place = place
        self._limits = limits
        self._draw = draw

    async def invoke(self, exchange: Exchange, call: Call, *, streamed_body: bool) -> None:
        """Answer one call. Raises ServiceError where the answer is an error and nothing of it was sent yet."""
        one = Invocation(exchange, call, streamed_body)
        variant = self._assign(one)
        try:
            replica, connection = await self._connect(one, variant)
            try:
                await self._converse(one, replica, connection)
            finally:
                self._replicas.release(replica, connection)
        except ModelError as error:
            self._counts(one).count_model_error(error.original_status)
            raise
        except ServiceUnavailable:
            self._counts(one).errors_5xx += 1
            raise
        finally:
            self._finish(one)

    # Which variant, which replica

    def _serving(self, endpoint: str) -> Route:
        """The endpoint's route as it is now. Raises ValidationError where it takes no requests."""
        route = self._table.routes.get(endpoint)
        if route is None or route.status not in SERVING:
            self._table.look()
            route = self._table.routes.get(endpoint)
        if route is None:
            raise self._place.not_found(endpoint)
        if route.status not in SERVING:
            raise self._place.not_in_service(endpoint, route.status)
        return route

    def _assign(self, one: Invocation) -> Variant:
        """The request's variant: the one it already has, while the endpoint has it too; else one anew."""
        route = self._serving(one.call.endpoint)
        for variant in route.variants:
            if variant.name == one.variant:
                return variant
        refuse_what_the_endpoint_lacks(one.call)
        chosen = choose_variant(route.endpoint, route.variants, one.call.target_variant, self._draw())
        if one.counts is not None:
            one.counts.in_flight -= 1
        one.variant = chosen.name
        one.counts = self._metrics.of(route, chosen.name)
        one.counts.in_flight += 1
        one.exchange.stamps = [(b"x-Amzn-Invoked-Production-Variant", chosen.name.encode())]
        return chosen

    async def _connect(self, one: Invocation, variant: Variant) -> tuple[Replica, ReplicaConnection]:
        """A connection to one of the variant's replicas; waits while there is none, a bounded time."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._limits.hold_s
        while True:
            now = loop.time()
            ready = self._replicas.ready(variant.replicas, now)
            replica = choose_replica(ready, self._replicas.outstanding, self._draw())
            if replica is not None:
                try:
                    return replica, await self._replicas.connect(replica)
                except ReplicaUnreachable:
                    variant = self._assign(one)
                    continue
            if now >= give_up_at:
                raise ServiceUnavailable(
                    f"No replica of variant {variant.name} of endpoint {one.call.endpoint} took the request "
                    f"within {self._limits.hold_s:g} s; see the endpoint's log."
                )
            await self._hold(one, min(give_up_at, self._replicas.next_try(variant.replicas)) - now)
            variant = self._assign(one)

    async def _hold(self, one: Invocation, for_s: float) -> None:
        if self._metrics.held >= self._limits.held:
            raise ServiceUnavailable(f"{self._limits.held} requests are waiting for replicas already; try again.")
        self._metrics.held += 1
        try:
            await self._table.changed(one.call.endpoint, for_s)
        finally:
            self._metrics.held -= 1

    # The conversation with the replica

    async def _converse(self, one: Invocation, replica: Replica, connection: ReplicaConnection) -> None:
        one.sent_at = time.perf_counter()
        one.container = replica.container
        sender = None
        hops = Hops(self._replicas, replica, one.call, self._limits.body_bytes) if replica.further else None
        try:
            async with asyncio.timeout(self._limits.model_s) as limit:
                sender = await self._send(one, replica, connection)
                await head_or_failed_sender(connection, sender)
                while hops and hops.left and 200 <= connection.status < 300:
                    connection = await self._go_on(one, hops, connection)
                    await connection.head()
                if one.streams:
                    limit.reschedule((limit.when() or 0.0) - self._limits.model_s + self._limits.stream_s)
                if not 200 <= connection.status < 300:
                    raise await self._container_error(one, connection)
                await (self._pass_on_stream if one.streams else self._pass_on)(one, connection, limit)
        except TimeoutError:
            text = TIMED_OUT.format(container=one.container)
            self._break_off(one, self._error(one, 0, text), "ModelInvocationTimeExceeded")
        except ReplicaGone as gone:
            self._replicas.broke(replica)
            self._break_off(one, self._gone(one, connection, gone), "StreamBroken")
        except asyncio.CancelledError:
            if one.streams and one.exchange.started:  # the caller is there still where it is us who leave
                one.exchange.write(eventstream.failure("InternalStreamFailure", "The gateway is stopping."))
                one.exchange.finish()
            raise
        finally:
            if hops:
                hops.release()
            one.model_s = time.perf_counter() - one.sent_at
            if sender is not None:
                sender.cancel()

    async def _go_on(self, one: Invocation, hops: Hops, connection: ReplicaConnection) -> ReplicaConnection:
        """What one container of a pipeline answered, sent to the next; the connection to that one."""
        behind = hops.left[0].container
        try:
            connection = await hops.next(connection)
        except ReplicaUnreachable as error:
            one.container = behind
            raise self._error(one, 0, f"The container gave no answer: {error}.") from error
        one.container = behind
        return connection

    async def _send(
        self, one: Invocation, replica: Replica, connection: ReplicaConnection
    ) -> asyncio.Task[None] | None:
        """Send the request: at once where its body is here already, else by a task that hands on what comes."""
        body = one.exchange.body
        if not one.streamed_body:
            pieces = await body.whole()
            connection.send([self._head(one, replica, body.size), *pieces])
            return None
        length = one.exchange.headers.get("content-length")
        connection.send([self._head(one, replica, int(length) if length else None)], whole=False)
        sender = asyncio.create_task(send_body(one.exchange, connection, chunked=not length))
        sender.add_done_callback(look_at_result)
        return sender

    def _head(self, one: Invocation, replica: Replica, length: int | None) -> bytes:
        host, port = host_and_port(replica.address)
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        start = f"POST /invocations HTTP/1.1\r\nhost: {host}:{port}\r\n{framing}\r\n".encode("latin-1")
        return start + one.call.container_headers(last=not replica.further) + b"\r\n"

    async def _container_error(self, one: Invocation, connection: ReplicaConnection) -> ModelError:
        text = await connection.rest(_ERROR_BYTES)
        return self._error(one, connection.status, text.decode("utf-8", "replace"))

    def _error(self, one: Invocation, status: int, text: str) -> ModelError:
        return self._place.model_error(one.call.endpoint, status, text, one.container)

    async def _pass_on(self, one: Invocation, connection: ReplicaConnection, limit: asyncio.Timeout) -> None:
        exchange = one.exchange
        headers = answers.plain_headers(connection.headers)
        length = connection.content_length
        if connection.complete or (length is not None and length <= _AT_ONCE_BYTES):
            exchange.respond(connection.status, headers, await connection.rest())
            return
        exchange.start(connection.status, headers, length)
        while chunk := await connection.chunk():
            await _give(exchange, chunk, limit)
        exchange.finish()

    async def _pass_on_stream(self, one: Invocation, connection: ReplicaConnection, limit: asyncio.Timeout) -> None:
        exchange = one.exchange
        exchange.start(200, answers.stream_headers(connection.headers), None)
        while chunk := await connection.chunk():
            await _give(exchange, eventstream.payload_part(chunk), limit)
        exchange.finish()

    def _gone(self, one: Invocation, connection: ReplicaConnection, gone: ReplicaGone) -> ModelError:
        if connection.status:
            return self._place.broken_answer(one.call.endpoint, connection.status, one.container)
        return self._error(one, 0, f"The container gave no answer: {gone}.")

    def _break_off(self, one: Invocation, error: ModelError, stream_code: eventstream.StreamErrorCode) -> None:
        """Tell the caller, by whatever way is still open."""
        if not one.exchange.started:
            raise error
        self._counts(one).count_model_error(0)
        if one.streams:
            one.exchange.write(eventstream.failure("ModelStreamError", error.message, stream_code))
            one.exchange.finish()
        # Else the answer stays unfinished, and the connection is broken off: the caller sees it is not whole.

    # Counting

    def _counts(self, one: Invocation) -> VariantMetrics:
        assert one.counts is not None
        return one.counts

    def _finish(self, one: Invocation) -> None:
        counts = self._counts(one)
        whole_s = time.perf_counter() - one.exchange.received_at
        counts.in_flight -= 1
        counts.invocations += 1
        if one.sent_at:
            counts.model_latency.add(one.model_s * 1e6)
        counts.overhead_latency.add((whole_s - one.model_s) * 1e6)


async def _give(exchange: Exchange, data: bytes, limit: asyncio.Timeout) -> None:
    """Pass a piece on to the caller. The time a slow caller takes is not the model's, so the limit moves with it."""
    exchange.write(data)
    if exchange.blocked:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await exchange.drain()
        limit.reschedule((limit.when() or began) + loop.time() - began)
