"""Direct endpoints behind an ASGI server: so the whole server is one ASGI application."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from lamplighter.web.application import send_json
from lamplighter.web.http.exchange import Direct, Headers

__all__ = ["AsgiExchange", "serve_direct"]


class AsgiExchange:
    """An exchange over ASGI."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: Headers = scope["headers"]
        self.authorization = dict(self.headers).get(b"authorization")
        self.when_gone: Callable[[], None] | None = None
        self.answered: asyncio.Future[tuple[int, bytes, Headers]] = (
            asyncio.get_running_loop().create_future()
        )

    def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        if not self.answered.done():
            self.answered.set_result((status, body, headers))

    async def leaves_with(self, receive: Receive) -> None:
        """Return when the client has gone, and say so."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if self.when_gone is not None:
            self.when_gone()


async def serve_direct(endpoint: Direct, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request that came by ASGI with a direct *endpoint*."""
    exchange = AsgiExchange(scope)
    leaving = asyncio.ensure_future(exchange.leaves_with(receive))
    try:
        endpoint(exchange)
        status, body, headers = await exchange.answered
    finally:
        leaving.cancel()
    await send_json(send, status, body, headers)
