"""What rooms are called, for people: kept for a while, because looks into the database cost."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.ids import RoomId
from lamplighter.ports import Membership

__all__ = ["RoomNames"]

_KEPT: Final = timedelta(seconds=30)
#: So many names are kept; beyond that all are forgotten.
_MOST: Final = 10_000


class RoomNames:
    """Names of rooms, at most half a minute old."""

    def __init__(self, rooms: Membership, clock: Clock) -> None:
        self._rooms = rooms
        self._clock = clock
        self._kept: dict[RoomId, tuple[str | None, Timestamp]] = {}

    async def of(self, room_ids: Iterable[RoomId]) -> Mapping[RoomId, str | None]:
        """Return each room's name, else its alias, else None; in the order of the IDs."""
        return {room_id: await self._name(room_id) for room_id in sorted(set(room_ids))}

    async def _name(self, room_id: RoomId) -> str | None:
        now = self._clock.now()
        name, until = self._kept.get(room_id, (None, now))
        if until > now:
            return name
        name = await self._rooms.room_name(room_id)
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[room_id] = name, after(now, _KEPT)
        return name
