"""One client on one terminated connection: each request goes to the service that its host name means."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import h11
import structlog

from clary.core.errors import InternalFailure, NotImplementedByClary, ServiceError
from clary.proxy.caller import Caller, CallerGone, Headers
from clary.proxy.errors import BadRequest, MisdirectedRequest, body
from clary.proxy.hosts import Service, meaning
from clary.proxy.limits import Limits
from clary.proxy.relay import header, onward, relay
from clary.proxy.s3 import S3
from clary.proxy.upstream import Target

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """Who answers behind the proxy."""

    targets: Mapping[Service, Target]  # CONTROL and GATEWAY
    s3: S3


class Conversation:
    """`host` is the one that the connection was asked for, in lower case."""

    def __init__(self, caller: Caller, host: str, services: Services, limits: Limits) -> None:
        self._caller = caller
        self._host = host
        self._meant = meaning(host)
        self._services = services
        self._limits = limits
        self.busy = False

    async def run(self) -> None:
        """Until the client has no more requests, or cannot be answered any further."""
        caller = self._caller
        with contextlib.suppress(CallerGone, ServiceError):
            while await self._one():
                pass
            await caller.linger()
            await caller.close()
        caller.abort()

    async def _one(self) -> bool:
        """Answer the next request. Whether another may follow."""
        request = None
        try:
            request = await self._caller.request()
            if request is None:
                return False
            self.busy = True
            await self._answer(request)
        except ServiceError as error:
            await self._refuse(request, error)
        except CallerGone:
            raise
        except Exception as error:
            log.exception("request_failed", host=self._host)
            await self._refuse(request, InternalFailure("The proxy failed on this request; its log says why."))
            raise CallerGone from error
        finally:
            self.busy = False
        return self._caller.reusable

    async def _answer(self, request: h11.Request) -> None:
        named = header(list(request.headers), b"host").decode("latin-1").lower().removesuffix(":443")
        if named != self._host:
            raise MisdirectedRequest(f"Host is {named[:253]!r}, and the connection was made to {self._host!r}.")
        match self._meant.service:
            case Service.S3:
                await self._services.s3.answer(self._caller, request, self._meant.bucket)
            case Service.TELEMETRY:
                async for _ in self._caller.body():
                    pass
                await self._say(200, b"OK", [], b"")
            case Service.NONE:
                raise NotImplementedByClary(
                    f"Clary has no service for {self._host}. It answers for SageMaker and its runtime, S3, STS, IAM "
                    "and CloudWatch Logs; unset HTTPS_PROXY to reach AWS itself."
                )
            case service:
                target = self._services.targets[service]
                await relay(self._caller, onward(request), self._caller.body(), target, self._limits)

    async def _refuse(self, request: h11.Request | None, error: ServiceError) -> None:
        """Tell an error in the words of the protocol that the client speaks."""
        if self._caller.answering:
            raise CallerGone from error
        log.debug("refused", host=self._host, code=error.code, message=error.message)
        request_id = str(uuid.uuid4())
        protocol = "query" if request is None else self._protocol(list(request.headers))
        kind, content = body(error, protocol, request_id)
        headers = [
            (b"content-type", kind.encode()),
            (b"x-amzn-requestid", request_id.encode()),
            (b"x-amz-request-id", request_id.encode()),
            (b"x-amzn-errortype", error.code.encode()),
        ]
        if protocol == "cbor":
            headers.append((b"smithy-protocol", b"rpc-v2-cbor"))
        if isinstance(error, BadRequest):
            headers.append((b"connection", b"close"))
        await self._say(error.status, error.code.encode(), headers, content)

    def _protocol(self, headers: Headers) -> str:
        if self._meant.service == Service.S3:
            return "s3"
        if header(headers, b"smithy-protocol"):
            return "cbor"
        form = header(headers, b"content-type").startswith(b"application/x-www-form-urlencoded")
        return "query" if form else "json"

    async def _say(self, status: int, reason: bytes, headers: Headers, content: bytes) -> None:
        await self._caller.start(status, reason, [*headers, (b"content-length", str(len(content)).encode())])
        if content:
            await self._caller.send(content)
        await self._caller.end()
