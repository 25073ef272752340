"""A user's membership of a room, and what it lets the user see: state and timeline."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import events, memberships, rooms
from lamplighter.errors import Forbidden
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent, current_content, read_events
from lamplighter.homeserver.sql.rules import PowerLevels
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId

__all__ = [
    "Standing",
    "Timeline",
    "View",
    "check_joined",
    "find_standing",
    "find_view",
    "power_levels",
    "read_memberships",
    "read_standing",
    "read_state",
    "read_timeline",
    "room_exists",
]


@dataclass(frozen=True, slots=True)
class Standing:
    """A user's membership of a room."""

    room_id: RoomId
    membership: MemberState
    #: Where in the stream, and when, this kind of membership began.
    since_position: int
    since_ts: Timestamp
    #: Where the last stay ended; None for a user who never was in the room, or is in it.
    left_position: int | None


async def find_standing(
    connection: AsyncConnection, room_id: RoomId, user_id: UserId
) -> Standing | None:
    """Return the user's membership, or None for strangers and unknown rooms."""
    query = select(memberships).where(
        memberships.c.room_id == room_id, memberships.c.user_id == user_id
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else read_standing(row)


def read_standing(row: Any) -> Standing:
    """Return the membership in a row of `memberships`."""
    return Standing(
        RoomId(row.room_id),
        MemberState(row.membership),
        row.since_position,
        Timestamp(row.since_ts),
        row.left_position,
    )


async def check_joined(connection: AsyncConnection, room_id: RoomId, user_id: UserId) -> None:
    """Raise `Forbidden` unless the user is joined to the room."""
    standing = await find_standing(connection, room_id, user_id)
    if standing is None or standing.membership is not MemberState.JOIN:
        raise Forbidden("You are not in this room")


async def room_exists(connection: AsyncConnection, room_id: RoomId) -> bool:
    """Tell whether there is such a room."""
    query = select(rooms.c.room_id).where(rooms.c.room_id == room_id)
    return (await connection.execute(query)).one_or_none() is not None


async def power_levels(connection: AsyncConnection, room_id: RoomId) -> PowerLevels:
    """Return the present levels of a room that exists."""
    content = await current_content(connection, room_id, "m.room.power_levels")
    query = select(events.c.sender).where(
        events.c.room_id == room_id, events.c.type == "m.room.create"
    )
    creator = (await connection.execute(query)).scalars().first()
    return PowerLevels.of(content, UserId(creator or ""))


@dataclass(frozen=True, slots=True)
class View:
    """The part of a room that a user may see: all, or all before the end of their last stay."""

    user_id: UserId
    standing: Standing

    @property
    def is_joined(self) -> bool:
        """Whether the user is in the room."""
        return self.standing.membership is MemberState.JOIN

    @property
    def has_been_in(self) -> bool:
        """Whether the user is in the room or once was."""
        return self.is_joined or self.standing.left_position is not None

    def admits(self) -> ColumnElement[bool]:
        """Return the condition that the user may see an event of the room.

        Users always see the events of their own membership.
        """
        in_room = events.c.room_id == self.standing.room_id
        if self.is_joined:
            return in_room
        stay = events.c.position <= (self.standing.left_position or 0)
        own = and_(events.c.type == MEMBER, events.c.state_key == self.user_id)
        return and_(in_room, or_(stay, own))


async def find_view(connection: AsyncConnection, room_id: RoomId, user_id: UserId) -> View:
    """Return the view of a member or former member; raise `Forbidden` for other users."""
    standing = await find_standing(connection, room_id, user_id)
    if standing is not None:
        view = View(user_id, standing)
        if view.has_been_in:
            return view
    raise Forbidden("You are not in this room")


async def read_state(
    connection: AsyncConnection,
    admitted: ColumnElement[bool],
    *wanted: ColumnElement[bool],
    after: int = 0,
    before: int | None = None,
) -> list[StoredEvent]:
    """Return the state that stands before a place of the stream, as far as it was set *after* one.

    Without *before* it is the last that is *admitted*: only events of one room may be.
    """
    found = select(func.max(events.c.position)).where(
        admitted, events.c.state_key.is_not(None), events.c.position > after
    )
    if before is not None:
        found = found.where(events.c.position < before)
    newest = found.group_by(events.c.type, events.c.state_key)
    query = select(events).where(events.c.position.in_(newest), *wanted)
    return await read_events(connection, query.order_by(events.c.position))


async def read_memberships(
    connection: AsyncConnection,
    admitted: ColumnElement[bool],
    user_ids: Iterable[str],
    *wanted: ColumnElement[bool],
    before: int | None = None,
) -> list[StoredEvent]:
    """Return the part of `read_state` that is the memberships of *user_ids*."""
    of_them = and_(admitted, events.c.type == MEMBER, events.c.state_key.in_(sorted(user_ids)))
    return await read_state(connection, of_them, *wanted, before=before)


_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Timeline:
    """A piece of a room's history, oldest event first."""

    events: tuple[StoredEvent, ...]
    #: Whether there are events between the place asked for and the first one here.
    is_limited: bool
    #: The place in the stream just before the first event.
    starts_after: int


async def read_timeline(
    connection: AsyncConnection,
    admitted: ColumnElement[bool],
    *wanted: ColumnElement[bool],
    after: int = 0,
    limit: int,
) -> Timeline:
    """Return the last *limit* events after a place in the stream, as far as they are *wanted*.

    Only events of one room may be *admitted*.
    """
    limit = min(max(0, limit), _LONGEST)
    query = select(events).where(admitted, events.c.position > after, *wanted)
    query = query.order_by(events.c.position.desc()).limit(limit + 1)
    newest_first = await read_events(connection, query)
    kept = tuple(reversed(newest_first[:limit]))
    is_limited = len(newest_first) > limit
    if kept:
        return Timeline(kept, is_limited, kept[0].position - 1)
    return Timeline((), is_limited, newest_first[0].position if newest_first else after)
