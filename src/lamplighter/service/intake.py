"""The intake of events: feeds the state machine, and hands its changes to the publisher.

A process may stand still: the machine sleeps, or another process has the processor. Then the timers
fire late, and before the sockets are read, where polls may wait that have come meanwhile. So a
timer that is late by `_LATE` waits once more, for as long:

     0.0 s: alice's last poll has ended; the grace of 30 s begins
    10.0 s: the process is stopped
    20.0 s: alice polls; the poll waits in the socket
    40.0 s: the process goes on, 10 s late: alice is not offline yet; the poll is read
    40.1 s: the timer fires again: alice polls
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from lamplighter.clock import Clock, Timer, Timestamp, after
from lamplighter.ids import UserId
from lamplighter.ports import Requester
from lamplighter.presence.changes import Change
from lamplighter.presence.device import Devices
from lamplighter.presence.events import Activity, Event, StatusSet
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.batch import done
from lamplighter.service.publisher import Publisher

__all__ = ["Decide", "Intake"]

#: A timer that fires so late shows that the process has stood still.
_LATE: Final = timedelta(milliseconds=100)

#: Takes an event in; returns what is done once that which it changed is delivered and saved.
Decide: TypeAlias = Callable[[Event], "asyncio.Future[None]"]


class Intake:
    """Feeds the tracker with events, and with the time."""

    def __init__(
        self, clock: Clock, tracker: PresenceTracker, publisher: Publisher, *, hears_clients: bool
    ) -> None:
        self._clock = clock
        self._tracker = tracker
        self._publisher = publisher
        self._hears_clients = hears_clients
        self._route: Decide = self.decide
        self._deadline: tuple[Timestamp, Timer] | None = None

    def route_by(self, route: Decide) -> None:
        """Hand every event to *route*, which finds the owner of the user."""
        self._route = route

    def accept(self, event: Event) -> "asyncio.Future[None]":
        """Take *event* in; return what is done once what it changed is delivered and saved.

        An event that changes nothing gets the future of everything before it. Many events may share
        one future: a task that may be cancelled shields it. It fails with `StorageUnavailable` if
        the change cannot be saved now; the server keeps the change and tries again. It fails with
        `ClusterUnavailable` if the owner of the user, another node, does not answer.
        """
        return self._route(event)

    def decide(self, event: Event) -> "asyncio.Future[None]":
        """Take in an event of a user whom this node owns; return what `accept` returns."""
        saved = self._hand_on(self._tracker.feed(event, self._clock.now()))
        self.schedule()
        return saved

    def set_status(
        self, requester: Requester, presence: Presence, status_msg: str | None
    ) -> "asyncio.Future[None]":
        """Set the requester's presence; return the future of `accept`."""
        if not self._hears_clients:
            return done()
        return self.accept(StatusSet(requester.user_id, requester.device_id, presence, status_msg))

    def acted(self, requester: Requester) -> None:
        """Take in that the requester typed, read, or sent an event."""
        if self._hears_clients:
            self.accept(Activity(requester.user_id, requester.device_id))

    def devices_of(self, user_id: UserId) -> Devices:
        """Return the devices of a user, as this node knows them that owns the user."""
        user = self._tracker.user(user_id)
        return user.devices if user else ()

    def schedule(self) -> None:
        """Wake up at the earliest deadline of any user."""
        due = self._tracker.next_deadline()
        if due is None or (self._deadline is not None and self._deadline[0] <= due):
            return
        self.stop()
        expected = max(due, self._clock.now())
        self._deadline = (due, self._clock.call_at(due, lambda: self._look(due, expected)))

    def stop(self) -> None:
        """Wake up no more."""
        if self._deadline is not None:
            self._deadline[1].cancel()

    def _look(self, due: Timestamp, expected: Timestamp) -> None:
        """Expire what is *due*; the timer for it was *expected* to fire now."""
        now = self._clock.now()
        if now < after(expected, _LATE):
            self._expire()
        else:
            self._deadline = (due, self._clock.call_at(after(now, _LATE), self._expire))

    def _expire(self) -> None:
        self._deadline = None
        self._hand_on(self._tracker.expire(self._clock.now()))
        self.schedule()

    def _hand_on(self, changes: list[Change]) -> "asyncio.Future[None]":
        saved = self._publisher.publish(changes)
        if states := self._tracker.take_unannounced():
            self._publisher.refresh(states)
        return saved
