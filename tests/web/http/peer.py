"""Clients for connections without sockets, and endpoints that answer when a test says so."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.web.application import send_json
from lamplighter.web.http.connection import Connection
from lamplighter.web.http.exchange import Direct, Exchange
from lamplighter.web.http.request import Request
from lamplighter.web.http.server import HttpServer
from lamplighter.web.http.settings import MOST_UNSENT, ConnectionRoom
from lamplighter.web.server import MATRIX

DATE = "date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
CORS = (
    "access-control-allow-origin: *\r\n"
    "access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS\r\n"
    "access-control-allow-headers: X-Requested-With, Content-Type, Authorization\r\n"
)


def answered(body: str, status: str = "200 OK", connection: str = "") -> str:
    """Return a whole JSON response with *body*; *connection* is a header line."""
    return (
        f"HTTP/1.1 {status}\r\n{DATE}content-type: application/json\r\n{CORS}"
        f"content-length: {len(body)}\r\n{connection}\r\n{body}"
    )


async def settle() -> None:
    """Let everything run that can, with no I/O to wait for."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        await done


class FakeTransport(asyncio.Transport):
    """A transport whose other end a test holds."""

    def __init__(
        self, protocol: asyncio.Protocol, *, tls: bool = False, address: str = "192.0.2.7"
    ) -> None:
        extra: dict[str, object] = {
            "peername": (address, 4711),
            "sockname": ("192.0.2.1", 8008),
        }
        super().__init__(extra | {"sslcontext": object()} if tls else extra)
        self._protocol = protocol
        self._tls = tls
        self.sent = bytearray()
        self.unsent = 0
        self._high_water = 65536
        #: Whether what is sent is taken at the other end.
        self.is_taken = True
        self.is_reading_now = True
        self.has_said_end = False
        self.is_aborted = False
        #: Whether it refuses to write although it does not say that it is closing.
        self.is_closed_silently = False
        self.is_lost = False
        self._is_closing = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self.is_closed_silently:
            raise RuntimeError("unable to perform operation; the handler is closed")
        assert not self._is_closing, "nothing is written to a closed transport"
        assert not self.has_said_end, "nothing is written after the end"
        self.sent += data
        if not self.is_taken:
            self.unsent += len(data)
            if self.unsent > self._high_water:
                self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high_water = high
        assert low is None

    def take(self, size: int) -> None:
        """Take that much of what was sent."""
        self.unsent -= size
        if self.unsent <= self._high_water // 4:
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self._is_closing, "uvloop's transports refuse"
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def is_closing(self) -> bool:
        return self._is_closing

    def can_write_eof(self) -> bool:
        return not self._tls

    def write_eof(self) -> None:
        self.has_said_end = True

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self.unsent:
                self._lose(None)

    def abort(self) -> None:
        self.is_aborted = True
        self._is_closing = True
        self._lose(None)

    def lose(self, error: Exception) -> None:
        """Break the connection."""
        self._is_closing = True
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)


class Peer:
    """A client with one connection."""

    def __init__(
        self, connection: Connection | None, *, tls: bool = False, address: str = "192.0.2.7"
    ) -> None:
        assert connection is not None, "there is no room"
        self.connection = connection
        self.transport = FakeTransport(self.connection, tls=tls, address=address)
        self.connection.connection_made(self.transport)

    def send(self, data: str | bytes) -> None:
        """Send *data*, in one piece."""
        self.connection.data_received(data.encode() if isinstance(data, str) else data)

    def say_end(self) -> None:
        """Send nothing more, but go on listening."""
        if not self.connection.eof_received():
            self.transport.close()

    def lose(self) -> None:
        """Break the connection."""
        self.transport.lose(ConnectionResetError())

    @property
    def received(self) -> str:
        """What has come back since the last time."""
        text = self.transport.sent.decode()
        self.transport.sent.clear()
        return text

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.transport.is_lost


class LeavingClients:
    """Notes the *query* of an exchange whose client may be gone, and of one whose client is."""

    def __init__(self, query: str, gone: list[str], lost: list[str]) -> None:
        self._query, self._gone, self._lost = query, gone, lost

    def end(self) -> None:
        self._gone.append(self._query)

    def give_up(self) -> None:
        self._lost.append(self._query)


class Endpoint:
    """Keeps exchanges, or answers at once."""

    def __init__(self) -> None:
        self.waiting: list[Exchange] = []
        self.gone: list[str] = []
        self.lost: list[str] = []
        self.answers_at_once = False

    def __call__(self, exchange: Exchange) -> None:
        self.waiting.append(exchange)
        exchange.waiter = LeavingClients(exchange.query, self.gone, self.lost)
        if self.answers_at_once:
            self.answer()

    def answer(self) -> None:
        """Answer who has waited longest with its query."""
        exchange = self.waiting.pop(0)
        exchange.answer(200, f'"{exchange.query}"'.encode())


class Application:
    """An ASGI application that does for each request what a test says."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.handle: Callable[[Scope, Receive, Send], Any] = echo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await self.handle(scope, receive, send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request."""
    await send_json(send, 200, await whole_body(receive))


async def whole_body(receive: Receive) -> bytes:
    """Return all of the body."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


class Site:
    """A server with a direct endpoint at /poll and an application everywhere else."""

    def __init__(self, *, most_connections: int = 100, most_unsent: int = MOST_UNSENT) -> None:
        self.clock = FakeClock()
        self.endpoint = Endpoint()
        #: What answers besides, by method and path as it was sent.
        self.direct: dict[tuple[str, str], Direct] = {}
        self.application = Application()
        #: How many connections were refused for want of descriptors.
        self.refused = 0
        self.server = HttpServer(
            self.application,
            self.clock,
            replace(MATRIX, most_unsent=most_unsent),
            find_direct=self._find,
            room=ConnectionRoom(most_connections),
            count_refused=self._count_refused,
        )

    def _find(self, request: Request) -> Direct | None:
        if request.method == "GET" and request.target.path == "/poll":
            return self.endpoint
        return self.direct.get((request.method, request.target.raw_path))

    def _count_refused(self) -> None:
        self.refused += 1

    def peer(self, *, tls: bool = False, address: str = "192.0.2.7") -> Peer:
        """Return a client that has just connected."""
        return Peer(self.server.connect(), tls=tls, address=address)
