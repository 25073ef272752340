"""Typing notices: in memory only, and never for long.

Implements <https://spec.matrix.org/latest/client-server-api/#typing-notifications>.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy import select

from lamplighter.clock import Clock, Timer, Timestamp, after
from lamplighter.database.tables import memberships
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.state import check_joined
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Json, MembershipChange

__all__ = ["TypingNotices", "typing_event"]

#: The longest time for which a notice shows its user as typing.
_LONGEST: Final = timedelta(minutes=2)
#: Rooms whose last typing notice the directory remembers.
_MOST_ROOMS: Final = 10_000
#: With more rooms than this changed since a token, the reader looks at all rooms of the user.
_MANY: Final = 500


@dataclass(slots=True)
class _Room:
    #: The users who have news when typing changes.
    members: set[UserId]
    #: By user, until when they are shown as typing.
    typists: dict[UserId, Timestamp] = field(default_factory=dict)
    #: The serial number of the last change.
    serial: int = 0


class TypingNotices:
    """The users who type, by room. Changes are news for the members. A `DirectoryListener`."""

    def __init__(self, ledger: Ledger, clock: Clock, *, most_rooms: int = _MOST_ROOMS) -> None:
        self._ledger = ledger
        self._clock = clock
        self._most_rooms = most_rooms
        #: In the order of their last changes.
        self._rooms: OrderedDict[RoomId, _Room] = OrderedDict()
        #: Those in which somebody types.
        self._active: dict[RoomId, _Room] = {}
        #: Changes up to this serial number may have been forgotten.
        self._forgotten = 0
        self._timer: Timer | None = None
        ledger.listen(self)

    async def set_typing(self, user_id: UserId, room_id: RoomId, timeout: timedelta | None) -> None:
        """Show the user as typing for at most *timeout*; None ends that."""
        query = select(memberships.c.user_id).where(
            memberships.c.room_id == room_id, memberships.c.membership == MemberState.JOIN
        )
        async with self._ledger.read() as connection:
            await check_joined(connection, room_id, user_id)
            members = {UserId(it) for it in (await connection.execute(query)).scalars()}
        room = self._rooms.get(room_id) or _Room(members)
        room.members = members
        was_typing = user_id in room.typists
        if timeout is None:
            room.typists.pop(user_id, None)
        else:
            room.typists[user_id] = after(self._clock.now(), min(timeout, _LONGEST))
        if was_typing != (timeout is not None):
            self._changed(room_id, room)
        self._arm()

    def in_room(self, room_id: RoomId) -> Sequence[UserId]:
        """Return the users who type in the room, in the order in which they began."""
        room = self._rooms.get(room_id)
        return [] if room is None else list(room.typists)

    def changed_since(self, serial: int) -> Collection[RoomId] | None:
        """Return the rooms in which typing has changed after *serial*; None if any may have."""
        if serial < self._forgotten:
            return None
        changed: list[RoomId] = []
        for room_id, room in reversed(self._rooms.items()):
            if room.serial <= serial:
                break
            changed.append(room_id)
            if len(changed) > _MANY:
                return None
        return changed

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        for change in changes:
            room = self._rooms.get(change.room_id)
            if room is None:
                continue
            if change.joined:
                room.members.add(change.user_id)
            else:
                room.members.discard(change.user_id)
                if room.typists.pop(change.user_id, None) is not None:
                    self._changed(change.room_id, room)

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        pass  # the notice ends by its time-out

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        pass

    def user_deactivated(self, user_id: UserId) -> None:
        pass  # the user leaves all rooms, as `memberships_changed` says

    def rooms_news(self, user_ids: object) -> None:
        pass

    def _changed(self, room_id: RoomId, room: _Room) -> None:
        room.serial = self._ledger.stream.tell_typing(self._clock.now(), room.members)
        self._rooms[room_id] = room
        self._rooms.move_to_end(room_id)
        if room.typists:
            self._active[room_id] = room
        else:
            self._active.pop(room_id, None)
        while len(self._rooms) > self._most_rooms:
            forgotten_id, forgotten = self._rooms.popitem(last=False)
            self._active.pop(forgotten_id, None)
            self._forgotten = forgotten.serial
        self._ledger.tell_news(room.members)

    def _arm(self) -> None:
        """Set the timer to the end of the next notice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [until for room in self._active.values() for until in room.typists.values()]
        if due:
            self._timer = self._clock.call_at(min(due), self._expire)

    def _expire(self) -> None:
        now = self._clock.now()
        for room_id, room in list(self._active.items()):
            over = [user_id for user_id, until in room.typists.items() if until <= now]
            for user_id in over:
                del room.typists[user_id]
            if over:
                self._changed(room_id, room)
        self._timer = None
        self._arm()


def typing_event(typists: Sequence[UserId]) -> Json:
    """Return the `m.typing` event that names *typists*."""
    return {"type": "m.typing", "content": {"user_ids": list(typists)}}
