"""A lean HTTP/1.1 client: the load must not be slower than the servers that it measures.

A connection has one request in flight. It calls back with the answer as soon as the last byte is
there: a poll needs no task and no future.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, cast

import httptools

from bench.errors import BenchError, ConnectionLost, Refused

__all__ = ["Address", "Connection", "Handler", "connect"]


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


#: Called with the body of an answer, or with the problem: a refusal, or a lost connection.
Handler: TypeAlias = Callable[[bytes | BenchError], None]


class Connection(asyncio.Protocol):
    """A keep-alive connection, with one request in flight at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._handler: Handler | None = None
        self._request = b""
        self._body = b""

    def send(self, request: bytes, handler: Handler) -> None:
        """Send a whole *request*; *handler* is called once, from the event loop."""
        assert self._handler is None, "an answer is still awaited"
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().call_soon(handler, ConnectionLost("the server hung up"))
            return
        self._handler, self._request = handler, request
        self._transport.write(request)

    async def ask(self, request: bytes) -> bytes:
        """Send a whole *request* and return the body of the answer.

        Raises `Refused` for a status other than 200, `ConnectionLost` if there is no answer.
        """
        answered: asyncio.Future[bytes | BenchError] = asyncio.get_running_loop().create_future()
        self.send(request, lambda it: None if answered.done() else answered.set_result(it))
        answer = await answered
        if isinstance(answer, BenchError):
            raise answer
        return answer

    def abort(self) -> None:
        """Drop the connection, as a client does that loses its network."""
        self._handler = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep a part of an answer, for the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand on the answer that has just ended, for the parser."""
        body, self._body = self._body, b""
        status = self._parser.get_status_code()
        if status == 200:
            self._hand_on(body)
        else:
            line = self._request.partition(b"\r\n")[0].decode()
            problem = f"{line}: {status} {body[:300].decode(errors='replace')}"
            self._hand_on(Refused(problem))

    def connection_lost(self, exc: Exception | None) -> None:
        self._hand_on(ConnectionLost(f"the connection was lost: {exc or 'the server hung up'}"))

    def _hand_on(self, answer: bytes | BenchError) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler(answer)


async def connect(address: Address, source: str | None = None) -> Connection:
    """Return a connection to *address*, from the loopback address *source* if one is given."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    _, connection = await loop.create_connection(
        Connection, address.host, address.port, local_addr=local
    )
    return connection
