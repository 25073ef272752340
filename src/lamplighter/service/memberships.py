"""Joins and leaves: a join makes both sides visible to each other, and a leave ends that.

Where a whole room begins or ceases to count, the outboxes of its members begin anew, and each is
answered from scratch. To tell each member of each other one, at once, would take the square of
their number.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from lamplighter.clock import next_turn
from lamplighter.cluster.entries import BeganToCount, CeasedToCount, Joined, Left
from lamplighter.delivery.feed import Feed
from lamplighter.delivery.outbox import Update
from lamplighter.delivery.unsettled import Unsettled
from lamplighter.ids import RoomId, StreamPosition, UserId, server_of
from lamplighter.ports import MembershipChange
from lamplighter.presence.state import Presence
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Planner
from lamplighter.routing.reasons import Module
from lamplighter.service.background import Background, Burst
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.room_servers import RoomServers
from lamplighter.service.roster import Roster
from lamplighter.service.views import Views
from lamplighter.service.visibility_memory import VisibilityMemory
from lamplighter.service.witness import Witness

__all__ = ["RoomVisibility", "entries_of"]

#: So many pairs take about twenty milliseconds.
_TOLD_AT_ONCE: Final = 4_000


@dataclass(eq=False)
class RoomVisibility:
    """Delivers to users who have come to share a room; takes back unread updates at a leave."""

    rooms: SharedRooms
    planner: Planner
    feed: Feed
    views: Views
    roster: Roster
    background: Background
    ends: VisibilityEnds
    witness: Witness
    servers: RoomServers
    memory: VisibilityMemory
    unsettled: Unsettled
    #: The users who are told of joins, and of whom, in this cycle of the event loop.
    _burst: Burst = field(init=False, default_factory=lambda: Burst(_TOLD_AT_ONCE))

    def joined(self, position: StreamPosition, entry: Joined) -> None:
        """Take in that a user has joined a room."""
        newcomer, room_id = entry.user_id, entry.room_id
        self.witness.moved(MembershipChange(room_id, newcomer, joined=True))
        if not self.rooms.joined(room_id, newcomer, position):
            return
        self.servers.joined(room_id, newcomer)
        since = self.planner.visible_since
        self._show(position, entry, lambda viewer, user_id: since(viewer, user_id) == position)

    def joined_before(self, position: StreamPosition, entry: Joined) -> None:
        """Take in that a member of a room counts as new from *position* on.

        They are new to all others of the room: of users who share another room, too, it may not
        have been heard yet since when they do.
        """
        joined_at = self.rooms.members(entry.room_id)[entry.user_id]
        if joined_at < position:
            self.rooms.move_join(entry.room_id, entry.user_id, joined_at, position)
            self._show(position, entry, lambda _viewer, _user_id: True)

    def _show(
        self, position: StreamPosition, entry: Joined, is_new: Callable[[UserId, UserId], bool]
    ) -> None:
        """Deliver at *position* to users who share a room; *is_new* tells who is new to whom."""
        newcomer, room_id = entry.user_id, entry.room_id
        # Most members of a large room are neither connected nor known: they cost nothing here.
        members = self.rooms.members(room_id)
        new_to, seeing = [], []
        if newcomer in self.feed.viewers:
            known = [it for it in members if self.roster.knows(it) and it != newcomer]
            new_to = [it for it in known if is_new(newcomer, it)]
        if self.roster.knows(newcomer):
            viewers = members.keys() & self.feed.viewers.keys() - {newcomer}
            seeing = [it for it in viewers if is_new(it, newcomer)]
        if new_to or seeing:
            told = frozenset((*seeing, newcomer) if new_to else seeing)
            cycles = self._burst.cycles(len(new_to) + len(seeing))
            work = self._deliver_both(newcomer, room_id, position, new_to, seeing, cycles)
            self.unsettled.until_done(self.background.run(work), told, position)

    def left(self, _position: StreamPosition, entry: Left) -> None:
        """Take in that users have left a room.

        Updates between users who no longer share a room are taken out of the outboxes. Where an
        update has reached its client, the client is told that visibility has ended.
        """
        room_id = entry.room_id
        for leaver in entry.user_ids:
            self.witness.moved(MembershipChange(room_id, leaver, joined=False))
        leavers = {it for it in entry.user_ids if self.rooms.left(room_id, it)}
        if not leavers:
            self.ends.left_former_room(room_id, entry.user_ids)
            return
        self.servers.left(room_id, leavers)
        others = self.rooms.members(room_id).keys()
        if watching := leavers & self.feed.viewers.keys():
            everybody = others | leavers
            for leaver in watching:
                self._unsend(leaver, everybody)
        known = set(filter(self.roster.knows, leavers))
        for member in others & self.feed.viewers.keys() if known else ():
            self._unsend(member, known)
        self.left_before(leavers, others)

    def left_before(self, leavers: AbstractSet[UserId], others: AbstractSet[UserId]) -> None:
        """Take in that *leavers* have left a room, in which *others* stay; the index says so.

        When the last of our users leaves a large room, all of its members leave at once. Nobody
        has seen most of them: they cost nothing here.
        """
        if not others and len(leavers) == 1:
            return
        local = [it for it in leavers if server_of(it) == self.ends.server_name]
        if local:
            self.ends.begin_to_look(local, others | leavers if len(leavers) > 1 else others)
        known = list(filter(self.roster.knows, leavers))
        if others and known:
            self.ends.begin_to_look(others, known)

    def ceased(self, position: StreamPosition, entry: CeasedToCount) -> None:
        """Take in that a room is about to have too many members to count."""
        room_id = entry.room_id
        if self.rooms.counts(room_id):
            members = self.rooms.cease(room_id)
            self.ends.room_ceased(room_id, members, position)
            self.servers.parted(members)
            self.memory.room_counts(room_id, counts=False, position=position)
            self.feed.renew(set(members))

    def began(self, position: StreamPosition, entry: BeganToCount) -> None:
        """Take in that a room counts again."""
        room_id = entry.room_id
        if self.rooms.counts(room_id):
            members = self.rooms.begin(room_id, position)
            self.ends.room_began(room_id)
            self.servers.met(room_id)
            self.memory.room_counts(room_id, counts=True, position=position)
            self.feed.renew(set(members))

    async def _deliver_both(
        self,
        newcomer: UserId,
        room_id: RoomId,
        joined_at: StreamPosition,
        new_to: Iterable[UserId],
        seeing: Iterable[UserId],
        cycles: int,
    ) -> None:
        for _ in range(cycles):
            await next_turn()
        await asyncio.gather(
            self.views.deliver_states({newcomer}, new_to),
            self.views.deliver_states(seeing, {newcomer}),
        )
        # While modules thought, tokens may have passed the join without having heard of it.
        self.rooms.move_join(room_id, newcomer, joined_at, self.feed.position)

    def _unsend(self, viewer: UserId, users: AbstractSet[UserId]) -> None:
        outbox = self.feed.outbox(viewer)
        if outbox is None:
            return
        for user_id, update in outbox.last_of(users):
            if not _may_still_be_told(update) and not self.planner.reasons(viewer, user_id):
                outbox.drop(user_id)


def entries_of(changes: Iterable[MembershipChange]) -> Iterator[Joined | Left]:
    """Yield *changes* in their order: users who leave one room one after the other leave together.

    Where all leave a room, the modules are asked once.
    """
    for (room_id, joined), some in groupby(changes, lambda it: (it.room_id, it.joined)):
        users = tuple(it.user_id for it in some)
        if joined:
            yield from (Joined(room_id, user_id) for user_id in users)
        else:
            yield Left(room_id, users)


def _may_still_be_told(update: Update) -> bool:
    """Tell whether an update stays although viewer and user share no room any more.

    It does if a module is a reason; and a viewer is told of a user who went offline in any case.
    """
    gone = update.state.state == Presence.OFFLINE and not update.state.status_msg
    return gone or any(isinstance(why, Module) for why in update.reasons)
