"""What all connections of one listener share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
from starlette.types import ASGIApp

from lamplighter.clock import Clock, Timer, after
from lamplighter.log_limits import LogLimit
from lamplighter.web.http.exchange import Direct, FindDirect
from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import Heads
from lamplighter.web.http.timeouts import TICK, Patience, Timed, Timeouts

__all__ = ["MOST_CONNECTIONS", "MOST_UNSENT", "Guest", "Hub", "no_put"]

#: How many connections one listener has at most.
MOST_CONNECTIONS: Final = 200_000
#: How many bytes of answers wait, on all connections of one listener, until clients read them.
MOST_UNSENT: Final = 128 * 1024 * 1024

_PATIENCE: Final = Patience()

_log = structlog.get_logger(__name__)


def no_put(_raw_path: str) -> None:
    """Find no function that answers a PUT."""


class Guest(Timed, Protocol):
    """A connection, as the hub sees it."""

    def stop(self) -> None:
        """Close at once if no request is under way, else after its answer."""

    def cut_off(self) -> None:
        """Answer what is under way, if it is not for a task to do so: the server stops."""

    def abort(self) -> None:
        """Close at once."""


class Hub:
    """The connections of a listener, and what they answer with.

    *direct* names the paths at which a GET is answered by a plain function, and *find_put* does so
    for a PUT; all else goes to *application*.
    """

    def __init__(
        self,
        application: ASGIApp,
        direct: Mapping[str, Direct],
        clock: Clock,
        *,
        find_put: FindDirect = no_put,
        patience: Patience = _PATIENCE,
        most_connections: int = MOST_CONNECTIONS,
        most_unsent: int = MOST_UNSENT,
        count_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.application = application
        self._direct = direct
        self._find_put = find_put
        self._count_refused = count_refused
        self.heads = Heads(clock)
        self.timeouts = Timeouts(patience)
        self.is_stopping = False
        self._most_connections = most_connections
        self._most_unsent = most_unsent
        #: How many bytes each connection's client has not read; who reads all of it is not here.
        self._owed: dict[Guest, int] = {}
        self._log_limit = LogLimit()
        self._unsent = 0
        self._clock = clock
        self._timer: Timer | None = None
        self._guests: set[Guest] = set()
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

    def owes(self, guest: Guest, size: int) -> None:
        """Learn that *guest* has *size* bytes to send that its client does not read now.

        Where that is too much for all connections together, those with most of it are closed.
        """
        self.paid(guest)
        self._owed[guest] = size
        self._unsent += size
        while self._unsent > self._most_unsent:
            most = max(self._owed, key=self._owed.__getitem__)
            self.paid(most)
            most.abort()

    def paid(self, guest: Guest) -> None:
        """Learn that *guest* has sent all of it, or never will."""
        self._unsent -= self._owed.pop(guest, 0)

    def direct(self, request: Request) -> Direct | None:
        """Return the function that answers *request*, if it is one's business."""
        if request.method == "GET":
            return self._direct.get(request.target.path)
        return self._find_put(request.target.raw_path) if request.method == "PUT" else None

    def admit(self, guest: Guest) -> bool:
        """Take *guest* in, and tell whether there was room."""
        if self.is_stopping:
            return False
        if len(self._guests) >= self._most_connections:
            self._say_full()
            return False
        self._guests.add(guest)
        self._is_empty.clear()
        if self._timer is None:
            self._arm()
        return True

    def _say_full(self) -> None:
        """Count the refusal, and log once a minute that there is room for nobody more."""
        self._count_refused()
        if self._log_limit.admits("full", self._clock.now()) is not None:
            _log.error(
                "connections are refused: there are as many as the limit on open files allows; "
                "raise LimitNOFILE= of the service, or `ulimit -n`",
                connections=len(self._guests),
            )

    def dismiss(self, guest: Guest) -> None:
        """Forget *guest*, who is gone."""
        self._guests.discard(guest)
        if not self._guests:
            self._is_empty.set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def begun(self) -> None:
        """Learn that a request is being answered."""
        self._under_way += 1
        if self._under_way == 1:
            self._is_quiet.clear()

    def ended(self) -> None:
        """Learn that one of them is answered, or given up."""
        self._under_way -= 1
        if self._under_way == 0:
            self._is_quiet.set()

    def stop(self) -> None:
        """Take in nobody, and close the connections, each once nothing is under way on it."""
        self.is_stopping = True
        for guest in list(self._guests):
            guest.stop()

    def cut_off(self) -> None:
        """Answer what is under way and is no task."""
        for guest in list(self._guests):
            guest.cut_off()

    def abort(self) -> None:
        """Close all connections, whatever is under way on them."""
        for guest in list(self._guests):
            guest.abort()

    async def quiet(self) -> None:
        """Return once no request is under way."""
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
