"""The roster: each user's state, as the stream has it, and where in the stream it changed.

The consumer of the stream writes it, and nobody else; everybody reads it. It stands beside the
`PresenceTracker`, which holds devices and timers, and which only the owner of a user reads: a
state that is decided, and not in the stream yet, is in the tracker and not here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from lamplighter.cluster.positions import BEGINNING
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.state import UserPresenceState

__all__ = ["LastChange", "Roster"]


class LastChange(NamedTuple):
    """Where in the stream a user last changed."""

    #: The position of the change.
    changed: StreamPosition
    #: Tokens from before this position may not have heard of it: it is later than *changed* if a
    #: module has answered late.
    told: StreamPosition


_NEVER: Final = LastChange(BEGINNING, BEGINNING)


class Roster:
    """User to state, position of the last change, and position at which it was told.

    Positions never go back: each change is told after all that were told before.
    """

    def __init__(self, saved: Iterable[SavedPresence] = ()) -> None:
        """*saved* is what was known before a restart."""
        self._states: dict[UserId, UserPresenceState] = {}
        #: In the order in which the changes were told.
        self._last: dict[UserId, LastChange] = {}
        for it in sorted(saved, key=lambda it: it.position):
            self.changed(it.user.state, it.position)

    # --- what everybody reads -------------------------------------------------------------

    def get(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence; that of an unknown user is the default one."""
        return self._states.get(user_id) or UserPresenceState.default(user_id)

    def knows(self, user_id: UserId) -> bool:
        """Tell whether the user was ever heard of."""
        return user_id in self._states

    def known(self) -> Sequence[UserPresenceState]:
        """Return the presence of everybody who was ever heard of."""
        return list(self._states.values())

    def known_of(self, user_ids: Iterable[UserId]) -> dict[UserId, UserPresenceState]:
        """Return the presence of those of *user_ids* who were ever heard of."""
        states = self._states
        return {user_id: states[user_id] for user_id in user_ids if user_id in states}

    def last(self, user_id: UserId) -> LastChange:
        """Return the user's last change; for a user who never changed, the beginning."""
        return self._last.get(user_id, _NEVER)

    def last_of_each(self, user_ids: Iterable[UserId]) -> list[LastChange]:
        """Return the last change of each, in their order: a first sync asks for thousands."""
        get = self._last.get
        return [get(user_id, _NEVER) for user_id in user_ids]

    def has_changed_since(self, user_id: UserId, position: StreamPosition) -> bool:
        """Tell whether the user's last change is after *position*."""
        return self._last.get(user_id, _NEVER).changed > position

    def told_after(self, position: StreamPosition) -> Iterator[UserId]:
        """Return whose changes were told after *position*, the newest first.

        The work is in proportion to how many there are.
        """
        for user_id, last in reversed(self._last.items()):
            if last.told <= position:
                return
            yield user_id

    # --- what the consumer of the stream writes -------------------------------------------

    def changed(self, state: UserPresenceState, position: StreamPosition) -> None:
        """Take in a change at *position*."""
        user_id = UserId(state.user_id)
        self._states[user_id] = state
        self._put(user_id, LastChange(position, position))

    def refreshed(self, state: UserPresenceState) -> None:
        """Take in a state in which nothing that is announced differs."""
        self._states[UserId(state.user_id)] = state

    def told_late(self, user_id: UserId, position: StreamPosition) -> None:
        """Take in that the user's last change is told at the later *position*, to some."""
        self._put(user_id, LastChange(self.last(user_id).changed, position))

    def forget(self, user_id: UserId) -> None:
        """Forget that the user was ever heard of."""
        self._states.pop(user_id, None)
        self._last.pop(user_id, None)

    def _put(self, user_id: UserId, last: LastChange) -> None:
        self._last.pop(user_id, None)  # so that it stands at the end
        self._last[user_id] = last
