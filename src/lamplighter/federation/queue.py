"""What one other server is to be told: pure, with the time as an argument."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

from lamplighter.clock import Timestamp, after
from lamplighter.federation.backoff import Backoff
from lamplighter.federation.edu import MAX_PUSH
from lamplighter.ids import UserId
from lamplighter.ports import BackoffState
from lamplighter.presence.state import UserPresenceState

__all__ = ["DestinationQueue"]


class DestinationQueue:
    """The newest state of each user that a server is still to be told, in order of arrival.

    States wait for *window* so that those which come together go together, and for as long as
    *backoff* says. At most *capacity* users wait, those in flight included; beyond that the one
    who has waited longest is dropped.

    One transaction is in flight at a time: `take` begins it, `succeeded` or `failed` ends it.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        window: timedelta = timedelta(milliseconds=100),
        capacity: int = 10_000,
    ) -> None:
        self._backoff = backoff
        self._window = window
        self._capacity = capacity
        self._waiting: dict[str, UserPresenceState] = {}
        self._in_flight: dict[str, UserPresenceState] = {}
        #: Whether what is in flight is not to be tried again, should it fail.
        self._gives_up = False
        #: When the window closes of those who wait; None while nobody does.
        self._window_ends: Timestamp | None = None

    def __len__(self) -> int:
        """Return how many states are kept."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to say, to await, or to remember: it may be dropped."""
        return not len(self) and self._backoff.state is None

    @property
    def backoff_state(self) -> BackoffState | None:
        """What to keep over a restart; None while the server answers."""
        return self._backoff.state

    def restore(self, state: BackoffState, now: Timestamp) -> None:
        """Continue the back-off from before a restart."""
        self._backoff.restore(state, now)

    def put(self, states: Iterable[UserPresenceState], now: Timestamp) -> None:
        """Let *states* wait, each in the place of an older one of that user, if one waits."""
        self._waiting.update((state.user_id, state) for state in states)
        self._trim()
        if self._waiting and self._window_ends is None:
            self._window_ends = after(now, self._window)

    def next_due(self) -> Timestamp | None:
        """Return when `take` has something to give; None while it has not, however long one waits.

        So it is while a transaction is in flight.
        """
        if self._in_flight or self._window_ends is None:
            return None
        return max(self._window_ends, self._backoff.retry_at or self._window_ends)

    def take(self, now: Timestamp) -> list[UserPresenceState]:
        """Return what to send now, as much as one EDU holds: it is in flight then."""
        due = self.next_due()
        if due is None or now < due:
            return []
        for user_id in list(islice(self._waiting, MAX_PUSH)):
            self._in_flight[user_id] = self._waiting.pop(user_id)
        if not self._waiting:
            self._window_ends = None
        return list(self._in_flight.values())

    def take_back(self) -> set[UserId]:
        """Forget who waits, and who is in flight should that fail; return who all these are."""
        users = {UserId(user_id) for user_id in (*self._in_flight, *self._waiting)}
        self._waiting = {}
        self._window_ends = None
        self._gives_up = bool(self._in_flight)
        return users

    def succeeded(self) -> None:
        """What was in flight has arrived; the rest may go at once."""
        self._in_flight.clear()
        self._gives_up = False
        self._backoff.succeeded()

    def failed(self, now: Timestamp) -> None:
        """Let what was in flight wait again, first in line, unless something newer of it waits."""
        if not self._gives_up:
            self._waiting = {**self._in_flight, **self._waiting}
        self._in_flight, self._gives_up = {}, False
        if self._waiting:
            self._window_ends = now
        self._backoff.failed(now)

    def heard(self, now: Timestamp) -> None:
        """The server has spoken to us: if it is left alone, then not for long any more."""
        self._backoff.heard(now)

    def _trim(self) -> None:
        surplus = max(0, len(self) - self._capacity)
        for user_id in list(islice(self._waiting, surplus)):
            del self._waiting[user_id]
