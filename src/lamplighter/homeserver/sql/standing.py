"""A user's membership of a room, and the checks that need it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import events, memberships, rooms
from lamplighter.errors import Forbidden
from lamplighter.homeserver.sql.events import current_content
from lamplighter.homeserver.sql.rules import PowerLevels
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId

__all__ = [
    "Standing",
    "check_joined",
    "find_standing",
    "power_levels",
    "read_standing",
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
