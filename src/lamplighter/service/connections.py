"""Which devices have a poll open, told to the state machine only where it is news to it.

A client's next poll follows the last one within moments, and changes nothing: the device polls, as
it did. So the end of a poll is told only when no other has followed it for a while, with the
instant at which it ended, and a poll that follows before is one with it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import Event, SyncEnded, SyncStarted
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker

__all__ = ["Connection", "Connections"]

#: The longest that the end of a poll is kept back.
MOST_LINGERING: Final = timedelta(seconds=2)


class Connection:
    """A device as long as it polls, one poll after the other or several at once."""

    __slots__ = ("is_steady_for", "polls", "requester")

    def __init__(self, requester: Requester) -> None:
        self.requester = requester
        self.polls = 0
        #: What its polls may ask for without changing anything; empty while that is not known.
        self.is_steady_for: tuple[Presence | None, ...] = ()


class Connections:
    """The devices that poll; `feed` is told what changes by it."""

    def __init__(
        self,
        tracker: PresenceTracker,
        clock: Clock,
        feed: Callable[[Event], None],
        sync_online_timeout: timedelta,
    ) -> None:
        self._tracker = tracker
        self._clock = clock
        self._feed = feed
        #: The end of a poll must be known long before the grace that begins with it is over.
        self.lingering = min(MOST_LINGERING, sync_online_timeout / 4)
        self._connections: dict[Requester, Connection] = {}
        #: Those without a poll, by when their last one ended: the longest ago first.
        self._ended: dict[Connection, Timestamp] = {}

    def begin(self, requester: Requester, set_presence: Presence | None) -> Connection:
        """Count a poll that begins; it is over when the connection is given to `end`."""
        connection = self._connections.get(requester)
        if connection is None:
            connection = self._connections[requester] = Connection(requester)
            self._feed(SyncStarted(requester.user_id, requester.device_id, set_presence))
        elif set_presence not in connection.is_steady_for:
            self._ask_again(connection, set_presence)
        if not connection.polls:
            self._ended.pop(connection, None)
        connection.polls += 1
        return connection

    def _ask_again(self, connection: Connection, set_presence: Presence | None) -> None:
        """Tell of what a further poll asks for, unless it changes nothing: then note that."""
        user_id, device_id = connection.requester.user_id, connection.requester.device_id
        if self._tracker.is_steady(user_id, device_id, set_presence):
            connection.is_steady_for += (set_presence,)
            return
        connection.is_steady_for = ()
        # To the machine the device has one poll: the one before ends where this one begins.
        self._feed(SyncStarted(user_id, device_id, set_presence))
        self._feed(SyncEnded(user_id, device_id))

    def is_steady(self, requester: Requester, set_presence: Presence | None) -> bool:
        """Tell whether it is known that a poll that asks for that would change nothing."""
        connection = self._connections.get(requester)
        return connection is not None and set_presence in connection.is_steady_for

    def end(self, connection: Connection) -> None:
        """A poll is over."""
        connection.polls -= 1
        if not connection.polls:
            self._ended[connection] = self._clock.now()

    def forget(self, user_id: UserId, device_id: DeviceId) -> None:
        """The device is gone; should it come back, it is a new one."""
        connection = self._connections.pop(Requester(user_id, device_id), None)
        if connection is not None:
            self._ended.pop(connection, None)

    def sweep(self) -> None:
        """Tell of the polls that no other has followed; to be called once every `lingering`."""
        now = self._clock.now()
        while self._ended:
            connection, ended_ts = next(iter(self._ended.items()))
            if after(ended_ts, self.lingering) > now:
                return
            del self._ended[connection]
            self._tell_of_end(connection, ended_ts)

    def _tell_of_end(self, connection: Connection, ended_ts: Timestamp) -> None:
        requester = connection.requester
        if self._connections.get(requester) is connection:
            del self._connections[requester]
            self._feed(SyncEnded(requester.user_id, requester.device_id, ended_ts))
