"""Who cares: the users who share a room.

This index decides most of who sees whom, so a mistake here leaks presence. It holds joined
members only (an invite reveals nothing), and only of rooms that count: a room excluded by the
operator never enters it, so no path can forget the exclusion.
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
        """Take in only rooms for which *counts* says yes."""
        self._counts = counts
        #: Room to member to the position of the join, in the order of these.
        self._members: dict[RoomId, dict[UserId, StreamPosition]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}

    def joined(self, room_id: RoomId, user_id: UserId, position: StreamPosition) -> bool:
        """Take a join in, not older than those before; tell whether it counts and is new."""
        if not self._counts(room_id) or room_id in self._rooms.get(user_id, ()):
            return False
        self._members.setdefault(room_id, {})[user_id] = position
        self._rooms.setdefault(user_id, set()).add(room_id)
        return True

    def move_join(
        self, room_id: RoomId, user_id: UserId, before: StreamPosition, position: StreamPosition
    ) -> None:
        """Let the join that counted from *before* count from *position*, if it still stands.

        No join that was taken in is newer than *position*.
        """
        members = self._members.get(room_id, {})
        if members.get(user_id) == before:
            del members[user_id]  # so that it stands at the end
            members[user_id] = position

    def left(self, room_id: RoomId, user_id: UserId) -> bool:
        """Forget a member; tell whether there was one."""
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
        """Return the rooms the user is joined to, of those that count."""
        return self._rooms.get(user_id, ())

    def members(self, room_id: RoomId) -> Mapping[UserId, StreamPosition]:
        """Return who is joined to the room, and at which position each joined."""
        return self._members.get(room_id, _NOBODY)

    def neighbours(self, user_id: UserId) -> set[UserId]:
        """Return everybody who shares a room with the user; themselves only if in a room."""
        return set().union(*(self._members[room_id] for room_id in self.rooms_of(user_id)))

    def share(self, one: UserId, other: UserId) -> bool:
        """Tell whether the two share a room."""
        return not self._rooms.get(one, _NO_ROOMS).isdisjoint(self._rooms.get(other, ()))

    def met_after(self, user_id: UserId, position: StreamPosition) -> Iterator[UserId]:
        """Return everybody with whom the user shares a room that one of them joined later.

        Some may have shared another room with the user before.
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
        """Return since which position the two share a room without a break, or None.

        A join gives sight of people whose last change is older than the joiner's token.
        """
        since: StreamPosition | None = None
        for room_id in self.rooms_of(one):
            members = self._members[room_id]
            if other in members:
                together = max(members[one], members[other])
                since = together if since is None else min(since, together)
        return since
