"""The control API: an AWS client's request turned into a dict for an operation, and its result into a response.

This file has the steps of a request; it knows shapes and no resource: `operations` is given to it.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan, Receive, Scope, Send

from clary import __version__
from clary.core import sigv4
from clary.core.clock import Clock
from clary.core.credentials import Credentials
from clary.core.errors import (
    InternalFailure,
    NotImplementedByClary,
    ServiceError,
    StoreError,
    UnknownOperationException,
    ValidationError,
)
from clary.core.settings import Settings
from clary.wire import json11, query
from clary.wire.exchange import Exchange, read_body
from clary.wire.pages import Pages
from clary.wire.shapes import SERVICES, Operation, Service, Services
from clary.wire.validate import Validator

Operations = Mapping[tuple[str, str], Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]

# A longer body is hashed and checked in a thread, so that other requests do not wait for it.
INLINE_BYTES = 64 * 1024

# Services of a region; clients of the others sign for us-east-1, whatever their region.
REGIONAL = ("sagemaker", "logs")

_DATA_PLANE = re.compile(rb"/endpoints/[^/]+/[a-z-]*invocations")

log = structlog.get_logger()


def make_app(
    operations: Operations,
    credentials: Credentials,
    settings: Settings,
    clock: Clock,
    extra_routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan[Starlette] | None = None,
    pages: Sequence[Pages] = (),
) -> Starlette:
    """The ASGI application of the control port.

    operations    (service, operation) -> the function for it: ("sagemaker", "CreateModel"), ("logs", "GetLogEvents")
    extra_routes  served beside the API
    pages         web pages beside the API, each with sessions of its own
    """
    control_api = ControlApi(operations, credentials, settings, clock)
    mounted = [route for part in pages for route in part.mounted(credentials, settings, clock)]
    app = Starlette(routes=[Route("/healthz", _healthz), *extra_routes, *mounted], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = control_api
    return app


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok", "service": "clary", "version": __version__})


@dataclass(frozen=True, slots=True)
class Call:
    """The operation a request is for."""

    service: Service
    operation: Operation


@dataclass(frozen=True, slots=True)
class ControlApi:
    """Answers every request that no other route takes."""

    operations: Operations
    credentials: Credentials
    settings: Settings
    clock: Clock
    services: Services = field(default_factory=Services)
    validators: dict[str, Validator] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await self.answer(Exchange(Request(scope, receive)))
        except ClientDisconnect:
            return  # nobody reads the response
        await response(scope, receive, send)

    async def answer(self, exchange: Exchange) -> Response:
        """The steps of a request, in order."""
        try:
            exchange.body = await read_body(exchange.request, self.settings.max_request_mib * 2**20)
            call, request = await self._read(exchange)
            output = await self.operations[call.service.name, call.operation.name](request)
            return exchange.answer(call.service, call.operation, output)
        except ServiceError as error:
            log.debug("refused", request_id=exchange.id, target=exchange.target, code=error.code, message=error.message)
            return exchange.error(error)
        except ClientDisconnect:
            raise
        except StoreError as error:  # its disk is full, or it is out of reach for a while: nothing was written
            log.warning("request failed", request_id=exchange.id, target=exchange.target, error=str(error))
            return exchange.error(InternalFailure(f"Internal failure: {error}."))
        except Exception:
            log.exception("request failed", request_id=exchange.id, target=exchange.target)
            return exchange.error(InternalFailure(f"Internal failure; the server's log has it under {exchange.id}."))

    async def _read(self, exchange: Exchange) -> tuple[Call, dict[str, Any]]:
        if len(exchange.body) <= INLINE_BYTES:
            return self.read(exchange)
        return await asyncio.to_thread(self.read, exchange)

    def read(self, exchange: Exchange) -> tuple[Call, dict[str, Any]]:
        """The operation of a request, and its input. Raises ServiceError."""
        claim = self.authenticate(exchange)
        call = self.route(exchange, claim)
        raw = self.parse(exchange, call)
        request = self.validate(call, raw)
        return call, request

    def authenticate(self, exchange: Exchange) -> sigv4.Claim:
        now, skew_s = self.clock.now(), self.settings.clock_skew_s
        return sigv4.verify(exchange.signed, exchange.body_sha256, self.credentials, now, skew_s)

    def route(self, exchange: Exchange, claim: sigv4.Claim) -> Call:
        """The operation of the request. Raises UnknownOperationException, NotImplementedByClary, ValidationError."""
        if _DATA_PLANE.match(exchange.path):
            url = self.settings.url(self.settings.gateway_port)
            raise ValidationError(
                f"This is the control API; endpoints are invoked through the gateway at {url}. "
                f"Set AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={url}, or take all variables from `clary env`."
            )
        service, name = self._operation_name(exchange, claim)
        regions = (self.settings.region,) if service.name in REGIONAL else ()
        sigv4.check_scope(claim, regions, (service.name,))
        operation = service.operations.get(name)
        if operation is None:
            similar = _similar(name, service.operations)
            raise UnknownOperationException(f"{service.name} has no operation {name[:128]!r}.{similar}")
        if (service.name, name) not in self.operations:
            built = [operation for service_name, operation in self.operations if service_name == service.name]
            raise NotImplementedByClary(f"{name} of {service.name} is not built in Clary.{_similar(name, built)}")
        return Call(service, operation)

    def _operation_name(self, exchange: Exchange, claim: sigv4.Claim) -> tuple[Service, str]:
        if exchange.target:
            prefix, _, name = exchange.target.rpartition(".")
            if service := self.services.by_target(prefix):
                return service, name
            raise UnknownOperationException(
                f"Clary has nothing for X-Amz-Target {exchange.target[:128]!r}. {_ANSWERS_FOR}"
            )
        if SERVICES.get(claim.service) == "":
            if name := exchange.fields.get("Action", ""):
                return self.services.named(claim.service), name
            raise UnknownOperationException(f"A request for {claim.service} names its operation in Action.")
        if claim.service == "s3":
            url = self.settings.s3_url
            raise UnknownOperationException(f"This is the control API; S3 is at {url}. Set AWS_ENDPOINT_URL_S3={url}.")
        if claim.service in SERVICES:
            raise UnknownOperationException("The header X-Amz-Target, which names the operation, is missing.")
        raise UnknownOperationException(f"Clary has nothing for the service {claim.service[:64]!r}. {_ANSWERS_FOR}")

    def parse(self, exchange: Exchange, call: Call) -> dict[str, Any]:
        if call.service.protocol == "json":
            return json11.parse(exchange.body)
        return query.read(call.service, call.operation, exchange.fields)

    def validate(self, call: Call, raw: dict[str, Any]) -> dict[str, Any]:
        name = call.service.name
        if name not in self.validators:
            self.validators[name] = Validator(call.service)
        return self.validators[name].request(call.operation, raw)


_ANSWERS_FOR = f"It answers for {', '.join(SERVICES)}."


def _similar(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    """A sentence naming operations with similar names; "" where there are none."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f" There is {', '.join(close)}." if close else ""
