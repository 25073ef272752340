"""Names of rooms, for people to read; cached, because reading the database takes time."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.ids import RoomId
from lamplighter.ports import Membership
from lamplighter.recent import Recent

__all__ = ["RoomNames"]

_KEPT: Final = timedelta(seconds=30)
#: The most names that are remembered.
_MOST: Final = 10_000


class RoomNames:
    """Names of rooms, at most half a minute old."""

    def __init__(self, rooms: Membership, clock: Clock) -> None:
        self._rooms = rooms
        self._clock = clock
        self._known: Recent[RoomId, tuple[str | None, Timestamp]] = Recent(_MOST)

    async def of(self, room_ids: Iterable[RoomId]) -> Mapping[RoomId, str | None]:
        """Return each room's name, else its alias, else None; in the order of the IDs."""
        names = {}
        for room_id in sorted(set(room_ids)):
            now = self._clock.now()
            name, until = self._known.get(room_id) or (None, now)
            if until <= now:
                name = await self._rooms.room_name(room_id)
                self._known.put(room_id, (name, after(now, _KEPT)))
            names[room_id] = name
        return names
