"""One request and its answer, as an endpoint sees them that is a plain function.

It may keep the exchange and answer later, from anywhere: so no task waits while nothing happens.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from starlette.types import Receive, Scope, Send

from lamplighter.errors import NotJson
from lamplighter.web.application import JSON_HEADERS, response_to, send_error, send_json
from lamplighter.web.body import MAX_BODY

__all__ = [
    "AsgiExchange",
    "Direct",
    "Exchange",
    "FindDirect",
    "refuse",
    "serve_direct",
    "until_gone",
]


class Exchange(Protocol):
    """A request that waits for its answer.

    `query` is as it was sent, percent-encoded and without the `?`. `headers`, with names in lower
    case, are there only until the endpoint returns: hundreds of thousands may be waiting.
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...
    @property
    def authorization(self) -> bytes | None:
        """The value of the header of that name."""

    @property
    def body(self) -> bytes:
        """The body of a PUT; of one beyond `MAX_BODY`, a part that is beyond it too."""

    #: Called once if the client goes before the answer. It may have closed its half of the
    #: connection only, so it may be answered still.
    when_gone: Callable[[], None] | None
    #: Called once, after `when_gone`, if there is nobody any more who could be answered.
    when_lost: Callable[[], None] | None

    def answer(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Send JSON, with CORS headers; nothing happens if that was done, or nobody is there."""

    def answer_in_pieces(self, pieces: Iterator[bytes], ended: Callable[[], None]) -> None:
        """Send a 200 whose JSON is made of *pieces*, each once the client has taken the one before.

        *ended* is called when all are sent, or nobody is there to take them.
        """


#: Called with each request once all of it has come. It does not raise.
Direct: TypeAlias = Callable[[Exchange], None]
#: Tells which endpoint, if any, answers a PUT, by its path as it was sent, percent-encoded.
FindDirect: TypeAlias = Callable[[str], Direct | None]


class AsgiExchange:
    """An exchange over ASGI."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.body = body
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.authorization = next(
            (value for name, value in self.headers if name == b"authorization"), None
        )
        self.when_gone: Callable[[], None] | None = None
        self.when_lost: Callable[[], None] | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._ended: Callable[[], None] | None = None
        self._answer: asyncio.Future[tuple[int, bytes, Sequence[tuple[bytes, bytes]]]]
        self._answer = asyncio.get_running_loop().create_future()

    def answer(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        if not self._answer.done():
            self.when_gone = self.when_lost = None
            self._answer.set_result((status, body, headers))

    def answer_in_pieces(self, pieces: Iterator[bytes], ended: Callable[[], None]) -> None:
        if self._answer.done():
            ended()
            return
        self._pieces, self._ended = pieces, ended
        self.answer(200, b"")

    async def finish(self, receive: Receive, send: Send) -> None:
        """Return once the answer is sent, or the client is gone and no answer came of that."""
        if not self._answer.done():
            await self._wait(receive)
        if self._ended is not None:
            await self._send_pieces(send, self._ended)
        elif self._answer.done():
            status, body, headers = self._answer.result()
            await send_json(send, status, body, headers)

    async def _send_pieces(self, send: Send, ended: Callable[[], None]) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": JSON_HEADERS})
            for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            ended()

    async def _wait(self, receive: Receive) -> None:
        leaving = asyncio.ensure_future(until_gone(receive))
        try:
            ends: set[asyncio.Future[Any]] = {leaving, self._answer}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            self._leave()

    def _leave(self) -> None:
        """Tell the endpoint that nobody waits any longer, if it has not answered."""
        callbacks = self.when_gone, self.when_lost
        self.when_gone = self.when_lost = None
        for leave in callbacks:
            if leave is not None and not self._answer.done():
                leave()


def refuse(exchange: Exchange, error: Exception) -> None:
    """Answer a request that failed with *error*; log it if it is a defect of this server."""
    response = response_to(error, exchange.method, exchange.path)
    exchange.answer(response.status, response.body, response.headers)


async def serve_direct(direct: Direct, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request over ASGI by *direct*."""
    try:
        exchange = AsgiExchange(scope, await _body(scope, receive))
        direct(exchange)
    except Exception as error:  # noqa: BLE001 - the one table knows what to say
        await send_error(scope, send, error)
        return
    exchange.headers = ()
    await exchange.finish(receive, send)


async def _body(scope: Scope, receive: Receive) -> bytes:
    body = b""
    is_put = scope["method"] == "PUT"
    while len(body) <= MAX_BODY:
        message = await receive()
        if is_put:
            body += message.get("body", b"")
            if message["type"] == "http.disconnect":
                raise NotJson("The request ended before its body did")
        if not message.get("more_body", False):
            break
    return body


async def until_gone(receive: Receive) -> None:
    """Return once the client has gone; what it sends before is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
