"""A client's filter, from its JSON to what the server goes by.

Implements <https://spec.matrix.org/latest/client-server-api/#filtering>, as far as `/sync` needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from lamplighter.errors import BadJson, InvalidId, InvalidParam, NotJson
from lamplighter.globs import Globs
from lamplighter.ids import parse_room_id, parse_user_id
from lamplighter.ports import Json, RoomFilter
from lamplighter.web.body import convert, decode

__all__ = ["EVERYTHING", "ClientFilter", "PresenceFilter", "parse_filter", "read_inline"]

#: A client gets at most this many events of a room's timeline at once, whatever it asks for.
MAX_TIMELINE: Final = 100
#: Filters that are remembered as read, of those that are not too long: clients of a kind ask alike.
_MOST_KEPT: Final = 200
_LONGEST_KEPT: Final = 2_048


@dataclass(frozen=True, slots=True)
class PresenceFilter:
    """Which presence a client wants to hear; by default all of it."""

    #: Whether `m.presence` is admitted by `types` and `not_types`.
    wanted: bool = True
    #: None admits all.
    senders: frozenset[str] | None = None
    not_senders: frozenset[str] = frozenset()
    #: How many at once; None is no limit.
    limit: int | None = None

    def admits(self, sender: str) -> bool:
        """Tell whether the client wants to hear of *sender*; `limit` is the caller's business."""
        return (
            self.wanted
            and sender not in self.not_senders
            and (self.senders is None or sender in self.senders)
        )


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """The parts of a filter that `/sync` goes by."""

    rooms: RoomFilter = field(default_factory=RoomFilter)
    presence: PresenceFilter = field(default_factory=PresenceFilter)


#: What a client gets that sends no filter.
EVERYTHING: Final = ClientFilter()


class _EventFilter(msgspec.Struct):
    types: list[str] | None = None
    not_types: list[str] | None = None
    senders: list[str] | None = None
    not_senders: list[str] | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _RoomEventFilter(_EventFilter):
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
    presence: _EventFilter = msgspec.field(default_factory=_EventFilter)
    account_data: _EventFilter = msgspec.field(default_factory=_EventFilter)
    room: _Room = msgspec.field(default_factory=_Room)


def read_inline(text: str) -> ClientFilter:
    """Return the filter whose JSON stands in a query; raise `NotJson` and as `parse_filter`."""
    return _inline_kept(text) if len(text) <= _LONGEST_KEPT else _inline(text)


def parse_filter(definition: Json) -> ClientFilter:
    """Return what *definition* means; raise `BadJson` or `InvalidParam`, which name the field.

    Fields that are not known are ignored.
    """
    shape = convert(definition, _Filter)
    _check_ids(shape)
    return ClientFilter(_room_filter(definition, shape.room), _presence_filter(shape.presence))


def _inline(text: str) -> ClientFilter:
    try:
        definition = decode(text.encode(), Json)
    except NotJson:
        raise NotJson("filter: not JSON") from None
    except BadJson:
        raise BadJson("filter: nested too deeply") from None
    return parse_filter(definition)


_inline_kept: Final = lru_cache(_MOST_KEPT)(_inline)


def _presence_filter(presence: _EventFilter) -> PresenceFilter:
    found = PresenceFilter(
        wanted=_admits_type("m.presence", presence),
        senders=None if presence.senders is None else frozenset(presence.senders),
        not_senders=frozenset(presence.not_senders or ()),
        limit=presence.limit,
    )
    return EVERYTHING.presence if found == EVERYTHING.presence else found  # which needs no look


def _room_filter(definition: Json, room: _Room) -> RoomFilter:
    raw: dict[str, Any] = definition.get("room", {})
    limit = room.timeline.limit
    return RoomFilter(
        timeline_limit=RoomFilter().timeline_limit if limit is None else min(limit, MAX_TIMELINE),
        rooms=None if room.rooms is None else frozenset(room.rooms),
        not_rooms=frozenset(room.not_rooms or ()),
        include_leave=room.include_leave,
        timeline=raw.get("timeline", {}),
        state=raw.get("state", {}),
        account_data=definition.get("account_data", {}),
        room_account_data=raw.get("account_data", {}),
        ephemeral=raw.get("ephemeral", {}),
    )


def _check_ids(shape: _Filter) -> None:
    events: dict[str, _EventFilter] = {
        "presence": shape.presence,
        "account_data": shape.account_data,
    }
    for name in ("timeline", "state", "ephemeral", "account_data"):
        part: _RoomEventFilter = getattr(shape.room, name)
        events[f"room.{name}"] = part
        _check(f"room.{name}.rooms", part.rooms, parse_room_id)
        _check(f"room.{name}.not_rooms", part.not_rooms, parse_room_id)
    for name, event in events.items():
        _check(f"{name}.senders", event.senders, parse_user_id)
        _check(f"{name}.not_senders", event.not_senders, parse_user_id)
    _check("room.rooms", shape.room.rooms, parse_room_id)
    _check("room.not_rooms", shape.room.not_rooms, parse_room_id)


def _check(name: str, ids: list[str] | None, parse: Callable[[str], str]) -> None:
    try:
        for text in ids or ():
            parse(text)
    except InvalidId as error:
        raise InvalidParam(f"{name}: {error}") from None


def _admits_type(event_type: str, events: _EventFilter) -> bool:
    if Globs(events.not_types or ()).match(event_type):
        return False
    return events.types is None or Globs(events.types).match(event_type)
