"""Real botocore clients against the application, with no socket between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from clary.core.clock import SystemClock
from clary.core.credentials import Credentials
from clary.core.settings import Settings
from clary.core.sigv4 import sign
from clary.wire.pages import Pages
from clary.wire.server import make_app

KEYS = Credentials("AKIATESTTESTTESTTEST", "a-secret/with+signs=")
URL = "http://127.0.0.1:8721"
SESSION = botocore.session.get_session()  # shared: it keeps the models it has read


@dataclass
class MovedClock(SystemClock):
    """The machine's time, shifted: botocore signs with the real one."""

    shift: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Raw:
    """A response's body, the way urllib3 hands it to botocore."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        yield self.body


Operation = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class App:
    """The application, with these operations; `seen` has the requests they received."""

    answers: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=lambda: Settings(home=Path("/nowhere")))
    clock: MovedClock = field(default_factory=MovedClock)
    pages: Sequence[Pages] = ()
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        operations = {key: self._operation(key[1], answer) for key, answer in self.answers.items()}
        self.app = make_app(operations, KEYS, self.settings, self.clock, pages=self.pages)

    def _operation(self, name: str, answer: Any) -> Operation:
        """`answer` is what to answer, what to raise, or an operation."""

        async def operation(request: dict[str, Any]) -> dict[str, Any]:
            self.seen.append((name, request))
            if isinstance(answer, Exception):
                raise answer
            return await answer(request) if callable(answer) else answer

        return operation

    def client(self, service: str, region: str = "us-east-1", **keys: str) -> Any:
        client = SESSION.create_client(
            service,
            region_name=region,
            endpoint_url=URL,
            aws_access_key_id=keys.get("access_key_id", KEYS.access_key_id),
            aws_secret_access_key=keys.get("secret_access_key", KEYS.secret_access_key),
            aws_session_token=keys.get("token"),
            config=Config(retries={"max_attempts": 1, "mode": "standard"}, parameter_validation=False),
        )
        client.meta.events.register("before-send", self._before_send)
        return client

    def _before_send(self, request: AWSPreparedRequest, **kwargs: Any) -> AWSResponse:
        answer = self.send(request.method, request.url, request.headers, request.body or b"")
        return AWSResponse(request.url, answer.status, dict(answer.headers), Raw(answer.body))

    def call(self, target: str, body: bytes | str, **headers: str) -> Answer:
        """A signed request of AWS JSON, with any body."""
        content = body if isinstance(body, bytes) else body.encode()
        service = "logs" if target.startswith("Logs") else "sagemaker"
        given = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", **headers}
        signed = sign(
            "POST", f"{URL}/", given, content, KEYS, region="us-east-1", service=service, now=datetime.now(UTC)
        )
        return self.send("POST", f"{URL}/", signed, content)

    def send(self, method: str, url: str, headers: Mapping[str, Any], *chunks: bytes | str) -> Answer:
        return asyncio.run(self._send(method, url, headers, chunks))

    async def _send(self, method: str, url: str, headers: Mapping[str, Any], chunks: Sequence[bytes | str]) -> Answer:
        parts = urlsplit(url)
        raw = [(name.lower().encode(), _bytes(value)) for name, value in headers.items()]
        if not any(name == b"host" for name, _ in raw):
            raw.append((b"host", parts.netloc.encode()))
        path = parts.path or "/"
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": parts.query.encode(),
            "headers": raw,
            "http_version": "1.1",
        }
        left = [{"type": "http.request", "body": _bytes(chunk), "more_body": True} for chunk in chunks]
        left.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Any] = []

        async def receive() -> Any:
            return left.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], answered, b"".join(message.get("body", b"") for message in rest))


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
