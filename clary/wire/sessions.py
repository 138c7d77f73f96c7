"""Sessions of web pages, kept in a signed cookie: what `request.session` holds comes back with the next request.

The browser can read the session and cannot change it. It ends with the browser's own session, or when no page was
requested during `idle_s`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clary.core.clock import Clock

# Browsers keep no larger cookie.
MAX_COOKIE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Cookie:
    """How a session travels.

    key       signs it
    path      the pages it is sent to, and no others
    secure    over TLS alone
    """

    name: str
    key: bytes
    path: str
    idle_s: float
    secure: bool

    def write(self, session: dict[str, Any], now: float) -> str:
        """The cookie's value. Raises ValueError for a session that is too large for a cookie."""
        content = base64.urlsafe_b64encode(json.dumps([now, session], separators=(",", ":")).encode()).decode()
        value = f"{content}.{self._signature(content)}"
        if len(value) > MAX_COOKIE_BYTES:
            raise ValueError(f"the session takes {len(value)} bytes, and a cookie holds {MAX_COOKIE_BYTES}")
        return value

    def read(self, value: str, now: float) -> dict[str, Any]:
        """The session; an empty one for a cookie that is missing, not signed by this server, or too old."""
        content, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            return {}
        written, session = json.loads(base64.urlsafe_b64decode(content))
        return dict(session) if now - written <= self.idle_s else {}

    def header(self, value: str) -> str:
        """Set-Cookie; an empty value removes it."""
        lasts = "" if value else "; Max-Age=0"
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={value}; Path={self.path}; HttpOnly; SameSite=Strict{lasts}{secure}"

    def _signature(self, content: str) -> str:
        return hmac.new(self.key, content.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class SessionMiddleware:
    """Gives the requests of an application their `request.session`."""

    app: ASGIApp
    cookie: Cookie
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = HTTPConnection(scope).cookies.get(self.cookie.name, "")
        scope["session"] = self.cookie.read(sent, self.clock.now().timestamp())

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and (scope["session"] or sent):
                session: dict[str, Any] = scope["session"]
                value = self.cookie.write(session, self.clock.now().timestamp()) if session else ""
                MutableHeaders(scope=message).append("Set-Cookie", self.cookie.header(value))
            await send(message)

        await self.app(scope, receive, send_with_cookie)
