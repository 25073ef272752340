"""Which users share a room, and since when.

This index decides most of who sees whom, so a mistake here reveals presence. It contains joined
members only (an invite reveals nothing), and only rooms that count: a room that the operator
excludes never enters the index, so no path can forget the exclusion.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lamplighter.ids import RoomId, StreamPosition, UserId

__all__ = ["SharedRooms"]

_NO_ROOMS: Final = frozenset[RoomId]()
_NOBODY: Final[Mapping[UserId, StreamPosition]] = MappingProxyType({})


class SharedRooms:
    """Rooms and their joined members, in both directions."""

    def __init__(self, counts: Callable[[RoomId], bool]) -> None:
        """*counts* tells whether a room enters the index."""
        self._counts = counts
        #: Room to member to the position of the join; the members are in the order of positions.
        self._members: dict[RoomId, dict[UserId, StreamPosition]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}

    def joined(self, room_id: RoomId, user_id: UserId, position: StreamPosition) -> bool:
        """Add a join that is not older than the others; tell whether it counts and is new."""
        if not self._counts(room_id) or room_id in self._rooms.get(user_id, ()):
            return False
        self._members.setdefault(room_id, {})[user_id] = position
        self._rooms.setdefault(user_id, set()).add(room_id)
        return True

    def move_join(
        self, room_id: RoomId, user_id: UserId, before: StreamPosition, position: StreamPosition
    ) -> None:
        """Move the join at position *before* to *position*, unless the user has left meanwhile.

        No join in the index is newer than *position*.
        """
        members = self._members.get(room_id, {})
        if members.get(user_id) == before:
            del members[user_id]  # to keep the order of positions
            members[user_id] = position

    def left(self, room_id: RoomId, user_id: UserId) -> bool:
        """Remove a member; tell whether the user was one."""
        members = self._members.get(room_id, {})
        if members.pop(user_id, None) is None:
            return False
        if not members:
            del self._members[room_id]
        rooms = self._rooms[user_id]
        rooms.remove(room_id)
        if not rooms:
            del self._rooms[user_id]
        return True

    def rooms_of(self, user_id: UserId) -> Iterable[RoomId]:
        """Return the rooms in the index that the user is joined to."""
        return self._rooms.get(user_id, ())

    def members(self, room_id: RoomId) -> Mapping[UserId, StreamPosition]:
        """Return the joined members of the room, each with the position of the join."""
        return self._members.get(room_id, _NOBODY)

    def neighbours(self, user_id: UserId) -> set[UserId]:
        """Return all users who share a room with the user, the user included if in any room."""
        return set().union(*(self._members[room_id] for room_id in self.rooms_of(user_id)))

    def share(self, one: UserId, other: UserId) -> bool:
        """Tell whether two users share a room."""
        return not self._rooms.get(one, _NO_ROOMS).isdisjoint(self._rooms.get(other, ()))

    def met_after(self, user_id: UserId, position: StreamPosition) -> Iterator[UserId]:
        """Return the members of the user's rooms where the user's or their join is later.

        Some of them may have shared another room with the user before.
        """
        for room_id in self.rooms_of(user_id):
            members = self._members[room_id]
            if members[user_id] > position:
                yield from members
                continue
            for member, joined_at in reversed(members.items()):
                if joined_at <= position:
                    break
                yield member

    def shared_since(self, one: UserId, other: UserId) -> StreamPosition | None:
        """Return since which position two users share a room without a break; None if they do not.

        A join makes users visible whose last change is older than the viewer's token.
        """
        since: StreamPosition | None = None
        for room_id in self.rooms_of(one):
            members = self._members[room_id]
            if other in members:
                together = max(members[one], members[other])
                since = together if since is None else min(since, together)
        return since
