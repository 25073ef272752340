"""How long clients may take, by one timer for all of them.

A timer of its own for each connection would cost more than all the rest of an idle one. Nobody
minds if a client is given a second more.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Final, Protocol

__all__ = ["TICK", "Limit", "Patience", "Timed", "Timeouts"]

#: How often it is looked who has taken too long.
TICK: Final = timedelta(seconds=1)


class Limit(IntEnum):
    """What a connection may be at, but not without end; the value is its place in `Timeouts`."""

    #: No request is under way, and none has begun to come.
    IDLE = 0
    #: A request has begun to come, and nobody reads along.
    RECEIVING = 1
    #: The client does not take what it is sent.
    SENDING = 2
    #: All is said; the client has still to hear it.
    CLOSING = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long it may be at that."""

    idle: timedelta = timedelta(seconds=75)
    receiving: timedelta = timedelta(seconds=30)
    #: Begins anew as long as the client takes some of it, as does the next.
    sending: timedelta = timedelta(seconds=30)
    closing: timedelta = timedelta(seconds=10)


class Timed(Protocol):
    """What may take too long."""

    def expire(self) -> None:
        """Be told so, once."""


class Timeouts:
    """Who may take how long. Whoever has it calls `tick` each time that `TICK` has passed."""

    def __init__(self, patience: Patience) -> None:
        self._ticks = 0
        # By limit, each in the order of the deadlines, for all of one limit wait as long.
        self._deadlines: tuple[dict[Timed, int], ...] = tuple({} for _ in Limit)
        spans = (patience.idle, patience.receiving, patience.sending, patience.closing)
        # One more, for the tick that is under way.
        self._lengths = tuple(span // TICK + 1 for span in spans)

    def start(self, timed: Timed, limit: Limit) -> None:
        """Let *limit* begin for *timed*, for which it does not run yet."""
        self._deadlines[limit][timed] = self._ticks + self._lengths[limit]

    def stop(self, timed: Timed, limit: Limit) -> None:
        """Let *limit* no longer run for *timed*."""
        self._deadlines[limit].pop(timed, None)

    def tick(self) -> None:
        """Tell those whose time is over; it costs nothing for those whose time is not."""
        self._ticks += 1
        for deadlines in self._deadlines:
            due = []
            for timed, deadline in deadlines.items():
                if deadline > self._ticks:
                    break
                due.append(timed)
            for timed in due:
                # One that is told may do away with others.
                if deadlines.pop(timed, None) is not None:
                    timed.expire()
