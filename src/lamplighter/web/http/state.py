"""What all connections of one server share."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp

from lamplighter.clock import Clock, Timer, after
from lamplighter.log_limits import LogLimit
from lamplighter.web.http.exchange import Direct, FindDirect
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import Heads
from lamplighter.web.http.settings import ConnectionRoom, HttpSettings
from lamplighter.web.http.timeouts import TICK, ConnectionTimeouts

if TYPE_CHECKING:
    from lamplighter.web.http.connection import Connection

__all__ = ["ServerState", "no_direct"]

_log = structlog.get_logger(__name__)


def no_direct(_request: Request) -> Direct | None:
    """Find no direct endpoint: the application answers everything."""
    return None


class ServerState:
    """The connections of a server, what answers their requests, and their one timer.

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
        """*count_refused* is called for each connection for which there is no room."""
        self.application = application
        self.settings = settings
        self.find_direct = find_direct
        self.heads = Heads(clock, settings.json_headers)
        self.timeouts: ConnectionTimeouts[Connection]
        self.timeouts = ConnectionTimeouts(settings.time_limits, lambda it: it.expire())
        self._room = ConnectionRoom() if room is None else room
        self._count_refused = count_refused
        #: How many bytes each connection's client has not read; one that reads all is not here.
        self._unread: dict[Connection, int] = {}
        self._log_limit = LogLimit()
        self._unsent = 0
        self._clock = clock
        self._timer: Timer | None = None
        self._connections: set[Connection] = set()
        #: Those that have a place, and no transport yet: a handshake of TLS may take long.
        self._coming: set[Connection] = set()
        self._is_stopping = False
        self._under_way = 0
        self._is_quiet = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_quiet.set()
        self._is_empty.set()

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return self._under_way

    @property
    def unsent(self) -> int:
        """How many bytes of answers wait for clients to read them."""
        return self._unsent

    def blocked(self, connection: "Connection", size: int) -> None:
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

    def unblocked(self, connection: "Connection") -> None:
        """Note that the client of *connection* has read all of it, or never will."""
        self._unsent -= self._unread.pop(connection, 0)

    def reserve(self, connection: "Connection") -> bool:
        """Take a place for *connection*, and tell whether there was one; `forget` gives it back."""
        if not self._room.take():
            self.refused()
            return False
        self._coming.add(connection)
        return True

    def admit(self, connection: "Connection") -> bool:
        """Take *connection* in, which has a place, unless the server stops."""
        if self._is_stopping:
            return False
        self._coming.remove(connection)
        self._connections.add(connection)
        self._is_empty.clear()
        if self._timer is None:
            self._arm()
        return True

    def refused(self) -> None:
        """Count that a connection was refused, and log once a minute that the server is full."""
        self._count_refused()
        if self._log_limit.admits("full", self._clock.now()) is not None:
            _log.error(
                "connections are refused: there are as many as the limit on open files allows; "
                "raise LimitNOFILE= of the service, or `ulimit -n`",
                connections=self._room.taken,
            )

    def forget(self, connection: "Connection") -> None:
        """Forget *connection*, which is gone or never had a transport."""
        for those in (self._connections, self._coming):
            if connection in those:
                those.remove(connection)
                self._room.leave()
        if not self._connections:
            self._is_empty.set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def begun(self) -> None:
        """Note that a request is being answered."""
        self._under_way += 1
        if self._under_way == 1:
            self._is_quiet.clear()

    def ended(self) -> None:
        """Note that the answer to one of them is complete, or given up."""
        self._under_way -= 1
        if self._under_way == 0:
            self._is_quiet.set()

    def stop(self) -> None:
        """Take no connection any more, and close each once its current request is answered."""
        self._is_stopping = True
        for connection in list(self._connections):
            connection.stop()

    def cut_off(self) -> None:
        """Answer the pending requests of direct endpoints: the server shuts down.

        The requests of the application are tasks; `web/under_way.py` ends those.
        """
        for connection in list(self._connections):
            connection.cut_off()

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in list(self._connections):
            connection.abort()

    async def quiet(self) -> None:
        """Return once no request is being answered."""
        await self._is_quiet.wait()

    async def empty(self) -> None:
        """Return once there is no connection."""
        await self._is_empty.wait()

    def _arm(self) -> None:
        self.heads.renew()
        self._timer = self._clock.call_at(after(self._clock.now(), TICK), self._tick)

    def _tick(self) -> None:
        self._arm()
        self.timeouts.tick()
