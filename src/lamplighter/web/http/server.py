"""An HTTP server without a socket: its connections, what answers them, and how it stops.

A listener gives it connections from the network; the in-memory server of the tests gives it
connections from the same process. All else is the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog
from starlette.types import ASGIApp

from lamplighter.clock import Clock, Timer, after, within
from lamplighter.log_limits import LogLimit
from lamplighter.web.http.asgi import AsgiCycle
from lamplighter.web.http.connection import Connection
from lamplighter.web.http.exchange import Direct, FindDirect
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import Heads
from lamplighter.web.http.settings import ConnectionRoom, HttpSettings
from lamplighter.web.http.timeouts import TICK, ConnectionTimeouts

__all__ = ["MOST_TO_ANSWER", "HttpServer", "no_direct"]

#: How long a request may take that is being answered when the server stops. Polls are answered
#: before.
_TO_ANSWER: Final = timedelta(seconds=5)
#: How long the 503 of the other requests may take then, and the sending of all answers.
_TO_SEND: Final = timedelta(seconds=1)
#: How long a server takes to stop at most.
MOST_TO_ANSWER: Final = _TO_ANSWER + 2 * _TO_SEND

_log = structlog.get_logger(__name__)


def no_direct(_request: Request) -> Direct | None:
    """Find no direct endpoint: the application answers everything."""
    return None


class HttpServer:
    """Answers the requests of its connections until it is stopped, with one timer for all.

    *find_direct* returns the direct endpoint of a request, or None where *application* answers.
    """

    def __init__(
        self,
        application: ASGIApp,
        clock: Clock,
        settings: HttpSettings,
        *,
        find_direct: FindDirect = no_direct,
        room: ConnectionRoom | None = None,
        count_refused: Callable[[], None] = lambda: None,
    ) -> None:
        """*room* is for all servers of the process.

        *count_refused* is called for each connection for which there is no room.
        """
        self.application = application
        self.clock = clock
        self.settings = settings
        self.find_direct = find_direct
        self.heads = Heads(clock, settings.json_headers)
        self.timeouts = ConnectionTimeouts(
            settings.time_limits, Connection.begin_time_limit, Connection.expire
        )
        #: The cycles whose tasks run: the client of one may have its answer, or be gone.
        self.running: set[AsgiCycle] = set()
        self._room = ConnectionRoom() if room is None else room
        self._count_refused = count_refused
        #: How many bytes each connection's client has not read; one that reads all is not here.
        self._unread: dict[Connection, int] = {}
        self._log_limit = LogLimit()
        self._unsent = 0
        self._timer: Timer | None = None
        self._connections: set[Connection] = set()
        #: Those that have a place, and no transport yet: a handshake of TLS may take long.
        self._coming: set[Connection] = set()
        self._is_stopping = False
        #: Set when an answer ends after which the connection closes.
        self._has_answered = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def under_way(self) -> int:
        """How many requests are being answered. To count is work in proportion to connections."""
        return sum(connection.is_answering for connection in self._connections)

    @property
    def unsent(self) -> int:
        """How many bytes of answers wait for clients to read them."""
        return self._unsent

    def connect(self) -> Connection | None:
        """Return the server's end of a new connection, or None if there is no room for one."""
        if not self._room.take():
            self.refused()
            return None
        connection = Connection(self)
        self._coming.add(connection)
        return connection

    def refused(self) -> None:
        """Count and log, once a minute, that a connection could not be taken."""
        self._count_refused()
        if self._log_limit.admits("full", self.clock.now()) is not None:
            _log.error(
                "connections are refused: there are as many as the limit on open files allows; "
                "raise LimitNOFILE= of the service, or `ulimit -n`",
                connections=self._room.taken,
            )

    def forget(self, connection: Connection) -> None:
        """Forget *connection*, which is gone or never had a transport."""
        self.timeouts.changed.discard(connection)
        for those in (self._connections, self._coming):
            if connection in those:
                those.remove(connection)
                self._room.leave()
        if not self._connections:
            self._is_empty.set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def stop(self) -> bool:
        """Stop, within `MOST_TO_ANSWER`; tell whether all requests were answered in time.

        The other requests get 503.
        """
        self.close()
        in_time = await self._done_within(_TO_ANSWER, self.answered())
        if not in_time:
            self.cut_off()
            await self._done_within(_TO_SEND, self.answered())
        if not await self._done_within(_TO_SEND, self.empty()):
            self.abort()
            await self.empty()
        return in_time

    def close(self) -> None:
        """Take no connection any more, and close each once its current request is answered."""
        self._is_stopping = True
        for connection in list(self._connections):
            connection.stop()

    def cut_off(self) -> None:
        """Answer the requests that are still being answered with 503."""
        for cycle in self.running:
            cycle.cut_off()
        for connection in list(self._connections):
            connection.cut_off()

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in list(self._connections):
            connection.abort()

    async def answered(self) -> None:
        """Return once no request is being answered; after `close`."""
        while self.under_way:
            self._has_answered.clear()
            await self._has_answered.wait()
        while self.running:
            await asyncio.wait([cycle.task for cycle in self.running])

    async def empty(self) -> None:
        """Return once there is no connection."""
        await self._is_empty.wait()

    async def _done_within(self, limit: timedelta, work: Awaitable[None]) -> bool:
        try:
            await within(self.clock, limit, work)
        except TimeoutError:
            return False
        return True

    # For the connections.

    def admit(self, connection: Connection) -> bool:
        """Take *connection* in, which has a place, unless the server stops."""
        if self._is_stopping:
            return False
        self._coming.remove(connection)
        self._connections.add(connection)
        self._is_empty.clear()
        if self._timer is None:
            self._arm()
        return True

    def answered_last(self) -> None:
        """Learn that the last answer of a connection is complete, or given up."""
        self._has_answered.set()

    def blocked(self, connection: Connection, size: int) -> None:
        """Note that the client of *connection* has *size* bytes to read.

        Where the bytes of all connections together are too many, those with most are closed.
        """
        self.unblocked(connection)
        self._unread[connection] = size
        self._unsent += size
        while self._unsent > self.settings.most_unsent:
            most = max(self._unread, key=self._unread.__getitem__)
            self.unblocked(most)
            most.abort()

    def unblocked(self, connection: Connection) -> None:
        """Note that the client of *connection* has read all of it, or never will."""
        self._unsent -= self._unread.pop(connection, 0)

    def _arm(self) -> None:
        self.heads.renew()
        self._timer = self.clock.call_at(after(self.clock.now(), TICK), self._tick)

    def _tick(self) -> None:
        self._arm()
        self.timeouts.tick()
