"""Clients' filters for events, as conditions in SQL and on plain values.

Implements `EventFilter` and the parts of `RoomEventFilter` that hold here
(<https://spec.matrix.org/latest/client-server-api/#filtering>). A part of a filter
that the specification does not know counts as absent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, not_, or_
from sqlalchemy.sql import false

from lamplighter.database.tables import events
from lamplighter.errors import InvalidParam
from lamplighter.globs import Globs
from lamplighter.ports import Json

__all__ = ["EventFilter", "RoomFilter"]

#: A longer list makes a query that SQLite does not take.
_MAX_ENTRIES: Final = 400
#: Names with a wildcard: each of them is compared with every event.
_MAX_WILD: Final = 20
#: In one name. Every further `*` multiplies the ways in which a database may match it.
_MAX_WILDCARDS: Final = 3

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomFilter:
    """The parts of a client's filter that concern rooms and account data.

    None as a list of rooms admits all of them.
    """

    timeline_limit: int = 10
    rooms: frozenset[str] | None = None
    not_rooms: frozenset[str] = frozenset()
    include_leave: bool = False
    timeline: Json = field(default_factory=dict)
    state: Json = field(default_factory=dict)
    account_data: Json = field(default_factory=dict)
    room_account_data: Json = field(default_factory=dict)
    ephemeral: Json = field(default_factory=dict)


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None as a list admits everything."""

    types: Names | None = None
    not_types: Names = ()
    senders: Names | None = None
    not_senders: Names = ()
    rooms: Names | None = None
    not_rooms: Names = ()
    #: Whether of memberships only those are wanted without which the answer cannot be shown
    #: (<https://spec.matrix.org/latest/client-server-api/#lazy-loading-room-members>).
    lazy_load_members: bool = False

    @classmethod
    def of(cls, definition: Json) -> "EventFilter":
        """Return the filter that a client's JSON describes; raise `InvalidParam` for long lists."""
        return cls(
            _names(definition, "types"),
            _names(definition, "not_types") or (),
            _names(definition, "senders"),
            _names(definition, "not_senders") or (),
            _names(definition, "rooms"),
            _names(definition, "not_rooms") or (),
            definition.get("lazy_load_members") is True,
        )

    @property
    def admits_all(self) -> bool:
        """Whether events of every type and sender are wanted."""
        return self.types is self.senders is None and not self.not_types + self.not_senders

    def admits_room(self, room_id: str) -> bool:
        """Tell whether events of this room are wanted."""
        return room_id not in self.not_rooms and (self.rooms is None or room_id in self.rooms)

    def admits_type(self, event_type: str) -> bool:
        """Tell whether events of this type are wanted."""
        if self._excluded.match(event_type):
            return False
        return self._included is None or self._included.match(event_type)

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions of wanted rows of `events`, apart from the room."""
        if self.types is not None:
            yield _one_of(events.c.type, self.types)
        if self.not_types:
            yield not_(_one_of(events.c.type, self.not_types))
        if self.senders is not None:
            yield events.c.sender.in_(self.senders)
        if self.not_senders:
            yield events.c.sender.not_in(self.not_senders)

    @cached_property
    def _included(self) -> Globs | None:
        return None if self.types is None else Globs(self.types)

    @cached_property
    def _excluded(self) -> Globs:
        return Globs(self.not_types)


def _names(definition: Json, key: str) -> Names | None:
    value: Any = definition.get(key)
    if not isinstance(value, list):
        return None
    if len(value) > _MAX_ENTRIES:
        raise InvalidParam(f"filter: {key} has more than {_MAX_ENTRIES} entries")
    names = tuple(name for name in value if isinstance(name, str))
    if sum("*" in name for name in names) > _MAX_WILD:
        raise InvalidParam(f"filter: {key} has more than {_MAX_WILD} names with a wildcard")
    if any(name.count("*") > _MAX_WILDCARDS for name in names):
        raise InvalidParam(f"filter: {key} has a name with more than {_MAX_WILDCARDS} wildcards")
    return names


def _one_of(column: Column[Any], names: Names) -> ColumnElement[bool]:
    plain = [name for name in names if "*" not in name]
    wild = [re.sub(r"([\\%_])", r"\\\1", name).replace("*", "%") for name in names if "*" in name]
    return or_(false(), column.in_(plain), *(column.like(name, escape="\\") for name in wild))
