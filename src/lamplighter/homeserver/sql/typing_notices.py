"""Typing notices: in memory only, and never for long.

Every node hears of every notice, at the same place in the stream of all nodes, which is the serial
number of the change. So a token's number means the same everywhere. A notice ends for all nodes at
once, when the node of its user tells that its time is over. If that node has died, another one does
so a little later.

Implements <https://spec.matrix.org/latest/client-server-api/#typing-notifications>.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, after, milliseconds
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.news import TypingEnded, TypingNews, TypingNotice
from lamplighter.homeserver.sql.state import check_joined
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Json, MembershipChange

__all__ = ["TypingNotices", "typing_event"]

#: The longest time for which a notice shows its user as typing.
_LONGEST: Final = timedelta(minutes=2)
#: Rooms whose last typing notice the directory remembers.
_MOST_ROOMS: Final = 10_000
#: How much longer than the node of its user another node waits for the end of a notice.
_PATIENCE: Final = timedelta(seconds=5)
#: With more rooms than this changed since a token, the reader looks at all rooms of the user.
_MANY: Final = 500


@dataclass(slots=True)
class _Notice:
    #: The serial number at which it was heard.
    begun: int
    #: When this node tells that it is over.
    until: Timestamp


@dataclass(slots=True)
class _Room:
    typists: dict[UserId, _Notice] = field(default_factory=dict)
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
        #: What this node tells and has not heard yet.
        self._told: set[tuple[RoomId, UserId]] = set()
        ledger.listen(self)
        ledger.when_typing(self._hear)

    async def set_typing(self, user_id: UserId, room_id: RoomId, timeout: timedelta | None) -> None:
        """Show the user as typing for at most *timeout*; None ends that.

        On many nodes, raises `ClusterUnavailable` if they cannot be told.
        """
        async with self._ledger.read() as connection:
            await check_joined(connection, room_id, user_id)
        shown = milliseconds(min(timeout, _LONGEST)) if timeout is not None else 0
        self._told.add((room_id, user_id))
        try:
            await self._ledger.tell(TypingNotice(room_id, user_id, shown))
        finally:
            self._told.discard((room_id, user_id))

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
            if room is not None and not change.joined and change.user_id in room.typists:
                del room.typists[change.user_id]
                self._changed(change.room_id, room)

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        pass  # the notice ends by its time-out

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        pass

    def user_deactivated(self, user_id: UserId) -> None:
        pass  # the user leaves all rooms, as `memberships_changed` says

    def rooms_news(self, user_ids: object) -> None:
        pass

    def _hear(self, news: TypingNews) -> None:
        room_id, user_id = news.room_id, news.user_id
        room = self._rooms.get(room_id) or _Room()
        notice = room.typists.get(user_id)
        if isinstance(news, TypingNotice) and news.milliseconds:
            shown = timedelta(milliseconds=news.milliseconds)
            is_ours = (room_id, user_id) in self._told
            until = after(self._clock.now(), shown if is_ours else shown + _PATIENCE)
            room.typists[user_id] = _Notice(self._ledger.typing_place, until)
            has_changed = notice is None
        elif isinstance(news, TypingNotice):
            has_changed = room.typists.pop(user_id, None) is not None
        else:
            # A node that has not heard of the notice tells of its end all the same.
            has_changed = notice is None or notice.begun == news.begun
            if has_changed:
                room.typists.pop(user_id, None)
        if has_changed:
            self._changed(room_id, room)
        self._arm()

    def _changed(self, room_id: RoomId, room: _Room) -> None:
        room.serial = self._ledger.stream.count_typing(self._ledger.typing_place)
        members = self._ledger.members.of(room_id)
        self._ledger.stream.tell_typing(room.serial, members)
        self._rooms[room_id] = room
        self._rooms.move_to_end(room_id)
        if room.typists:
            self._active[room_id] = room
        else:
            self._active.pop(room_id, None)
        while len(self._rooms) > self._most_rooms:
            forgotten_id, forgotten = self._rooms.popitem(last=False)
            self._active.pop(forgotten_id, None)
            self._forgotten = max(self._forgotten, forgotten.serial)
        self._ledger.tell_news(members)

    def _arm(self) -> None:
        """Set the timer to the end of the next notice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [it.until for room in self._active.values() for it in room.typists.values()]
        if due:
            self._timer = self._clock.call_at(min(due), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.now()
        for room_id, room in list(self._active.items()):
            for user_id, notice in list(room.typists.items()):
                if notice.until <= now:
                    notice.until = after(now, _PATIENCE)  # should nobody hear that it is over
                    self._ledger.tell_soon(TypingEnded(room_id, user_id, notice.begun))
        self._arm()


def typing_event(typists: Sequence[UserId]) -> Json:
    """Return the `m.typing` event that names *typists*."""
    return {"type": "m.typing", "content": {"user_ids": list(typists)}}
