"""GET /status, which `clary status` shows: the services, and how many resources are in which status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clary.core import sigv4
from clary.core.clock import Clock
from clary.core.credentials import Credentials
from clary.core.errors import ServiceError
from clary.core.settings import Settings
from clary.services.service import Service
from clary.store.base import Store
from clary.wire.exchange import Exchange


def status_route(
    services: Sequence[Service],
    store: Store,
    kinds: Iterable[str],
    credentials: Credentials,
    settings: Settings,
    clock: Clock,
) -> Route:
    """For requests signed with the server's keys, as those of the API are."""
    kinds = tuple(kinds)

    async def status(request: Request) -> Response:
        try:
            sigv4.verify(Exchange(request).signed, sigv4.EMPTY_SHA256, credentials, clock.now(), settings.clock_skew_s)
        except ServiceError as error:
            return JSONResponse({"message": error.message}, status_code=error.status)
        return JSONResponse(
            {
                "services": {service.name: await service.describe() for service in services},
                "resources": {kind: await store.count(kind) for kind in kinds},
            }
        )

    return Route("/status", status)
