"""Presence that the operator has switched off: clients are told once that everybody is offline.

A client that polls on would go on to show what it was told last. So each token from before is
answered with the users who may be shown by its client as anything else than offline. The tokens
that are given meanwhile have the position at the beginning: such a client shows nobody.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from lamplighter.cluster.positions import BEGINNING
from lamplighter.delivery.endings import Endings
from lamplighter.delivery.outbox import Update
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.counting import FormerRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.visibility import ModuleInterests

__all__ = ["SwitchedOff"]


class SwitchedOff:
    """Answers `/sync` from how users were stored when presence was switched off."""

    def __init__(
        self,
        planner: Planner,
        interests: ModuleInterests,
        endings: Endings,
        former_rooms: FormerRooms,
        stored: Iterable[SavedPresence],
    ) -> None:
        """*interests* and *endings* are as they were when presence was switched off."""
        self._planner = planner
        self._interests = interests
        self._endings = endings
        self._former_rooms = former_rooms
        #: By user, the position before which tokens may stand for something else than offline;
        #: None: all of them may.
        self._shown_until: dict[UserId, StreamPosition | None] = {}
        for saved in stored:
            state = saved.user.state
            is_offline = state.state == Presence.OFFLINE and not state.status_msg
            self._shown_until[UserId(state.user_id)] = saved.position if is_offline else None

    def told(self, viewer: UserId, position: StreamPosition | None) -> Sequence[Update]:
        """Return who is said to be offline to a client with a token from *position*.

        None is a token that says nothing to us. It is everybody whom rooms show to the viewer, whom
        modules named for them, and the viewer; what they are stays untold.
        """
        if position == BEGINNING:
            return ()
        interest = self._interests.last(viewer)
        if interest is not None and interest.all_users:
            shown: AbstractSet[UserId] = self._shown_until.keys()
        else:
            named = interest.named.keys() if interest else frozenset()
            shown = (self._planner.candidates(viewer) | named) & self._shown_until.keys()
        until = self._shown_until
        told = {
            it for it in shown if position is None or (last := until[it]) is None or position < last
        }
        after = BEGINNING if position is None else position
        told |= self._endings.after(viewer, after) | self._former_rooms.seen_before(viewer, after)
        return [
            Update(UserPresenceState.default(user_id), (), BEGINNING, BEGINNING)
            for user_id in sorted(told)
        ]
