"""Joins and leaves that were told around the start of a node.

A node that starts reads from the database who is joined where. It knows who has joined and who has
left, and not when the other nodes were told of it. A client may come with a token from before that:

    alice polls at node a, until position 7
    8   bob has left the room: node a notes that alice is to be told
    9   node b starts; by the database, bob is not in the room
    node a dies; alice comes to node b with the token 7, and shows bob

So node b goes through what was written shortly before its start, the newest first: that says who
was in a room when somebody left it. Whoever has left is told of, and whoever has joined counts as
new from the start on. The log has told it, or the database has kept it: the log may have lost its
data since, and all nodes may have ended before one of them told. What was stored before the start,
and is told after it, counts from where it is told. A client may be told again what it knows.

A node that comes to a log that has lost its data, and finds something in the database, tells it
there: clients may have tokens that this log has given.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.cluster.entries import HomeserverNews, Joined, Left, VisibilityEnded
from lamplighter.cluster.positions import at_time, instant_of
from lamplighter.errors import ClusterUnavailable
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import Hearing, MembershipChange
from lamplighter.routing.interest import SharedRooms
from lamplighter.service.deliverer import Deliverer
from lamplighter.service.memberships import RoomVisibility, entries_of

__all__ = ["Resuming"]

#: What is stored is told so soon, or never, even if whoever has stored it is dead, and others were
#: cut off: the homeserver keeps it no longer.
_TOLD_WITHIN: Final = timedelta(minutes=10)


@dataclass(eq=False)
class Resuming:
    """Takes in joins and leaves that the index of rooms has had from the start on."""

    rooms: SharedRooms
    memberships: RoomVisibility
    deliverer: Deliverer
    hearing: Hearing | None
    #: Where this node goes on in the stream: at something that may have been told long ago.
    position: StreamPosition
    #: When the node starts, by the clock of all nodes.
    now: Timestamp
    _until: StreamPosition = field(init=False)
    #: Who has left which room by what was told shortly before the start, or since. Of two of them
    #: the index may never have had one when the other left.
    _have_left: dict[RoomId, set[UserId]] = field(init=False)
    #: What this node has heard from the database, and has to tell in the log.
    _untold: list[bytes] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._begin(self.position, self.now)

    async def resume(
        self, told: Mapping[StreamPosition, bytes], ended: Sequence[VisibilityEnded]
    ) -> None:
        """Take in what was written lately, and what the log has *told*, before anybody is answered.

        A join is dated by the clock of the nodes. Where that was set back meanwhile, a join would
        be later than all that is told next, and no token would come before it.

        Raises `StorageUnavailable`.
        """
        self.rooms.date_back(self.position)
        for entry in ended:
            self.memberships.ends.ended(self.position, entry)
        news = await self._kept(told)
        # A token that ends with the record of a join may be from before its node has told of it.
        is_newest = self.position in told
        self._go_through(self.deliverer.advance() if is_newest else self.position, news)

    def heard(self, position: StreamPosition, news: bytes) -> None:
        """Take in what is told at *position*, and let the homeserver hear it."""
        if position <= self._until:
            self._take_in(news)
        else:
            self._have_left = {}
        if self.hearing is not None:
            self.hearing.heard(position, news)

    async def log_lost(self, position: StreamPosition, now: Timestamp) -> None:
        """Hear what is stored and unheard: the log has lost its data, and begins at *position*.

        As at a start, other nodes may have heard it later, or not yet, and have given tokens before
        that. So it counts from where the log tells it. What was to be told a moment after the start
        may have been told in what is lost. Raises `StorageUnavailable`.
        """
        has_just_begun = position <= self._until
        self._begin(position, now)
        if has_just_begun:
            self._go_through(position, await self._kept({}))
        if self.hearing is not None:
            self._untold += await self.hearing.stream_lost()

    def tell_untold(self) -> None:
        """Tell in the log what this node has heard from the database: nobody else may do that.

        Clients may have tokens that are later than the beginning of the log, where it was heard.
        """
        untold, self._untold = self._untold, []
        for news in untold:
            self.deliverer.stream.append(HomeserverNews(news), lost=partial(self._is_lost, news))

    def _is_lost(self, news: bytes, _error: ClusterUnavailable) -> None:
        self._untold.append(news)

    def _begin(self, position: StreamPosition, now: Timestamp) -> None:
        """Expect to be told what is stored by *now*; this node goes on at *position*."""
        since = max(now, instant_of(position))
        self._until = at_time(after(since, _TOLD_WITHIN))
        self._have_left = {}

    async def _kept(self, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return () if self.hearing is None else await self.hearing.kept(told)

    def _go_through(self, position: StreamPosition, news: Sequence[bytes]) -> None:
        """Take in *news*, which are in their order and in the index, at *position*."""
        changes = list(_new(change for told in news for change in self._read(told)))
        for room_id, leavers, others in self._leaves(changes):
            self.memberships.left_before(leavers, others)
            self._have_left.setdefault(room_id, set()).update(leavers)
        for change in changes:
            if change.joined and self._is_known(change):
                joined = Joined(change.room_id, change.user_id)
                self.memberships.joined_before(position, joined)

    def _take_in(self, news: bytes) -> None:
        for entry in entries_of(self._read(news)):
            members = self.rooms.members(entry.room_id).keys()
            if isinstance(entry, Left):
                # Whoever has left earlier saw these users: the index may have had neither.
                have_left = self._have_left.setdefault(entry.room_id, set())
                have_left.update(entry.user_ids)
                leavers = set(entry.user_ids) - members
                self.memberships.left_before(leavers, (members | have_left) - leavers)
            elif entry.user_id in members:
                self.memberships.joined_before(self.deliverer.advance(), entry)

    def _read(self, news: bytes) -> Sequence[MembershipChange]:
        return () if self.hearing is None else self.hearing.memberships_in(news)

    def _is_known(self, change: MembershipChange) -> bool:
        """Tell whether the index is as *change* says."""
        return change.joined == (change.user_id in self.rooms.members(change.room_id))

    def _leaves(
        self, changes: Sequence[MembershipChange]
    ) -> Iterator[tuple[RoomId, AbstractSet[UserId], AbstractSet[UserId]]]:
        """Yield who left which room together, the newest first, with who stayed in it then.

        That is to be looked at before the next one: the members of a large room are not copied.
        """
        inside: dict[RoomId, set[UserId]] = {}
        for entry in reversed([*entries_of(changes)]):
            members = inside.get(entry.room_id)
            if members is None:
                members = inside[entry.room_id] = {*self.rooms.members(entry.room_id)}
            if isinstance(entry, Left):
                leavers = frozenset(entry.user_ids)
                members -= leavers
                yield entry.room_id, leavers, members
                members |= leavers
            else:
                members.discard(entry.user_id)


def _new(changes: Iterable[MembershipChange]) -> Iterator[MembershipChange]:
    """Yield *changes* but those that repeat one: several nodes may find out the same."""
    joined: dict[tuple[RoomId, UserId], bool] = {}
    for change in changes:
        membership = change.room_id, change.user_id
        if joined.get(membership) is not change.joined:
            joined[membership] = change.joined
            yield change
