"""Who is joined to which room, in memory: whom the news of a room concern.

News name a room, not its members. Otherwise a message in a room of 5,000 would be 90 KB of names,
stored once, sent to every node, and read there. So each node knows the members. It reads them when
it starts, and takes in every join and leave that it hears of. Who has just joined or left has news
by name.

What somebody may see does not depend on this memory: the database says so when it is read.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from lamplighter.database.adapter import Statement
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import MembershipChange

__all__ = ["ALL_JOINED", "RoomMembers"]

#: The rows that `RoomMembers.read` takes.
ALL_JOINED: Final = Statement("SELECT room_id, user_id FROM memberships WHERE membership = 'join'")

_NOBODY: Final[Collection[UserId]] = frozenset()


class RoomMembers:
    """The joined members of each room, as far as this process has heard of writes."""

    def __init__(self) -> None:
        self._members: dict[RoomId, set[UserId]] = {}

    def read(self, rows: Iterable[Sequence[Any]]) -> None:
        """Begin with the rows of `ALL_JOINED`."""
        names: dict[UserId, UserId] = {}  # of equal names one object is kept
        for room_id, user_id in rows:
            self._members.setdefault(room_id, set()).add(names.setdefault(user_id, user_id))

    def changed(self, changes: Iterable[MembershipChange]) -> None:
        """Take in joins and leaves, in their order."""
        for change in changes:
            if change.joined:
                self._members.setdefault(change.room_id, set()).add(change.user_id)
            elif (members := self._members.get(change.room_id)) is not None:
                members.discard(change.user_id)
                if not members:
                    del self._members[change.room_id]

    def of(self, room_id: RoomId) -> Collection[UserId]:
        """Return the members of the room; they change with `changed`."""
        return self._members.get(room_id, _NOBODY)

    def among(self, user_ids: frozenset[UserId], room_ids: Iterable[RoomId]) -> frozenset[UserId]:
        """Return *user_ids* and the members of the rooms."""
        return user_ids.union(*(self.of(it) for it in room_ids)) if room_ids else user_ids
