"""The part of a client's filter that is about rooms and account data.

Implements <https://spec.matrix.org/latest/client-server-api/#filtering>, as far as the rooms half
of a `/sync` goes.
"""

from typing import Any, Final, Literal

import msgspec

from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ids import parse_room_id
from lamplighter.ports import Json
from lamplighter.web.body import convert
from lamplighter.web.client.filters import EventFilterShape, check_ids, inline_reader

__all__ = ["parse_filter", "read_inline_filter"]

#: Events of a room's timeline that a client gets at once, at most.
MAX_TIMELINE: Final = 100


class _RoomEventFilter(EventFilterShape):
    rooms: list[str] | None = None
    not_rooms: list[str] | None = None
    contains_url: bool | None = None
    lazy_load_members: bool = False
    include_redundant_members: bool = False
    unread_thread_notifications: bool = False


class _Room(msgspec.Struct):
    rooms: list[str] | None = None
    not_rooms: list[str] | None = None
    include_leave: bool = False
    timeline: _RoomEventFilter = msgspec.field(default_factory=_RoomEventFilter)
    state: _RoomEventFilter = msgspec.field(default_factory=_RoomEventFilter)
    ephemeral: _RoomEventFilter = msgspec.field(default_factory=_RoomEventFilter)
    account_data: _RoomEventFilter = msgspec.field(default_factory=_RoomEventFilter)


class _Filter(msgspec.Struct):
    event_fields: list[str] | None = None
    event_format: Literal["client", "federation"] = "client"
    presence: EventFilterShape = msgspec.field(default_factory=EventFilterShape)
    account_data: EventFilterShape = msgspec.field(default_factory=EventFilterShape)
    room: _Room = msgspec.field(default_factory=_Room)


def parse_filter(definition: Json) -> RoomFilter:
    """Return the part of *definition* about rooms and account data.

    Raises `BadJson` or `InvalidParam`, which name the field, for any part of the filter. Unknown
    fields are ignored.
    """
    shape = convert(definition, _Filter)
    shape.presence.check_senders("presence")
    shape.account_data.check_senders("account_data")
    for name in ("timeline", "state", "ephemeral", "account_data"):
        part: _RoomEventFilter = getattr(shape.room, name)
        check_ids(f"room.{name}.rooms", part.rooms, parse_room_id)
        check_ids(f"room.{name}.not_rooms", part.not_rooms, parse_room_id)
        part.check_senders(f"room.{name}")
    check_ids("room.rooms", shape.room.rooms, parse_room_id)
    check_ids("room.not_rooms", shape.room.not_rooms, parse_room_id)
    raw: dict[str, Any] = definition.get("room", {})
    limit = shape.room.timeline.limit
    return RoomFilter(
        timeline_limit=RoomFilter().timeline_limit if limit is None else min(limit, MAX_TIMELINE),
        rooms=None if shape.room.rooms is None else frozenset(shape.room.rooms),
        not_rooms=frozenset(shape.room.not_rooms or ()),
        include_leave=shape.room.include_leave,
        timeline=raw.get("timeline", {}),
        state=raw.get("state", {}),
        account_data=definition.get("account_data", {}),
        room_account_data=raw.get("account_data", {}),
        ephemeral=raw.get("ephemeral", {}),
    )


#: Returns what a filter in a query says of rooms; raises as `parse_filter` does, and `NotJson`.
read_inline_filter: Final = inline_reader(parse_filter)
