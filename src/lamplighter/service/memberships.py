"""What joins and leaves do: a join gives both sides sight of each other, a leave ends it."""

import asyncio
from collections.abc import Iterable

from lamplighter.cluster.entries import Joined, Left
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.presence.state import Presence
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.reasons import Module
from lamplighter.service.background import Background
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.views import Views
from lamplighter.service.witness import Witness

__all__ = ["RoomVisibility"]


class RoomVisibility:
    """Lets those who come to share a room see each other, and ends that when they no longer do."""

    def __init__(
        self,
        rooms: SharedRooms,
        planner: Planner,
        feed: Feed,
        views: Views,
        background: Background,
        ends: VisibilityEnds,
        witness: Witness,
    ) -> None:
        self._rooms = rooms
        self._planner = planner
        self._feed = feed
        self._views = views
        self._background = background
        self._ends = ends
        self._witness = witness

    def joined(self, position: StreamPosition, entry: Joined) -> None:
        """Take in that a user has joined a room."""
        newcomer, room_id = entry.user_id, entry.room_id
        self._witness.moved(MembershipChange(room_id, newcomer, joined=True))
        if not self._rooms.joined(room_id, newcomer, position):
            return
        others = [member for member in self._rooms.members(room_id) if member != newcomer]
        since = self._planner.visible_since
        new_to = [member for member in others if since(newcomer, member) == position]
        seeing = [member for member in others if since(member, newcomer) == position]
        self._background.run(self._introduce(newcomer, room_id, position, new_to, seeing))

    def left(self, _position: StreamPosition, entry: Left) -> None:
        """Take in that a user has left a room.

        What has not been told yet of people who no longer share a room is taken back. What they
        were told before is taken back by telling them that it has ended.
        """
        leaver, room_id = entry.user_id, entry.room_id
        self._witness.moved(MembershipChange(room_id, leaver, joined=False))
        if not self._rooms.left(room_id, leaver):
            self._ends.left_former_room(room_id, leaver)
            return
        others = self._rooms.members(room_id).keys()
        self._unsend(leaver, others)
        for member in others & self._feed.viewers:
            self._unsend(member, (leaver,))
        self._ends.begin_to_look({leaver}, others)
        self._ends.begin_to_look(others, {leaver})

    async def _introduce(
        self,
        newcomer: UserId,
        room_id: RoomId,
        joined_at: StreamPosition,
        new_to: Iterable[UserId],
        seeing: Iterable[UserId],
    ) -> None:
        await asyncio.gather(
            self._views.introduce({newcomer}, new_to), self._views.introduce(seeing, {newcomer})
        )
        # While modules thought, tokens may have passed the join without hearing of it.
        self._rooms.move_join(room_id, newcomer, joined_at, self._feed.position)

    def _unsend(self, viewer: UserId, users: Iterable[UserId]) -> None:
        outbox = self._feed.outbox(viewer)
        if outbox is None:
            return
        for user_id in users:
            update = outbox.last(user_id)
            if update is None or _may_still_be_told(update):
                continue
            if not self._planner.reasons(viewer, user_id):
                outbox.drop(user_id)


def _may_still_be_told(update: Update) -> bool:
    """Tell whether an update stands although its people no longer share a room.

    It does by a module's word; and somebody who went offline is not to be left standing there.
    """
    gone = update.state.state == Presence.OFFLINE and not update.state.status_msg
    return gone or any(isinstance(why, Module) for why in update.reasons)
