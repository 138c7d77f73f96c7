"""A client's connection to a host of AWS: each request goes to the service of Clary that stands for the host."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import h11
import structlog

from clary.core.errors import InternalFailure, NotImplementedByClary, ServiceError
from clary.proxy.client import Client, ClientDisconnected, Headers
from clary.proxy.errors import BadRequest, MisdirectedRequest, error_body
from clary.proxy.hosts import Service, destination
from clary.proxy.limits import Limits
from clary.proxy.relay import forwarded, header, relay
from clary.proxy.s3 import S3
from clary.proxy.upstream import Target

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the proxy."""

    targets: Mapping[Service, Target]  # CONTROL and GATEWAY
    s3: S3


class AwsConnection:
    """`host` is the one of the CONNECT request, in lower case."""

    def __init__(self, client: Client, host: str, services: Services, limits: Limits) -> None:
        self._client = client
        self._host = host
        self._destination = destination(host)
        self._services = services
        self._limits = limits
        self.busy = False

    async def run(self) -> None:
        """Answer requests until the client sends no more, or cannot be answered any more."""
        client = self._client
        with contextlib.suppress(ClientDisconnected, ServiceError):
            while await self._answer_next():
                pass
            await client.linger()
            await client.close()
        client.abort()

    async def _answer_next(self) -> bool:
        """Answer the next request; whether another may follow."""
        request = None
        try:
            request = await self._client.request()
            if request is None:
                return False
            self.busy = True
            await self._answer(request)
        except ServiceError as error:
            await self._refuse(request, error)
        except ClientDisconnected:
            raise
        except Exception as error:
            log.exception("request_failed", host=self._host)
            await self._refuse(request, InternalFailure("The proxy failed on this request; see its log."))
            raise ClientDisconnected from error
        finally:
            self.busy = False
        return self._client.reusable

    async def _answer(self, request: h11.Request) -> None:
        named_host = header(list(request.headers), b"host").decode("latin-1").lower().removesuffix(":443")
        if named_host != self._host:
            raise MisdirectedRequest(f"Host is {named_host[:253]!r}, and the connection was made to {self._host!r}.")
        match self._destination.service:
            case Service.S3:
                await self._services.s3.answer(self._client, request, self._destination.bucket)
            case Service.TELEMETRY:
                async for _ in self._client.body():
                    pass
                await self._respond(200, b"OK", [], b"")
            case Service.NONE:
                raise NotImplementedByClary(
                    f"Clary has no service for {self._host}. It answers for SageMaker and its runtime, S3, STS, IAM "
                    "and CloudWatch Logs; unset HTTPS_PROXY to reach AWS itself."
                )
            case service:
                target = self._services.targets[service]
                await relay(self._client, forwarded(request), self._client.body(), target, self._limits)

    async def _refuse(self, request: h11.Request | None, error: ServiceError) -> None:
        """Answer with an error, in the format of the client's protocol."""
        if self._client.answering:
            raise ClientDisconnected from error
        log.debug("refused", host=self._host, code=error.code, message=error.message)
        request_id = str(uuid.uuid4())
        protocol = "query" if request is None else self._protocol(list(request.headers))
        content_type, content = error_body(error, protocol, request_id)
        headers = [
            (b"content-type", content_type.encode()),
            (b"x-amzn-requestid", request_id.encode()),
            (b"x-amz-request-id", request_id.encode()),
            (b"x-amzn-errortype", error.code.encode()),
        ]
        if protocol == "cbor":
            headers.append((b"smithy-protocol", b"rpc-v2-cbor"))
        if isinstance(error, BadRequest):
            headers.append((b"connection", b"close"))
        await self._respond(error.status, error.code.encode(), headers, content)

    def _protocol(self, headers: Headers) -> str:
        if self._destination.service == Service.S3:
            return "s3"
        if header(headers, b"smithy-protocol"):
            return "cbor"
        form = header(headers, b"content-type").startswith(b"application/x-www-form-urlencoded")
        return "query" if form else "json"

    async def _respond(self, status: int, reason: bytes, headers: Headers, content: bytes) -> None:
        await self._client.start(status, reason, [*headers, (b"content-length", str(len(content)).encode())])
        if content:
            await self._client.send(content)
        await self._client.end()
