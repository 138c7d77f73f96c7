"""The three routes of a model host, as a bare ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clary.tasks.host.handlers import Handlers, RequestError
from clary.tasks.host.options import Options

log = logging.getLogger("clary.host")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Response = tuple[int, bytes, str]  # status, body, content type

TEXT = "text/plain; charset=utf-8"


class Disconnected(Exception):
    """The caller hung up before the request was whole."""


class InvocationTimeout(Exception):
    """The user's code took too long."""


class App:
    """Answers for one loaded model. User code runs in threads, so that pings are answered meanwhile."""

    def __init__(self, handlers: Handlers, model: Any, options: Options) -> None:
        self.handlers = handlers
        self.model = model
        self.options = options
        self.threads = ThreadPoolExecutor(options.threads, thread_name_prefix="invocation")
        self.running: dict[object, float] = {}  # invocations in threads now, and since when

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            status, body, content_type = await self.respond(scope, receive)
        except Disconnected:
            return
        await send_response(send, status, body, content_type)

    async def respond(self, scope: Message, receive: Receive) -> Response:
        method, path = scope["method"], scope["path"]
        try:
            match path:
                case "/invocations" if method == "POST":
                    return await self.invocations(scope, receive)
                case "/ping" if method in ("GET", "HEAD"):
                    return self.ping()
                case "/execution-parameters" if method == "GET":
                    return await self.execution_parameters()
                case "/invocations" | "/ping" | "/execution-parameters":
                    return _text_response(405, f"{method} is not allowed on {path}.")
            return _text_response(404, f"There is no {path}; request GET /ping or POST /invocations.")
        except RequestError as error:
            return _text_response(error.status, error.message)
        except InvocationTimeout:
            log.error("%s took longer than %s s", path, self.options.timeout_s)
            return _text_response(
                504, f"The model took longer than {self.options.timeout_s} s (SAGEMAKER_MODEL_SERVER_TIMEOUT)."
            )
        except Disconnected:
            raise
        except Exception as error:
            log.exception("%s failed", path)
            return _text_response(500, f"{type(error).__name__}: {error}")

    async def invocations(self, scope: Message, receive: Receive) -> Response:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request = await read(receive, headers.get(b"content-length"), self.options.max_body_bytes)
        content_type, accept = _text(headers.get(b"content-type")), _text(headers.get(b"accept"))
        body, response_type = await self.in_thread(
            lambda: self.handlers.transform(self.model, request, content_type, accept)
        )
        return (200, body, response_type) if response_type else (204, b"", "")

    def ping(self) -> Response:
        """200, unless every thread has been busy beyond the time limit: then only a new process can help."""
        limit_s = self.options.timeout_s
        since = time.monotonic() - limit_s
        if limit_s and len(self.running) >= self.options.threads and max(self.running.values()) < since:
            return _text_response(503, f"All {self.options.threads} threads have been busy for more than {limit_s} s.")
        return 200, b"", TEXT

    async def execution_parameters(self) -> Response:
        parameters = getattr(self.handlers, "execution_parameters", None)
        values = await self.in_thread(parameters) if parameters else None
        if values is None:
            return _text_response(404, "This model has no execution parameters.")
        return 200, json.dumps(values).encode(), "application/json"

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """Raises InvocationTimeout. A thread cannot be ended: it goes on, and what it returns is dropped."""

        def counted() -> Any:
            key = object()
            self.running[key] = time.monotonic()
            try:
                return work()
            except (SystemExit, KeyboardInterrupt, StopIteration) as error:  # the event loop would act on them
                raise RuntimeError(f"{type(error).__name__}: {error}") from error
            finally:
                del self.running[key]

        future = asyncio.get_running_loop().run_in_executor(self.threads, counted)
        done, _ = await asyncio.wait({future}, timeout=self.options.timeout_s or None)
        if not done:
            future.cancel()  # it may still wait for a thread
            raise InvocationTimeout
        return future.result()


async def read(receive: Receive, announced: bytes | None, limit: int) -> bytes:
    """The whole body. Raises RequestError where it is larger than the limit, Disconnected where it stops half way."""
    too_large = RequestError(413, f"The request body is larger than {limit} bytes (MAX_CONTENT_LENGTH).")
    if announced and announced.isdigit() and (len(announced) > 15 or int(announced) > limit):
        raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large
        if not message.get("more_body"):
            return b"".join(parts) if len(parts) > 1 else parts[0]


async def send_response(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode("latin-1", "replace"))] if content_type else []
    if status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text_response(status: int, message: str) -> Response:
    return status, message.encode("utf-8", "replace"), TEXT


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
