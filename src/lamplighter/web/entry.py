"""Where a request comes in: the long poll goes straight to its endpoint, all else to the routes."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.errors import MethodNotAllowed
from lamplighter.web.application import send_error

__all__ = ["Entry"]

_SYNC: Final = frozenset({"/_matrix/client/v3/sync", "/_matrix/client/r0/sync"})


class Entry:
    """The server as one ASGI application."""

    def __init__(self, *, sync: ASGIApp, routes: ASGIApp) -> None:
        self._sync = sync
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in _SYNC or scope["method"] == "OPTIONS":
            await self._routes(scope, receive, send)
            return
        try:
            if scope["method"] != "GET":
                raise MethodNotAllowed("Unrecognized request: wrong HTTP method")
            await self._sync(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            await send_error(scope, send, error)
