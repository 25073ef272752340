"""The roster: each user's state, as the stream has it, and where in the stream it changed.

The consumer of the stream writes it, and nobody else; everybody reads it. It stands beside the
`PresenceTracker`, which holds devices and timers, and which only the owner of a user reads: a
state that is decided, and not in the stream yet, is in the tracker and not here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from lamplighter.cluster.positions import BEGINNING
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.state import UserPresenceState

__all__ = ["KnownUser", "Roster"]


class KnownUser(msgspec.Struct, frozen=True, gc=False):
    """What the stream has said of a user: a first sync takes all of it of thousands at once."""

    state: UserPresenceState
    #: The position of the last change; the beginning, if the user never changed.
    changed: StreamPosition = BEGINNING
    #: Tokens from before this position may not have heard of it: it is later than *changed* if a
    #: module has answered late.
    told: StreamPosition = BEGINNING


class Roster:
    """User to state, position of the last change, and position at which it was told.

    Positions never go back: each change is told after all that were told before.
    """

    def __init__(self, saved: Iterable[SavedPresence] = ()) -> None:
        """*saved* is what was known before a restart."""
        self._known: dict[UserId, KnownUser] = {}
        #: Who has changed, in the order in which the changes were told.
        self._told: dict[UserId, StreamPosition] = {}
        for it in sorted(saved, key=lambda it: it.position):
            self.changed(it.user.state, it.position)

    # --- what everybody reads -------------------------------------------------------------

    def get(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence; that of an unknown user is the default one."""
        return self.last(user_id).state

    def knows(self, user_id: UserId) -> bool:
        """Tell whether the user was ever heard of."""
        return user_id in self._known

    def known(self) -> Sequence[UserPresenceState]:
        """Return the presence of everybody who was ever heard of."""
        return [known.state for known in self._known.values()]

    def everybody(self) -> Mapping[UserId, KnownUser]:
        """Return `last` of everybody who was ever heard of, as of now."""
        return self._known.copy()

    def known_of(self, user_ids: Iterable[UserId]) -> dict[UserId, UserPresenceState]:
        """Return the presence of those of *user_ids* who were ever heard of."""
        return {user_id: known.state for user_id, known in self.last_of(user_ids).items()}

    def last(self, user_id: UserId) -> KnownUser:
        """Return the user's presence and last change; of an unknown user, that there is none."""
        return self._known.get(user_id) or KnownUser(UserPresenceState.default(user_id))

    def last_of(self, user_ids: Iterable[UserId]) -> dict[UserId, KnownUser]:
        """Return `last` of those of *user_ids* who were ever heard of."""
        get = self._known.get
        return {user_id: known for user_id in user_ids if (known := get(user_id)) is not None}

    def has_changed_since(self, user_id: UserId, position: StreamPosition) -> bool:
        """Tell whether the user's last change is after *position*."""
        return self.last(user_id).changed > position

    def told_after(self, position: StreamPosition) -> Iterator[UserId]:
        """Return whose changes were told after *position*, the newest first.

        The work is in proportion to how many there are.
        """
        for user_id, told in reversed(self._told.items()):
            if told <= position:
                return
            yield user_id

    # --- what the consumer of the stream writes -------------------------------------------

    def changed(self, state: UserPresenceState, position: StreamPosition) -> None:
        """Take in a change at *position*."""
        self._put(UserId(state.user_id), KnownUser(state, position, position))

    def refreshed(self, state: UserPresenceState) -> None:
        """Take in a state in which nothing that is announced differs."""
        user_id = UserId(state.user_id)
        self._known[user_id] = replace(self.last(user_id), state=state)

    def told_late(self, user_id: UserId, position: StreamPosition) -> None:
        """Take in that the known user's last change is told at the later *position*, to some."""
        self._put(user_id, replace(self._known[user_id], told=position))

    def forget(self, user_id: UserId) -> None:
        """Forget that the user was ever heard of."""
        self._known.pop(user_id, None)
        self._told.pop(user_id, None)

    def _put(self, user_id: UserId, known: KnownUser) -> None:
        self._known[user_id] = known
        self._told.pop(user_id, None)  # so that it stands at the end
        self._told[user_id] = known.told
