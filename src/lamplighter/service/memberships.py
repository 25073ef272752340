"""What joins and leaves do: a join gives both sides sight of each other, a leave ends it."""

import asyncio
from collections.abc import Iterable, Sequence

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
from lamplighter.service.publisher import Publisher
from lamplighter.service.views import Views
from lamplighter.service.witness import Witness

__all__ = ["Memberships"]


class Memberships:
    """Lets those who come to share a room see each other, and ends that when they no longer do."""

    def __init__(
        self,
        rooms: SharedRooms,
        planner: Planner,
        feed: Feed,
        publisher: Publisher,
        views: Views,
        background: Background,
        ends: VisibilityEnds,
        witness: Witness,
    ) -> None:
        self._rooms = rooms
        self._planner = planner
        self._feed = feed
        self._publisher = publisher
        self._views = views
        self._background = background
        self._ends = ends
        self._witness = witness

    def change(self, changes: Sequence[MembershipChange]) -> None:
        """Take in *changes*, in their order."""
        for change in changes:
            self._witness.moved(change)
            if change.joined:
                self._joined(change)
            elif self._rooms.left(change.room_id, change.user_id):
                self._left(change)
            else:
                self._ends.left_former_room(change.room_id, change.user_id)

    def _joined(self, change: MembershipChange) -> None:
        newcomer, room_id = change.user_id, change.room_id
        position = self._publisher.advance()
        if not self._rooms.joined(room_id, newcomer, position):
            return
        others = [member for member in self._rooms.members(room_id) if member != newcomer]
        since = self._planner.visible_since
        new_to = [member for member in others if since(newcomer, member) == position]
        seeing = [member for member in others if since(member, newcomer) == position]
        self._background.run(self._introduce(newcomer, room_id, position, new_to, seeing))

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

    def _left(self, change: MembershipChange) -> None:
        """Take back what has not been told yet of people who no longer share a room.

        What they were told before is taken back by telling them that it has ended.
        """
        leaver, others = change.user_id, self._rooms.members(change.room_id).keys()
        self._unsend(leaver, others)
        for member in others & self._feed.viewers:
            self._unsend(member, (leaver,))
        self._ends.begin_to_look({leaver}, others)
        self._ends.begin_to_look(others, {leaver})

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
