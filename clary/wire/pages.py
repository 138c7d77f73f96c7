"""Web pages beside the API: a console, a portal. They have logins and sessions of their own, and no signatures."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from clary.core.clock import Clock
from clary.core.credentials import Credentials
from clary.core.settings import Settings
from clary.wire.sessions import Cookie, SessionMiddleware


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served below a path of the control port.

    path            "/console"; no request of the API has it
    routes          Starlette's, relative to `path`; their requests have a `session`, in which a login can be kept
    session_idle_s  after so long without a request a session is over
    """

    path: str
    routes: Sequence[BaseRoute]
    session_idle_s: float = 8 * 3600

    def mounted(self, credentials: Credentials, settings: Settings, clock: Clock) -> list[BaseRoute]:
        """The routes of the control port. The key of the sessions is derived from the server's own key pair."""
        key = hmac.new(credentials.secret_access_key.encode(), f"sessions of {self.path}".encode(), hashlib.sha256)
        cookie = Cookie(
            name=f"clary-{self.path.strip('/').replace('/', '-')}",
            key=key.digest(),
            path=self.path,
            idle_s=self.session_idle_s,
            secure=bool(settings.tls_certificate),
        )
        sessions = Middleware(SessionMiddleware, cookie=cookie, clock=clock)
        return [
            Route(self.path, self._redirect_into, methods=["GET"]),
            Mount(self.path, routes=list(self.routes), middleware=[sessions]),
        ]

    async def _redirect_into(self, request: Request) -> Response:
        return RedirectResponse(f"{self.path}/")
