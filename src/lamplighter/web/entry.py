"""Where a request comes in: the most frequent go straight to endpoints, all else to the routes."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.web.http.exchange import Direct, Exchange, serve_direct
from lamplighter.web.routes import raw_path

__all__ = ["Entry"]

_SYNC: Final = frozenset({"/_matrix/client/v3/sync", "/_matrix/client/r0/sync"})
_STATUS: Final = re.compile(r"/_matrix/client/(?:v3|r0)/presence/([^/]+)/status")


class Entry:
    """The server as one ASGI application, and its direct endpoints for a server that knows them."""

    def __init__(
        self, *, sync: Direct, put_status: Callable[[str, Exchange], None], routes: ASGIApp
    ) -> None:
        """*put_status* is called with the path's user ID, percent-encoded as it was sent."""
        self.direct: Mapping[str, Direct] = dict.fromkeys(_SYNC, sync)
        self._put_status = put_status
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._routes(scope, receive, send)
        else:
            await serve_direct(endpoint, scope, receive, send)

    def find_put(self, path: str) -> Direct | None:
        """Return what answers a PUT at *path*, percent-encoded as it is, if it is no route."""
        found = _STATUS.fullmatch(path)
        return None if found is None else partial(self._put_status, found[1])

    def _endpoint(self, scope: Scope) -> Direct | None:
        if scope["method"] == "PUT" and (put := self.find_put(raw_path(scope))):
            return put
        return None if scope["method"] == "OPTIONS" else self.direct.get(scope["path"])
