"""A request and the response to it, in the client's protocol."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clary.core.errors import RequestEntityTooLarge, ServiceError
from clary.core.sigv4 import SignedRequest
from clary.wire import json11, query
from clary.wire.shapes import Operation, Service

# A body that is too large is read on for so many times its limit: a client that is still sending reads no response.
READ_ON_FACTOR = 4


@dataclass(slots=True)
class Exchange:
    """A request as it was received. `id` is in the response and in the log."""

    request: Request
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    body: bytes = b""

    @property
    def target(self) -> str:
        """X-Amz-Target: in AWS JSON, prefix.Operation."""
        return self.request.headers.get("x-amz-target", "")

    @property
    def path(self) -> bytes:
        """As sent, not decoded."""
        raw: bytes = self.request.scope.get("raw_path") or self.request.scope["path"].encode()
        return raw

    @property
    def query(self) -> bytes:
        raw: bytes = self.request.scope["query_string"]
        return raw

    @property
    def signed(self) -> SignedRequest:
        return SignedRequest(self.request.method, self.path, self.query, self.request.scope["headers"])

    @property
    def body_sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def answers_json(self) -> bool:
        """Whether the response is JSON; clients of AWS query and S3 expect XML."""
        content_type = self.request.headers.get("content-type", "")
        form = content_type.startswith("application/x-www-form-urlencoded") or b"Action=" in self.query
        s3 = "x-amz-content-sha256" in self.request.headers and not self.target
        return bool(self.target) or not (form or s3)

    @property
    def fields(self) -> dict[str, str]:
        """The parameters of AWS query: those of the form and of the URL, without the signature's."""
        text = "&".join(part.decode(errors="replace") for part in (self.query, self.body) if part)
        return {name: value for name, value in query.parse(text).items() if not name.startswith("X-Amz-")}

    def answer(self, service: Service, operation: Operation, output: dict[str, Any]) -> Response:
        if service.protocol == "json":
            return self._response(json11.write(output), json11.CONTENT_TYPE, 200)
        return self._response(query.write(service, operation, output, self.id), query.CONTENT_TYPE, 200)

    def error(self, error: ServiceError) -> Response:
        if self.answers_json:
            code = json11.CODES.get(error.code, error.code)
            response = self._response(json11.write_error(code, error.message), json11.CONTENT_TYPE, error.status)
            response.headers["x-amzn-ErrorType"] = code
        else:
            code = query.CODES.get(error.code, error.code)
            body = query.write_error(code, error.message, self.id, "Sender" if error.status < 500 else "Receiver")
            response = self._response(body, query.CONTENT_TYPE, error.status)
        if isinstance(error, RequestEntityTooLarge):
            response.headers["Connection"] = "close"
        return response

    def _response(self, body: bytes, content_type: str, status: int) -> Response:
        return Response(body, status, {"x-amzn-RequestId": self.id, "Content-Type": content_type})


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body. Raises RequestEntityTooLarge, whether or not its length was announced."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        elif size > max_bytes * READ_ON_FACTOR:
            break
        else:
            parts.clear()
    if size > max_bytes:
        raise RequestEntityTooLarge(
            f"The request's body is larger than {max_bytes} bytes; the setting max_request_mib sets that limit."
        )
    return b"".join(parts)
