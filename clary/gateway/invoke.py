"""An invocation, from the checked call to the last byte of its response.

    variant ──> (waits while it has no replica) ──> replica ──> request sent ──> response passed on
Until something was sent, a request may go to another replica; after that it is never sent again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from clary.core.errors import ServiceUnavailable
from clary.core.routes import Replica, Route, Variant
from clary.gateway import eventstream, response_headers
from clary.gateway.call import Call, check_mode
from clary.gateway.choose import choose_replica, choose_variant
from clary.gateway.errors import TIMED_OUT, ErrorFactory, ModelError
from clary.gateway.exchange import Exchange
from clary.gateway.hooks import InvocationHook, Recording, Request, Timing, call_each
from clary.gateway.limits import Limits
from clary.gateway.metrics import Metrics, VariantMetrics
from clary.gateway.no_replica_events import NoReplicaEvents
from clary.gateway.pipeline_chain import PipelineChain
from clary.gateway.replica_connection import ReplicaConnection, ReplicaDisconnected
from clary.gateway.replicas import Replicas, ReplicaUnreachable, host_and_port
from clary.gateway.route_table import SERVING, RouteTable
from clary.gateway.sending import receive_head, retrieve_exception, send_body

_BUFFERED_BYTES = 64 * 1024  # a response up to this size is received whole before any of it is passed on
_MAX_ERROR_BYTES = 16 * 1024  # read of a container's error; more would not be shown


@dataclass(slots=True)
class Invocation:
    """A request while it is under way. `route`, `variant` and `counts` are set by `Invoker._assign`."""

    exchange: Exchange
    call: Call
    streamed_body: bool
    route: Route
    variant: Variant
    counts: VariantMetrics
    container: str = "primary"  # the one that has the request now
    sent_at: float = 0.0
    model_s: float = 0.0
    succeeded: bool = False
    recording: Recording | None = None  # where there are hooks, of the response

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
        errors: ErrorFactory,
        no_replica_events: NoReplicaEvents,
        limits: Limits,
        hooks: tuple[InvocationHook, ...] = (),
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._replicas = replicas
        self._metrics = metrics
        self._errors = errors
        self._no_replica_events = no_replica_events
        self._limits = limits
        self._hooks = hooks
        self._draw = draw

    async def invoke(self, exchange: Exchange, call: Call, *, streamed_body: bool) -> None:
        """Answer a call. Raises ServiceError where the answer is an error and nothing of it was sent yet."""
        invocation = self._begin(exchange, call, streamed_body=streamed_body)
        request = None
        try:
            if self._hooks:
                request = await self._before(invocation)
            replica, connection = await self._connect(invocation)
            try:
                await self._forward(invocation, replica, connection)
            finally:
                self._replicas.release(replica, connection)
        except ModelError as error:
            invocation.counts.count_model_error(error.original_status)
            raise
        except ServiceUnavailable:
            invocation.counts.errors_5xx += 1
            raise
        finally:
            self._count(invocation)
            if request is not None:
                self._after(invocation, request)

    # Hooks

    async def _before(self, invocation: Invocation) -> Request:
        exchange = invocation.exchange
        body = b"".join(await exchange.body.whole())
        invocation.streamed_body = False
        request = Request(exchange.request_id.decode(), invocation.call, body)
        call_each(self._hooks, lambda hook: hook.before(request, invocation.route, invocation.variant))
        return request

    def _after(self, invocation: Invocation, request: Request) -> None:
        total_s = time.perf_counter() - invocation.exchange.received_at
        timing = Timing(time.time() - total_s, invocation.model_s, total_s)
        recording = invocation.recording
        response = recording.response(whole=invocation.succeeded) if recording else None
        call_each(self._hooks, lambda h: h.after(request, invocation.route, invocation.variant, response, timing))

    # Which variant, which replica

    def _serving_route(self, endpoint: str) -> Route:
        """The endpoint's route as it is now. Raises ValidationError where it takes no requests."""
        route = self._table.routes.get(endpoint)
        if route is None or route.status not in SERVING:
            self._table.refresh()
            route = self._table.routes.get(endpoint)
        if route is None:
            raise self._errors.not_found(endpoint)
        if route.status not in SERVING:
            raise self._errors.not_in_service(endpoint, route.status)
        return route

    def _begin(self, exchange: Exchange, call: Call, *, streamed_body: bool) -> Invocation:
        route = self._serving_route(call.endpoint)
        variant = self._choose_variant(call, route)
        invocation = Invocation(
            exchange, call, streamed_body, route, variant, self._metrics.for_variant(route, variant.name)
        )
        self._enter(invocation)
        return invocation

    def _choose_variant(self, call: Call, route: Route) -> Variant:
        check_mode(call, route.mode)
        return choose_variant(route.endpoint, route.variants, call.target_variant, self._draw())

    def _enter(self, invocation: Invocation) -> None:
        invocation.counts.in_flight += 1
        invocation.exchange.extra_headers = [(b"x-Amzn-Invoked-Production-Variant", invocation.variant.name.encode())]

    def _reassign(self, invocation: Invocation) -> None:
        """The variant as the route has it now; another one where the endpoint no longer has that variant."""
        route = self._serving_route(invocation.call.endpoint)
        invocation.route = route
        for variant in route.variants:
            if variant.name == invocation.variant.name:
                invocation.variant = variant
                return
        invocation.variant = self._choose_variant(invocation.call, route)
        invocation.counts.in_flight -= 1
        invocation.counts = self._metrics.for_variant(route, invocation.variant.name)
        self._enter(invocation)

    async def _connect(self, invocation: Invocation) -> tuple[Replica, ReplicaConnection]:
        """A connection to one of the variant's replicas; waits while there is none, a bounded time."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._limits.replica_wait_s
        while True:
            now = loop.time()
            variant = invocation.variant
            ready = self._replicas.ready(variant.replicas, now)
            replica = choose_replica(ready, self._replicas.outstanding, self._draw())
            if replica is not None:
                try:
                    return replica, await self._replicas.connect(replica)
                except ReplicaUnreachable:
                    self._reassign(invocation)
                    continue
            if now >= give_up_at:
                raise ServiceUnavailable(
                    f"No replica of variant {variant.name} of endpoint {invocation.call.endpoint} took the request "
                    f"within {self._limits.replica_wait_s:g} s; see the endpoint's log."
                )
            self._no_replica_events.send(invocation.route, now)
            await self._wait(invocation, min(give_up_at, self._replicas.next_try(variant.replicas)) - now)
            self._reassign(invocation)

    async def _wait(self, invocation: Invocation, for_s: float) -> None:
        """Return when the endpoint's route has changed, or the time is over."""
        if self._metrics.waiting >= self._limits.waiting_requests:
            raise ServiceUnavailable(
                f"{self._limits.waiting_requests} requests are waiting for replicas already; try again."
            )
        self._metrics.waiting += 1
        try:
            await self._table.changed(invocation.call.endpoint, for_s)
        finally:
            self._metrics.waiting -= 1

    # Request and response of the replica

    async def _forward(self, invocation: Invocation, replica: Replica, connection: ReplicaConnection) -> None:
        invocation.sent_at = time.perf_counter()
        invocation.container = replica.container
        sender = None
        chain = None
        if replica.further:
            chain = PipelineChain(self._replicas, replica, invocation.call, self._limits.body_bytes)
        try:
            async with asyncio.timeout(self._limits.model_s) as limit:
                sender = await self._send(invocation, replica, connection)
                await receive_head(connection, sender)
                while chain and chain.remaining and 200 <= connection.status < 300:
                    connection = await self._next_container(invocation, chain, connection)
                    await connection.head()
                if invocation.streams:
                    limit.reschedule((limit.when() or 0.0) - self._limits.model_s + self._limits.stream_s)
                if not 200 <= connection.status < 300:
                    raise await self._container_error(invocation, connection)
                await (self._pass_on_stream if invocation.streams else self._pass_on)(invocation, connection, limit)
                invocation.succeeded = True
        except TimeoutError:
            text = TIMED_OUT.format(container=invocation.container)
            self._fail(invocation, self._model_error(invocation, 0, text), "ModelInvocationTimeExceeded")
        except ReplicaDisconnected as error:
            self._replicas.connection_broke(replica)
            self._fail(invocation, self._disconnected(invocation, connection, error), "StreamBroken")
        except asyncio.CancelledError:
            if invocation.streams and invocation.exchange.started:  # the gateway stops; the client is still connected
                invocation.exchange.write(eventstream.failure("InternalStreamFailure", "The gateway is stopping."))
                invocation.exchange.finish()
            raise
        finally:
            if chain:
                chain.release()
            invocation.model_s = time.perf_counter() - invocation.sent_at
            if sender is not None:
                sender.cancel()

    async def _next_container(
        self, invocation: Invocation, chain: PipelineChain, connection: ReplicaConnection
    ) -> ReplicaConnection:
        """A pipeline's container has answered: send its response to the next one; the connection to that one."""
        container = chain.remaining[0].container
        try:
            connection = await chain.forward(connection)
        except ReplicaUnreachable as error:
            invocation.container = container
            raise self._model_error(invocation, 0, f"The container gave no answer: {error}.") from error
        invocation.container = container
        return connection

    async def _send(
        self, invocation: Invocation, replica: Replica, connection: ReplicaConnection
    ) -> asyncio.Task[None] | None:
        """Send the request: whole where its body was received, else by a task that sends it on as it is received."""
        body = invocation.exchange.body
        if not invocation.streamed_body:
            pieces = await body.whole()
            connection.send([self._head(invocation, replica, body.size), *pieces])
            return None
        length = invocation.exchange.headers.get("content-length")
        connection.send([self._head(invocation, replica, int(length) if length else None)], whole=False)
        sender = asyncio.create_task(send_body(invocation.exchange, connection, chunked=not length))
        sender.add_done_callback(retrieve_exception)
        return sender

    def _head(self, invocation: Invocation, replica: Replica, length: int | None) -> bytes:
        host, port = host_and_port(replica.address)
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        start = f"POST /invocations HTTP/1.1\r\nhost: {host}:{port}\r\n{framing}\r\n".encode("latin-1")
        return start + invocation.call.container_headers(last=not replica.further) + b"\r\n"

    async def _container_error(self, invocation: Invocation, connection: ReplicaConnection) -> ModelError:
        text = await connection.read_body(_MAX_ERROR_BYTES)
        return self._model_error(invocation, connection.status, text.decode("utf-8", "replace"))

    def _model_error(self, invocation: Invocation, status: int, text: str) -> ModelError:
        return self._errors.model_error(invocation.call.endpoint, status, text, invocation.container)

    async def _pass_on(self, invocation: Invocation, connection: ReplicaConnection, limit: asyncio.Timeout) -> None:
        exchange = invocation.exchange
        headers = response_headers.plain_headers(connection.headers)
        length = connection.content_length
        if connection.complete or (length is not None and length <= _BUFFERED_BYTES):
            body = await connection.read_body()
            exchange.respond(connection.status, headers, body)
            if self._hooks:
                self._record(invocation, connection).add(body)
        else:
            exchange.start(connection.status, headers, length)
            recording = self._record(invocation, connection) if self._hooks else None
            while chunk := await connection.chunk():
                if recording is not None:
                    recording.add(chunk)
                await _write(exchange, chunk, limit)
            exchange.finish()

    async def _pass_on_stream(
        self, invocation: Invocation, connection: ReplicaConnection, limit: asyncio.Timeout
    ) -> None:
        exchange = invocation.exchange
        exchange.start(200, response_headers.stream_headers(connection.headers), None)
        recording = self._record(invocation, connection) if self._hooks else None
        while chunk := await connection.chunk():
            if recording is not None:
                recording.add(chunk)
            await _write(exchange, eventstream.payload_part(chunk), limit)
        exchange.finish()

    def _record(self, invocation: Invocation, connection: ReplicaConnection) -> Recording:
        invocation.recording = Recording(connection.status, connection.headers)
        return invocation.recording

    def _disconnected(
        self, invocation: Invocation, connection: ReplicaConnection, error: ReplicaDisconnected
    ) -> ModelError:
        if connection.status:
            return self._errors.incomplete_response(invocation.call.endpoint, connection.status, invocation.container)
        return self._model_error(invocation, 0, f"The container gave no answer: {error}.")

    def _fail(self, invocation: Invocation, error: ModelError, stream_code: eventstream.StreamErrorCode) -> None:
        """Report the error to the client, in the form that is still possible."""
        if not invocation.exchange.started:
            raise error
        invocation.counts.count_model_error(0)
        if invocation.streams:
            invocation.exchange.write(eventstream.failure("ModelStreamError", error.message, stream_code))
            invocation.exchange.finish()
        # Else the response stays unfinished, and the connection is closed: the client sees that it is not whole.

    def _count(self, invocation: Invocation) -> None:
        counts = invocation.counts
        total_s = time.perf_counter() - invocation.exchange.received_at
        counts.in_flight -= 1
        counts.invocations += 1
        if invocation.sent_at:
            counts.model_latency.add(invocation.model_s * 1e6)
        counts.overhead_latency.add((total_s - invocation.model_s) * 1e6)


async def _write(exchange: Exchange, data: bytes, limit: asyncio.Timeout) -> None:
    """Pass a piece on to the client. The time a slow client takes is not the model's, so the limit moves with it."""
    exchange.write(data)
    if exchange.blocked:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await exchange.drain()
        limit.reschedule((limit.when() or began) + loop.time() - began)
