"""The presence states that wait to be sent to one other server. Pure: time is an argument.

**Newest state only.** The queue holds one state for each user: a newer one takes the place of the
older. So a server that was unreachable for an hour gets the present state of each user, and not an
hour of history. The queue holds at most *capacity* states; beyond that it drops the
state that has waited longest.

**Window.** The first state that arrives opens a window of 100 ms. All states that arrive within the
window go out in one transaction.

**One transaction at a time**, with at most 50 states. `take` begins it; `succeeded` or `failed`
ends it. After a success the rest may follow at once. After a failure the states wait again, ahead
of later ones, until the back-off allows another attempt; a state that was replaced meanwhile is
dropped.

Example: Alice and Bob change at 0 ms, Bob again at 60 ms. At 100 ms `take` returns Alice's state
and Bob's second state. Alice changes once more, and then the transaction fails. Now Bob's state and
Alice's newer state wait for the end of the pause.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import timedelta
from itertools import islice
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.federation.backoff import Backoff
from lamplighter.federation.edu import MAX_PUSH
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState

__all__ = ["DestinationQueue"]

#: How long states wait for others that go with them.
WINDOW: Final = timedelta(milliseconds=100)


class DestinationQueue:
    """The states that wait to be sent to one server, and the states in flight to it."""

    def __init__(self, backoff: Backoff, *, capacity: int = 10_000) -> None:
        #: Between requests; the owner of the queue restores it, and stores it for a restart.
        self.backoff = backoff
        self._capacity = capacity
        self._waiting: dict[str, UserPresenceState] = {}
        self._in_flight: dict[str, UserPresenceState] = {}
        #: Whether the states in flight are dropped if the transaction fails.
        self._gives_up = False
        #: The end of the window; None while no states wait.
        self._window_ends: Timestamp | None = None

    def __len__(self) -> int:
        """Return the number of states that wait or are in flight."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether the queue is empty and has no back-off, so that nothing is lost with it."""
        return not len(self) and self.backoff.state is None

    def put(self, states: Iterable[UserPresenceState], now: Timestamp) -> None:
        """Add *states*. Each replaces an older state of the same user that waits."""
        self._waiting.update((state.user_id, state) for state in states)
        surplus = max(0, len(self) - self._capacity)
        for user_id in list(islice(self._waiting, surplus)):
            del self._waiting[user_id]
        if self._waiting and self._window_ends is None:
            self._window_ends = after(now, WINDOW)

    def next_due(self) -> Timestamp | None:
        """Return when `take` will return states; None if no states wait or some are in flight."""
        if self._in_flight or self._window_ends is None:
            return None
        return max(self._window_ends, self.backoff.retry_at or self._window_ends)

    def take(self, now: Timestamp) -> list[UserPresenceState]:
        """Return the states to send now, at most 50; from now on they are in flight."""
        due = self.next_due()
        if due is None or now < due:
            return []
        for user_id in list(islice(self._waiting, MAX_PUSH)):
            self._in_flight[user_id] = self._waiting.pop(user_id)
        if not self._waiting:
            self._window_ends = None
        return list(self._in_flight.values())

    def take_back(self) -> set[UserId]:
        """Drop the waiting states; drop those in flight if they fail. Return the users of all."""
        users = {UserId(user_id) for user_id in (*self._in_flight, *self._waiting)}
        self._waiting = {}
        self._window_ends = None
        self._gives_up = bool(self._in_flight)
        return users

    def withdraw(self, users: AbstractSet[UserId]) -> set[UserId]:
        """Drop the states of *users*, those in flight if they fail; return whose there were."""
        dropped = {it for it in users if it in self._waiting or it in self._in_flight}
        for user_id in dropped:
            self._waiting.pop(user_id, None)
            self._in_flight.pop(user_id, None)
        if not self._waiting:
            self._window_ends = None
        return dropped

    def succeeded(self) -> None:
        """The states in flight have arrived. The rest may follow at once."""
        self._in_flight.clear()
        self._gives_up = False
        self.backoff.succeeded()

    def failed(self, now: Timestamp) -> None:
        """The states in flight wait again, ahead of the others, unless a newer state waits."""
        if not self._gives_up:
            self._waiting = {**self._in_flight, **self._waiting}
        self._in_flight, self._gives_up = {}, False
        if self._waiting:
            self._window_ends = now
        self.backoff.failed(now)
