"""An HTTP server without a socket: it answers requests, and stops in good order.

A `Listener` gives it connections from the network; the in-memory server of the tests gives it
connections from the same process. All else is the same for both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp

from lamplighter.clock import Clock, within
from lamplighter.web.application import JSON_HEADERS, response_to
from lamplighter.web.bodies import BodiesInTime
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.connection import Connection
from lamplighter.web.http.exchange import FindDirect
from lamplighter.web.http.settings import ConnectionRoom, HttpSettings
from lamplighter.web.http.state import ServerState, no_direct
from lamplighter.web.http.timeouts import TimeLimits
from lamplighter.web.under_way import UnderWay

__all__ = ["MATRIX", "MOST_TO_ANSWER", "HttpServer"]

#: HTTP as Matrix has it: errors, the headers for web clients, the largest body.
MATRIX: Final = HttpSettings(response_to, JSON_HEADERS, MAX_BODY)

#: How long a client may take for the head of a request, and for its body.
_SLOWEST: Final = timedelta(seconds=30)
#: How long a request may take that is being answered when the server stops. Polls are answered
#: before.
_TO_ANSWER: Final = timedelta(seconds=5)
#: How long the 503 of the other requests may take then, and the sending of all answers.
_TO_SEND: Final = timedelta(seconds=1)
#: How long a server takes to stop at most.
MOST_TO_ANSWER: Final = _TO_ANSWER + 2 * _TO_SEND


class HttpServer:
    """Answers the requests of its connections until it is stopped.

    *find_direct* returns the direct endpoint of a request; *application* answers all else.
    """

    def __init__(
        self,
        application: ASGIApp,
        clock: Clock,
        *,
        find_direct: FindDirect = no_direct,
        slowest: timedelta = _SLOWEST,
        room: ConnectionRoom | None = None,
        count_refused: Callable[[], None] = lambda: None,
    ) -> None:
        """A client has *slowest* for the head of a request, and the same for its body.

        *room* is for all servers of the process. *count_refused* is called for each connection for
        which there is none.
        """
        self.clock = clock
        self._requests = UnderWay(BodiesInTime(application, clock, slowest))
        limits = TimeLimits(receiving=slowest, idle=slowest * 2.5)
        self._state = ServerState(
            self._requests,
            clock,
            replace(MATRIX, time_limits=limits),
            find_direct=find_direct,
            room=room,
            count_refused=count_refused,
        )

    @property
    def is_answering(self) -> bool:
        """Whether any request is being answered."""
        return self._state.under_way > 0 or self._requests.count > 0

    def connect(self) -> Connection | None:
        """Return the server's end of a new connection, or None if there is no room for one."""
        return Connection.begin(self._state)

    def forget(self, connection: Connection) -> None:
        """Give the place of *connection* back, which has never had a transport."""
        self._state.forget(connection)

    def refused(self) -> None:
        """Count and log that a connection could not be taken."""
        self._state.refused()

    def close(self) -> None:
        """Take no connection any more, and close each once its current request is answered."""
        self._state.stop()

    def cut_off(self) -> None:
        """Answer the requests that are still being answered with 503."""
        self._requests.cut_off()
        self._state.cut_off()

    def abort(self) -> None:
        """Close all connections at once."""
        self._state.abort()

    async def stop(self) -> bool:
        """Stop, within `MOST_TO_ANSWER`; tell whether all requests were answered in time.

        The other requests get 503.
        """
        self.close()
        in_time = await self._done_within(_TO_ANSWER, self.answered())
        if not in_time:
            self.cut_off()
            await self._done_within(_TO_SEND, self.answered())
        if not await self._done_within(_TO_SEND, self._state.empty()):
            self.abort()
            await self._state.empty()
        return in_time

    async def answered(self) -> None:
        """Return once no request is being answered."""
        await self._state.quiet()
        await self._requests.ended()

    async def _done_within(self, limit: timedelta, work: Awaitable[None]) -> bool:
        try:
            await within(self.clock, limit, work)
        except TimeoutError:
            return False
        return True
