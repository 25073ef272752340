"""The presence that the polls of each device say; the state machine hears only what is new.

A client's next poll follows the last one within moments and says the same: the device goes on
polling. So a poll that has ended goes on to count for `MOST_LINGERING`, until the next poll takes
its place. If no poll has, what the ended poll said does not count any more. When no poll is left,
the state machine gets a `SyncEnded` with the instant at which the last poll ended.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from lamplighter.presence.device import Device
from lamplighter.presence.events import Event, SyncEnded, Syncing
from lamplighter.presence.state import PRESENCE_RANK, Presence
from lamplighter.presence.tracker import PresenceTracker

__all__ = ["Connections", "Polls"]

#: The longest that a poll which has ended counts on.
MOST_LINGERING: Final = timedelta(seconds=2)

# Module-level names: to look up a member of an enumeration calls a Python function.
_OFFLINE: Final = Presence.OFFLINE
_ONLINE: Final = Presence.ONLINE


class Polls:
    """The polls of one device that say the same presence."""

    __slots__ = ("connection", "ended", "in_flight", "set_presence")

    def __init__(self, connection: "_Connection", set_presence: Presence) -> None:
        self.connection: Final = connection
        self.set_presence: Final = set_presence
        self.in_flight = 0
        #: When those ended that count on: the longest ago first.
        self.ended: list[Timestamp] = []

    @property
    def number(self) -> int:
        """How many are in flight, or count on."""
        return self.in_flight + len(self.ended)

    def take(self, place_of: "Polls | None") -> "Polls":
        """Count one more, in the place of one that has ended."""
        self.in_flight += 1
        if place_of is not None:
            place_of.ended.pop()
        return self


class _Connection:
    """A device while it polls, one poll after the other or several at once."""

    __slots__ = ("device", "ended_ts", "fresh_until", "is_ending", "polls", "requester", "said")

    def __init__(self, requester: Requester, set_presence: Presence) -> None:
        self.requester: Final = requester
        #: The polls whose presence the state machine has heard: the highest.
        self.said = Polls(self, set_presence)
        #: By what they say; the highest first.
        self.polls = [self.said]
        #: When the last of them ended.
        self.ended_ts = Timestamp(0)
        #: Whether the next sweep looks at those that have ended.
        self.is_ending = False
        #: Until then activity is no news to the state machine, unless the device has changed.
        self.fresh_until = Timestamp(0)
        self.device: Device | None = None

    def saying(self, set_presence: Presence) -> Polls:
        """Return the polls that say *set_presence*."""
        for polls in self.polls:
            if polls.set_presence is set_presence:
                return polls
        polls = Polls(self, set_presence)
        self.polls.append(polls)
        self.polls.sort(key=lambda it: -PRESENCE_RANK[it.set_presence])
        return polls

    def place_for(self, polls: Polls) -> Polls | None:
        """Return those of which one has ended whose place a new one of *polls* takes.

        It is most likely the next poll of a client whose last one said the same; else of one that
        has come to say something else.
        """
        return polls if polls.ended else next((it for it in self.polls if it.ended), None)

    def highest(self) -> Polls | None:
        """Return those that count: the highest of which any are in flight, or count on."""
        return next((it for it in self.polls if it.number), None)

    def highest_with(self, polls: Polls, place_of: Polls | None) -> Polls:
        """Return what `highest` would once *polls* take the place."""
        return next(it for it in self.polls if it is polls or it.number > (it is place_of))

    def forget_ended(self, until: Timestamp) -> None:
        """Stop counting polls that ended at *until* or before."""
        self.is_ending = False
        for polls in self.polls:
            while polls.ended and polls.ended[0] <= until:
                del polls.ended[0]
            if polls.ended:
                self.is_ending = True


class Connections:
    """The devices that poll; `feed` gets the events that follow.

    What would change a device's presence is heard only if *allows* says so. Who asks for one
    change too many still counts as connected: the poll says what the others of the device say.
    """

    def __init__(
        self,
        tracker: PresenceTracker,
        clock: Clock,
        feed: Callable[[Event], object],
        allows: Callable[[Requester], bool],
        *,
        hears_clients: bool = True,
    ) -> None:
        self._tracker = tracker
        self._clock = clock
        self._feed = feed
        self._allows = allows
        self._hears_clients = hears_clients
        timers, mode = tracker.rules.timers, tracker.rules.sync_is_activity
        #: The end of a poll must be known long before the grace that begins with it is over.
        self.lingering = min(MOST_LINGERING, timers.sync_online_timeout / 4)
        #: The `set_presence` of queries that are activity.
        self._activity = frozenset(it for it in (None, *Presence) if mode.counts(it))
        #: For so long one activity by polling is as good as the next.
        self._fresh = timers.last_active_granularity / 10
        self._connections: dict[Requester, _Connection] = {}
        #: The connections of which polls have ended that still count.
        self._ending: list[_Connection] = []

    def begin(
        self, requester: Requester, set_presence: Presence | None, *, is_first: bool = False
    ) -> Polls | None:
        """Count a poll that begins; it is over when what is returned is given to `end`.

        *set_presence* is what its query says, None where it does not; *is_first* is whether it has
        no since token. Returns None for a poll that is not counted: one that says `offline` leaves
        the presence of its device alone.
        """
        if set_presence is _OFFLINE or not self._hears_clients:
            return None
        connection = self._connections.get(requester)
        if connection is None:
            return self._connect(requester, set_presence, is_first=is_first)
        said = connection.said
        is_same = said.set_presence is (set_presence or _ONLINE) and not is_first
        if is_same and (set_presence not in self._activity or self._is_fresh(connection)):
            # As nearly every poll does: it takes the place of the one before it.
            said.in_flight += 1
            if said.ended:
                said.ended.pop()
            return said
        return self._hear(connection, set_presence, is_first=is_first)

    def end(self, polls: Polls | None, now: Timestamp) -> None:
        """One of the polls is over *now*; it counts on until another takes its place.

        None stands for one that is not counted.
        """
        if polls is None:
            return
        connection = polls.connection
        polls.in_flight -= 1
        polls.ended.append(now)
        connection.ended_ts = now
        if not connection.is_ending:
            connection.is_ending = True
            self._ending.append(connection)

    def repeat(self, is_theirs: Callable[[UserId], bool]) -> None:
        """Say again what the polls say of users for whom another node decides from now on."""
        for requester, connection in list(self._connections.items()):
            if is_theirs(requester.user_id):
                self._feed(_event(requester, connection.said.set_presence))

    def repeat_device(self, user_id: UserId, device_id: DeviceId) -> None:
        """Say again what the polls of one device say, or that there are none."""
        connection = self._connections.get(Requester(user_id, device_id))
        if connection is None:
            self._feed(SyncEnded(user_id, device_id))
        else:
            self._feed(_event(connection.requester, connection.said.set_presence))

    def forget(self, user_id: UserId, device_id: DeviceId) -> bool:
        """The device is gone; should it come back, it is a new one. Tell whether it polled."""
        return self._connections.pop(Requester(user_id, device_id), None) is not None

    def sweep(self) -> None:
        """Stop counting ended polls whose place no other has taken.

        To be called once every `lingering`.
        """
        ended_until = after(self._clock.now(), -self.lingering)
        ending, self._ending = self._ending, []
        for connection in ending:
            connection.forget_ended(ended_until)
            if connection.is_ending:
                self._ending.append(connection)
            highest = connection.polls[0]
            if highest is connection.said and highest.in_flight:
                continue  # as of most: the next poll has come
            if self._connections.get(connection.requester) is connection:
                self._tell_what_is_left(connection)

    def _connect(
        self, requester: Requester, set_presence: Presence | None, *, is_first: bool
    ) -> Polls:
        """Count the first poll of a device that did not poll."""
        says = set_presence or Presence.ONLINE
        connection = self._connections[requester] = _Connection(requester, says)
        event = _event(requester, says, is_first, set_presence in self._activity)
        # There are no other polls whose presence it could say, so it is heard even over the limit.
        self._is_refused(event)
        self._tell(connection, event)
        return connection.said.take(None)

    def _hear(
        self, connection: _Connection, set_presence: Presence | None, *, is_first: bool
    ) -> Polls:
        """Count one poll more of a device, which may say something new."""
        polls = connection.saying(set_presence or Presence.ONLINE)
        place_of = connection.place_for(polls)
        highest = connection.highest_with(polls, place_of)
        counts = polls is highest
        is_activity = counts and set_presence in self._activity
        said = highest.set_presence
        event = _event(connection.requester, said, counts and is_first, is_activity)
        is_same = highest is connection.said and not event.is_first
        if is_same and (not is_activity or self._is_fresh(connection)):
            return polls.take(place_of)
        if self._is_refused(event):
            return connection.said.take(connection.place_for(connection.said))
        connection.said = highest
        self._tell(connection, event)
        return polls.take(place_of)

    def _is_fresh(self, connection: _Connection) -> bool:
        """Tell whether the machine has just heard of activity, and the device is unchanged."""
        requester = connection.requester
        device = self._tracker.device(requester.user_id, requester.device_id)
        return self._clock.now() < connection.fresh_until and device is connection.device

    def _is_refused(self, event: Syncing) -> bool:
        requester = Requester(event.user_id, event.device_id)
        is_transition = self._tracker.is_transition(event, self._clock.now())
        return is_transition and not self._allows(requester)

    def _tell(self, connection: _Connection, event: Syncing) -> None:
        self._feed(event)
        if event.is_activity:
            connection.fresh_until = after(self._clock.now(), self._fresh)
            connection.device = self._tracker.device(event.user_id, event.device_id)

    def _tell_what_is_left(self, connection: _Connection) -> None:
        """Tell what the polls say that still count, if that is something else now."""
        requester, highest = connection.requester, connection.highest()
        if highest is None:
            del self._connections[requester]
            self._feed(SyncEnded(requester.user_id, requester.device_id, connection.ended_ts))
        elif highest is not connection.said:
            connection.said = highest
            self._feed(_event(requester, highest.set_presence))


def _event(
    requester: Requester,
    set_presence: Presence,
    is_first: bool = False,
    is_activity: bool = False,
) -> Syncing:
    return Syncing(requester.user_id, requester.device_id, set_presence, is_first, is_activity)
