"""Which rooms count, and since when.

A room that counts makes its members visible to each other. `routing.shared_rooms`,
`routing.exclude_rooms` and the number of members (`room_sizes.py`) decide which rooms count. An
operator changes the keys by a restart, and clients go on to show what they got before it. The
number of members changes while the server runs. So the server remembers, for each room, the
position at which the room last began or ceased to count. A client with a token from before that
position must learn:

- if the room has ceased to count, its members are no longer visible to each other by it;
- if the room has begun to count, its members are news to each other.

Most rooms have always counted, or never: one entry stands for all rooms that the configuration
does not name, and whose number of members has never mattered.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.routing.interest import SharedRooms

__all__ = ["MOST_ROOMS", "Counting", "CountingRooms", "FormerRooms"]

#: At most this many rooms are remembered besides those that are excluded now.
MOST_ROOMS: Final = 10_000

_BEGINNING: Final = StreamPosition(0)


class Counting(msgspec.Struct, frozen=True):
    """Whether a room counts, and the position since which this has been so."""

    counts: bool
    since: StreamPosition = _BEGINNING

    def next(self, *, counts: bool, position: StreamPosition) -> "Counting":
        """Return the value from *position* on."""
        return self if self.counts == counts else Counting(counts, position)


class CountingRooms(msgspec.Struct, frozen=True):
    """Whether each room counts, and since when."""

    #: All rooms that are not in `rooms`.
    others: Counting
    rooms: Mapping[RoomId, Counting]

    @classmethod
    def always(cls, *, shared_rooms: bool, excluded: AbstractSet[RoomId]) -> "CountingRooms":
        """Return the rooms that count if the configuration has always been the same."""
        hidden = Counting(counts=False)
        return cls(Counting(shared_rooms), dict.fromkeys(excluded, hidden) if shared_rooms else {})

    def of(self, room_id: RoomId) -> Counting:
        """Return whether the room counts, and since when."""
        return self.rooms.get(room_id, self.others)

    def next(
        self, *, shared_rooms: bool, excluded: AbstractSet[RoomId], position: StreamPosition
    ) -> "CountingRooms":
        """Return the rooms that count from *position* on, by another configuration.

        *excluded* are those that do not, whatever the reason.
        """
        others = self.others.next(counts=shared_rooms, position=position)
        rooms = {}
        for room_id in {*self.rooms, *excluded}:
            counts = shared_rooms and room_id not in excluded
            counting = self.of(room_id).next(counts=counts, position=position)
            if counting != others:
                rooms[room_id] = counting
        included = sorted(rooms.keys() - excluded, key=lambda room_id: rooms[room_id].since)
        for room_id in included[:-MOST_ROOMS]:
            del rooms[room_id]
        return CountingRooms(others, rooms)


class FormerRooms:
    """Rooms that have ceased to count, with the members who saw each other by them."""

    def __init__(self) -> None:
        #: In the place of the position of a join stands until when tokens may show the user.
        self._rooms = SharedRooms(lambda _room_id: True)
        #: The last of these positions in each room.
        self._ended: dict[RoomId, StreamPosition] = {}

    def joined(self, room_id: RoomId, user_id: UserId, ended: StreamPosition) -> None:
        """Add a member of a room that has ceased to count.

        Tokens from before *ended* may stand for something else than that the user is offline.
        """
        self._ended[room_id] = max(ended, self._ended.get(room_id, _BEGINNING))
        self._rooms.joined(room_id, user_id, ended)

    def forget(self, room_id: RoomId) -> None:
        """Forget a room that counts again: its members are visible."""
        self._rooms.take_out(room_id)
        self._ended.pop(room_id, None)

    def members(self, room_id: RoomId) -> Mapping[UserId, StreamPosition]:
        """Return the members of a room that has ceased to count, each with `ended`."""
        return self._rooms.members(room_id)

    def left(self, room_id: RoomId, user_id: UserId, ended: StreamPosition) -> None:
        """Remove a member with that `ended`: whom they saw by the room is remembered elsewhere."""
        if self._rooms.members(room_id).get(user_id) == ended:
            self._rooms.left(room_id, user_id)

    def seen_before(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return the users whom the viewer saw at *position* by a room that no longer counts."""
        seen = set[UserId]()
        for room_id in self._rooms.rooms_of(viewer):
            if self._ended[room_id] > position:
                members = self._rooms.members(room_id)
                seen.update(it for it, ended in members.items() if ended > position)
        seen.discard(viewer)
        return seen
