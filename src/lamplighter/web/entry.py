"""Where a request comes in: the long poll goes straight to its endpoint, all else to the routes."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.web.http.exchange import Direct, serve_direct

__all__ = ["Entry"]

_SYNC: Final = frozenset({"/_matrix/client/v3/sync", "/_matrix/client/r0/sync"})


class Entry:
    """The server as one ASGI application, and its direct endpoints for a server that knows them."""

    def __init__(self, *, sync: Direct, routes: ASGIApp) -> None:
        self.direct: Mapping[str, Direct] = dict.fromkeys(_SYNC, sync)
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.direct.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] == "OPTIONS":
            await self._routes(scope, receive, send)
        else:
            await serve_direct(endpoint, scope, receive, send)
