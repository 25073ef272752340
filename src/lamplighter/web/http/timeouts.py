"""How long clients may take: one timer for all connections.

A timer for each connection would cost more than everything else that an idle connection costs. So
one timer ticks once a second, and a client is given up to one second more than its limit.

What a connection waits for changes with each request and each answer. So only the tick looks what
it is, of those connections that have `changed` since the last tick.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Final, Generic, TypeVar

__all__ = ["TICK", "ConnectionTimeouts", "TimeLimit", "TimeLimits"]

T = TypeVar("T")

#: How often the server looks for connections that have taken too long.
TICK: Final = timedelta(seconds=1)


class TimeLimit(IntEnum):
    """What a client may keep a connection waiting for, for a limited time only.

    The value is the index into `ConnectionTimeouts`.
    """

    #: No request is being answered, and none has begun to come.
    IDLE = 0
    #: A request has begun to come, and no application waits for the rest.
    RECEIVING = 1
    #: The client does not read what it is sent.
    SENDING = 2
    #: Everything is said, and the client has still to read it or to close its half.
    CLOSING = 3


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long each `TimeLimit` is."""

    idle: timedelta = timedelta(seconds=75)
    receiving: timedelta = timedelta(seconds=30)
    #: Begins anew as long as the client reads; so does `closing`.
    sending: timedelta = timedelta(seconds=30)
    closing: timedelta = timedelta(seconds=10)


class ConnectionTimeouts(Generic[T]):
    """The time limits that run. The owner calls `tick` each time that `TICK` has passed."""

    def __init__(
        self,
        limits: TimeLimits,
        begin: Callable[[T], None],
        expire: Callable[[T], None],
    ) -> None:
        """*begin* is called with each tick for each connection that has changed since the last one.

        It starts, switches or stops the limit of that connection. *expire* is called once for each
        connection whose time is over.
        """
        self._begin = begin
        self._expire = expire
        self._ticks = 0
        # For each limit, in the order of the deadlines: all that one limit runs for wait as long.
        self._deadlines: tuple[dict[T, int], ...] = tuple({} for _ in TimeLimit)
        spans = (limits.idle, limits.receiving, limits.sending, limits.closing)
        self._lengths = tuple(span // TICK for span in spans)
        #: The connections that may wait for something else than at the last tick. They add
        #: themselves; a set, since most change twice or more between two ticks.
        self.changed: set[T] = set()

    def start(self, connection: T, limit: TimeLimit) -> None:
        """Begin *limit* for *connection*, for which it does not run yet."""
        self._deadlines[limit][connection] = self._ticks + self._lengths[limit]

    def stop(self, connection: T, limit: TimeLimit) -> None:
        """End *limit* for *connection*, if it runs."""
        self._deadlines[limit].pop(connection, None)

    def tick(self) -> None:
        """Call *begin* for those that have changed, and *expire* for those whose time is over.

        The others cost nothing.
        """
        self._ticks += 1
        changed, self.changed = self.changed, set()
        for connection in changed:
            self._begin(connection)
        for deadlines in self._deadlines:
            due = []
            for connection, deadline in deadlines.items():
                if deadline > self._ticks:
                    break
                due.append(connection)
            for connection in due:
                # `expire` of one connection may stop the time of another.
                if deadlines.pop(connection, None) is not None:
                    self._expire(connection)
