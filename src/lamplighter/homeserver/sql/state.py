"""The state and the timeline of a room at a position, as far as a user may see them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import events
from lamplighter.errors import Forbidden
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent, read_events
from lamplighter.homeserver.sql.standing import Standing, find_standing
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId

__all__ = ["Timeline", "View", "find_view", "read_state", "read_timeline"]


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
