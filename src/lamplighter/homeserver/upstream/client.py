"""Asks the homeserver: connections are made when they are needed, and used again."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from lamplighter.clock import Clock, Timer, after, within
from lamplighter.config.values import HomeserverUrl
from lamplighter.errors import HomeserverTooSlow, HomeserverUnreachable, LamplighterError
from lamplighter.homeserver.upstream.connection import (
    UPSTREAM_TICK,
    AnswerHeads,
    UpstreamAnswer,
    UpstreamConnection,
)
from lamplighter.log_limits import LogLimit
from lamplighter.web.http.request import Headers
from lamplighter.web.http.responses import CHUNKED_END, chunk, field_lines

__all__ = ["CHUNKED", "Connect", "UpstreamClient", "UpstreamExchange", "connect_to"]

#: Opens a connection to the homeserver with the protocol; raises OSError.
Connect: TypeAlias = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]

#: The length of a body that is sent in chunks.
CHUNKED: Final = -1
#: How many connections there are at most, if nothing else is said: a poll that waits has one.
_MOST_CONNECTIONS: Final = 20_000
#: How many bytes a whole answer has at most, if nothing else is said.
_MOST_BODY: Final = 1024 * 1024
#: How long a connection waits for its next request. Synapse closes it after a minute.
_IDLE: Final = timedelta(seconds=45)
_TO_CONNECT: Final = timedelta(seconds=10)
#: How long the homeserver may pause in the middle of a body that it sends or reads.
_PAUSE: Final = timedelta(seconds=60)

#: They can be repeated, if a connection ends before an answer begins.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Headers that the client writes: they tell where the body ends.
_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_HOST: Final = b"host"
_METHOD: Final = re.compile(r"[A-Z\-]+")
_TARGET: Final = re.compile(rb"[/*][!-~\x80-\xff]*")

_log = structlog.get_logger(__name__)


def connect_to(url: HomeserverUrl) -> Connect:
    """Return what opens connections to *url*. Certificates are verified as usual."""
    path = url.socket
    address = url.address
    context = ssl.create_default_context() if url.is_tls else None

    async def connect(protocol: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        if path is not None:
            return (await loop.create_unix_connection(protocol, path))[0]
        return (await loop.create_connection(protocol, address.host, address.port, ssl=context))[0]

    return connect


class UpstreamExchange:
    """A request that is being sent, and its answer.

    `send` sends more of the body, and `end` its end. `head` and `read` return parts of the answer
    as they come. In any case the caller calls `close` at last: an answer that has not come to its
    end costs the connection.
    """

    __slots__ = ("_client", "_connection", "_data", "_is_chunked", "_limit", "_method", "_repeats")

    def __init__(
        self,
        client: "UpstreamClient",
        connection: UpstreamConnection,
        method: str,
        data: bytes,
        limit: timedelta,
        *,
        is_chunked: bool,
        repeats: bool,
    ) -> None:
        self._client = client
        self._connection = connection
        self._method = method
        self._data = data
        self._limit = limit
        self._is_chunked = is_chunked
        #: Whether the request is sent again if the homeserver has closed the connection meanwhile.
        self._repeats = repeats

    async def send(self, body: bytes) -> None:
        """Send a part of the body, and return once the homeserver reads on."""
        if body:
            self._connection.write(chunk(body) if self._is_chunked else body)
        await self._connection.drained(_PAUSE)

    def end(self) -> None:
        """Say that all of the body was sent."""
        if self._is_chunked:
            self._connection.write(CHUNKED_END)
        self._connection.is_sent = True

    async def head(self) -> tuple[int, Headers]:
        """Return the status and the headers of the answer, with names in lower case."""
        try:
            await self._connection.answered(self._limit)
        except HomeserverUnreachable:
            if not self._repeats or self._connection.has_begun:
                raise
            self._repeats = False
            self._connection = await self._client.connected(self._limit)
            self._connection.begin(self._method, self._data, is_whole=True)
            await self._connection.answered(self._limit)
        return self._connection.status, self._connection.headers

    async def read(self) -> tuple[bytes | memoryview, bool]:
        """Return what has come of the body since the last call, and whether the rest is empty."""
        return await self._connection.read(_PAUSE)

    def fail(self, problem: Exception) -> None:
        """Close the connection; who waits for the answer gets *problem*."""
        self._connection.fail(problem)

    def close(self) -> None:
        """Give the connection back, for the next request."""
        self._client.give_back(self._connection)


class UpstreamClient:
    """The homeserver, as the other parts ask it.

    Every request raises `HomeserverUnreachable` if no whole answer comes, and `HomeserverTooSlow`
    after its time limit.
    """

    def __init__(
        self,
        connect: Connect,
        host: bytes,
        clock: Clock,
        *,
        most_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        """*host* is the Host header of requests that have none."""
        self._connect = connect
        self._host = host
        self._clock = clock
        self._most = most_connections
        #: All connections, also those that are being made.
        self._connections: set[UpstreamConnection] = set()
        #: Those that wait for a request; the last one is used first.
        self._idle: dict[UpstreamConnection, None] = {}
        self._timer: Timer | None = None
        self._is_closed = False
        self._all_lost = asyncio.Event()
        self._heads = AnswerHeads()
        self._log_limit = LogLimit()

    async def fetch(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        time_limit: timedelta,
        most: int = _MOST_BODY,
    ) -> UpstreamAnswer:
        """Return the answer to a request, whose body has at most *most* bytes.

        *target* is the path with the query, percent-encoded. Where the caller is cancelled, the
        connection is closed.
        """
        fields = self.fields(headers)
        return await self.ask(method, target, fields, body, time_limit=time_limit, most=most)

    def fields(self, headers: Headers) -> bytes:
        """Return the lines of *headers* for the head of a request, all but those of its framing."""
        fields = [it for it in headers if it[0] not in _FRAMING]
        if _HOST not in dict(fields):
            fields.append((_HOST, self._host))
        return field_lines(fields)

    async def ask(
        self,
        method: str,
        target: bytes,
        fields: bytes,
        body: bytes = b"",
        *,
        time_limit: timedelta,
        most: int,
    ) -> UpstreamAnswer:
        """Do as `fetch` with headers of which `fields` has made *fields*."""
        length = len(body) if body or method not in _SAFE else None
        data = self._head(method, target, fields, length) + body
        connection = self._take_idle()
        repeats = connection is not None and method in _SAFE and not body
        connection = connection or await self.connected(time_limit)
        try:
            connection.begin(method, data, is_whole=True)
            del data  # it would be most of the memory of a poll that waits
            try:
                return await connection.whole(time_limit, most)
            except HomeserverUnreachable:
                if not repeats or connection.has_begun:
                    raise
            connection = await self.connected(time_limit)
            data = self._head(method, target, fields, length)
            connection.begin(method, data, is_whole=True)
            return await connection.whole(time_limit, most)
        finally:
            self.give_back(connection)

    async def open(
        self,
        method: str,
        target: bytes,
        fields: bytes,
        length: int | None = None,
        body: bytes = b"",
        *,
        is_whole: bool,
        time_limit: timedelta,
    ) -> UpstreamExchange:
        """Send a request whose body has *length* bytes, or is `CHUNKED`; None is no body.

        *fields* are headers, of which `fields` has made them.
        *body* is its beginning; unless it *is_whole*, the caller sends the rest. *time_limit* is
        how long the caller waits for the head of the answer, once there is a connection.
        """
        data = self._head(method, target, fields, length)
        if body:
            data += chunk(body) if length == CHUNKED else body
        if is_whole and length == CHUNKED:
            data += CHUNKED_END
        idle = self._take_idle()
        repeats = idle is not None and method in _SAFE and not length
        connection = idle or await self.connected(time_limit)
        connection.begin(method, data, is_whole=is_whole)
        return UpstreamExchange(
            self,
            connection,
            method,
            data,
            time_limit,
            is_chunked=length == CHUNKED,
            repeats=repeats,
        )

    async def close(self) -> None:
        """End all requests with `HomeserverUnreachable`, and close all connections."""
        self._is_closed = True
        for connection in list(self._connections):
            connection.fail(_closed())
        if self._connections:
            await self._all_lost.wait()

    def _head(self, method: str, target: bytes, fields: bytes, length: int | None) -> bytes:
        """Return the head of a request, which frames the body in exactly one way."""
        if _METHOD.fullmatch(method) is None or _TARGET.fullmatch(target) is None:
            raise ValueError("a request line that more than one request could be read of")
        framing = b""
        if length == CHUNKED:
            framing = b"transfer-encoding: chunked\r\n"
        elif length is not None:
            framing = b"content-length: %d\r\n" % length
        return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method.encode(), target, fields, framing)

    # For exchanges.

    async def connected(self, time_limit: timedelta) -> UpstreamConnection:
        """Return a new connection."""
        if self._is_closed:
            raise _closed()
        if len(self._connections) >= self._most:
            raise self._logged(HomeserverUnreachable("all connections to it are in use"))
        connection = UpstreamConnection(self._forget, self._heads)
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._clock.call_at(after(self._clock.now(), UPSTREAM_TICK), self._tick)
        opening = self._connect(lambda: connection)
        try:
            await within(self._clock, min(time_limit, _TO_CONNECT), opening)
        except BaseException as error:
            connection.fail(_given_up())  # it may have been made meanwhile
            self._forget(connection)
            if isinstance(error, TimeoutError):
                raise self._logged(HomeserverTooSlow("it takes no connection")) from None
            if isinstance(error, OSError):
                raise self._logged(HomeserverUnreachable(str(error))) from None
            raise
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep *connection* for the next request, or close it."""
        if connection.can_be_reused:
            connection.end(_IDLE)
            self._idle[connection] = None
            return
        problem = connection.problem
        if isinstance(problem, HomeserverUnreachable | HomeserverTooSlow) and not self._is_closed:
            self._logged(problem)
        connection.fail(_given_up())

    def _take_idle(self) -> UpstreamConnection | None:
        """Return a connection that was used before, unless there is none that is open."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_open:
                return connection
        return None

    def _forget(self, connection: UpstreamConnection) -> None:
        self._idle.pop(connection, None)
        self._connections.discard(connection)
        if not self._connections:
            self._all_lost.set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _tick(self) -> None:
        self._timer = self._clock.call_at(after(self._clock.now(), UPSTREAM_TICK), self._tick)
        for connection in list(self._connections):
            connection.tick()

    def _logged(self, problem: LamplighterError) -> LamplighterError:
        left_out = self._log_limit.admits(str(problem), self._clock.now())
        if left_out is not None:
            _log.warning("the homeserver gives no answer", problem=str(problem), more=left_out)
        return problem


def _given_up() -> HomeserverUnreachable:
    return HomeserverUnreachable("the connection is not used any more")


def _closed() -> HomeserverUnreachable:
    return HomeserverUnreachable("this server shuts down")
