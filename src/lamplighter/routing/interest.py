"""Which users share a room, and since when.

This index decides most of who sees whom, so a mistake here reveals presence. It contains joined
members only (an invite reveals nothing), and only rooms that count: a room that the operator
excludes never enters the index, so no path can forget the exclusion. A room with too many members
is taken out of it, and its members are kept apart until it counts again (`room_sizes.py`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId, server_of

__all__ = ["SharedRooms"]

_NO_ROOMS: Final = frozenset[RoomId]()
_NO_SERVERS: Final[Mapping[ServerName, Collection[UserId]]] = MappingProxyType({})
_NOBODY: Final[Mapping[UserId, StreamPosition]] = MappingProxyType({})


class SharedRooms:
    """Rooms and their joined members, in both directions."""

    def __init__(self, counts: Callable[[RoomId], bool], home: ServerName | None = None) -> None:
        """*counts* tells whether a room enters the index.

        *home* is this server, if the servers in each room matter; None finds no servers.
        """
        self._counts = counts
        self._home = home
        #: Room to server to its members, this server's included; empty without a home.
        self._servers: dict[RoomId, dict[ServerName, dict[UserId, None]]] = {}
        #: Room to member to the position of the join; the members are in the order of positions.
        self._members: dict[RoomId, dict[UserId, StreamPosition]] = {}
        self._rooms: dict[UserId, set[RoomId]] = {}
        #: The members of rooms that would count if they had fewer.
        self._apart: dict[RoomId, dict[UserId, None]] = {}

    def counts(self, room_id: RoomId) -> bool:
        """Tell whether the room counts if it does not have too many members."""
        return self._counts(room_id)

    def apart(self, room_id: RoomId) -> Collection[UserId] | None:
        """Return the members of a room that has too many of them; None if it has not."""
        return self._apart.get(room_id)

    def cease(self, room_id: RoomId) -> Collection[UserId]:
        """Take a room that has too many members out of the index; return who was in the index."""
        members = self.take_out(room_id)
        if self._counts(room_id):
            self._apart[room_id] = dict.fromkeys(members)
        return members

    def begin(self, room_id: RoomId, position: StreamPosition) -> Collection[UserId]:
        """Take a room back into the index, where all join at *position*; return its members."""
        members = self._apart.pop(room_id, {})
        for user_id in members:
            self.joined(room_id, user_id, position)
        return members.keys()

    def take_out(self, room_id: RoomId) -> Collection[UserId]:
        """Take a room out of the index, and return who was in it."""
        members = list(self._members.get(room_id, ()))
        for user_id in members:
            self.left(room_id, user_id)
        return members

    def joined(self, room_id: RoomId, user_id: UserId, position: StreamPosition) -> bool:
        """Add a join that is not older than the others; tell whether it counts and is new."""
        if not self._counts(room_id) or room_id in self._rooms.get(user_id, ()):
            return False
        if (apart := self._apart.get(room_id)) is not None:
            apart[user_id] = None
            return False
        self._members.setdefault(room_id, {})[user_id] = position
        self._rooms.setdefault(user_id, set()).add(room_id)
        if self._home is not None:
            servers = self._servers.setdefault(room_id, {})
            servers.setdefault(server_of(user_id), {})[user_id] = None
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

    def date_back(self, position: StreamPosition) -> None:
        """Let joins later than *position* be at *position*: the clock that dated them was ahead."""
        for members in self._members.values():
            for user_id in reversed(members):
                if members[user_id] <= position:
                    break
                members[user_id] = position

    def left(self, room_id: RoomId, user_id: UserId) -> bool:
        """Remove a member; tell whether the user was one in the index."""
        self._apart.get(room_id, {}).pop(user_id, None)
        members = self._members.get(room_id, {})
        if members.pop(user_id, None) is None:
            return False
        if not members:
            del self._members[room_id]
        rooms = self._rooms[user_id]
        rooms.remove(room_id)
        if not rooms:
            del self._rooms[user_id]
        if self._home is not None:
            servers, server = self._servers[room_id], server_of(user_id)
            del servers[server][user_id]
            if not servers[server]:
                del servers[server]
            if not servers:
                del self._servers[room_id]
        return True

    def rooms_of(self, user_id: UserId) -> Iterable[RoomId]:
        """Return the rooms in the index that the user is joined to."""
        return self._rooms.get(user_id, ())

    def members(self, room_id: RoomId) -> Mapping[UserId, StreamPosition]:
        """Return the joined members of the room, each with the position of the join."""
        return self._members.get(room_id, _NOBODY)

    def servers(self, room_id: RoomId) -> Mapping[ServerName, Collection[UserId]]:
        """Return the servers in the room, this one included, each with its members."""
        return self._servers.get(room_id, _NO_SERVERS)

    @property
    def knows_servers(self) -> bool:
        """Whether other servers are found in rooms; else `servers_of` finds none."""
        return self._home is not None

    def servers_of(self, user_id: UserId) -> set[ServerName]:
        """Return the other servers that share a room with the user."""
        if self._home is None:
            return set()
        servers = set[ServerName]().union(*map(self.servers, self.rooms_of(user_id)))
        servers.discard(self._home)
        return servers

    def rooms_with(self, user_id: UserId, server_name: ServerName) -> int:
        """Return how many rooms the user and a server share."""
        return sum(server_name in self.servers(room_id) for room_id in self.rooms_of(user_id))

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
