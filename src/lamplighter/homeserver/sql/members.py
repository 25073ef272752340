"""Who is joined to which room, in memory: whom the news of a room concern.

News name a room, not its members. Otherwise a message in a room of 5,000 would be 90 KB of names,
stored once, sent to every node, and read there. So each node knows the members. It begins with
those whom its presence reads at the start, and takes in every join and leave that it hears of. Who
has just joined or left has news by name. A command tells nobody any news, and reads no members.

What somebody may see does not depend on this memory: the database says so when it is read.
"""

from collections.abc import Collection, Iterable
from typing import Final

from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember, MembershipChange

__all__ = ["RoomMembers"]

_NOBODY: Final[Collection[UserId]] = frozenset()


class RoomMembers:
    """The joined members of each room, as far as this process has heard of writes."""

    def __init__(self) -> None:
        self._members: dict[RoomId, set[UserId]] = {}

    def begin(self, members: Iterable[JoinedMember]) -> None:
        """Know these *members*, and nobody else."""
        self._members.clear()
        for member in members:
            self._members.setdefault(member.room_id, set()).add(member.user_id)

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
