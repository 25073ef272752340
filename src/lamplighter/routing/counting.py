"""Which rooms count, and since when: what a restart with another configuration changes.

A room that counts makes its members visible to each other. `routing.shared_rooms` and
`routing.exclude_rooms` decide which rooms count. An operator changes them by a restart, and clients
go on to show what they got before it. So the server remembers, for each room, the position at which
the room last began or ceased to count. A client with a token from before that position must learn:

- if the room has ceased to count, its members are no longer visible to each other by it;
- if the room has begun to count, its members are news to each other.

Most rooms have always counted, or never: one entry stands for all rooms that the configuration
does not name, so the memory is as large as the configuration.
"""

from collections.abc import Iterator, Mapping
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
        """Return the rooms that count from *position* on, by another configuration."""
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
        self._rooms = SharedRooms(lambda _room_id: True)
        self._ended: dict[RoomId, StreamPosition] = {}

    def joined(self, room_id: RoomId, user_id: UserId, ended: StreamPosition) -> None:
        """Add a member of a room that counted until the position *ended*."""
        self._ended[room_id] = ended
        self._rooms.joined(room_id, user_id, _BEGINNING)

    def left(
        self, room_id: RoomId, user_id: UserId
    ) -> Iterator[tuple[UserId, UserId, StreamPosition]]:
        """Remove a member; yield each viewer and user of this membership, and until when."""
        if self._rooms.left(room_id, user_id):
            for other in self._rooms.members(room_id):
                yield user_id, other, self._ended[room_id]
                yield other, user_id, self._ended[room_id]

    def seen_before(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return the users whom the viewer saw at *position* by a room that no longer counts."""
        seen = set[UserId]()
        for room_id in self._rooms.rooms_of(viewer):
            if self._ended[room_id] > position:
                seen.update(self._rooms.members(room_id))
        seen.discard(viewer)
        return seen
