"""The room directory, the aliases of rooms, and the search for users.

Implements <https://spec.matrix.org/latest/client-server-api/#published-room-directory>,
<https://spec.matrix.org/latest/client-server-api/#room-aliases> and
<https://spec.matrix.org/latest/client-server-api/#user-directory>.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.dialects import json_text
from lamplighter.database.tables import (
    aliases,
    current_state,
    events,
    memberships,
    published_rooms,
    users,
)
from lamplighter.errors import Forbidden, InvalidParam, NotFound, RoomInUse
from lamplighter.homeserver.sql.events import CURRENT_EVENTS, read_events
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import decode_json
from lamplighter.homeserver.sql.state import (
    check_joined,
    find_standing,
    find_view,
    power_levels,
    room_exists,
)
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId, server_of
from lamplighter.ports import Json

__all__ = ["RoomDirectory", "publish"]

#: Aliases that one user may give.
_MAX_ALIASES: Final = 200

#: State that the room directory shows, by type: the field of the event, and of the entry.
_SHOWN: Final = {
    "m.room.avatar": ("url", "avatar_url"),
    "m.room.canonical_alias": ("alias", "canonical_alias"),
    "m.room.create": ("type", "room_type"),
    "m.room.join_rules": ("join_rule", "join_rule"),
    "m.room.name": ("name", "name"),
    "m.room.topic": ("topic", "topic"),
}
_SEARCHED: Final = {
    "m.room.canonical_alias": "alias",
    "m.room.name": "name",
    "m.room.topic": "topic",
}


class RoomDirectory:
    """The directory in which users find published rooms, rooms by aliases, and other users."""

    def __init__(self, ledger: Ledger, server_name: ServerName) -> None:
        self._ledger = ledger
        self._server_name = server_name

    async def public_rooms(
        self, limit: int, skip: int = 0, search_term: str = ""
    ) -> tuple[Sequence[Json], int]:
        """Return rooms of the room directory, the largest first, and the number of all of them.

        *search_term* is a part of the name, the topic or the alias; empty admits all rooms. The
        first *skip* rooms are left out.
        """
        found = _published(search_term)
        members = (
            select(func.count())
            .where(
                memberships.c.room_id == published_rooms.c.room_id,
                memberships.c.membership == MemberState.JOIN,
            )
            .correlate(published_rooms)
            .scalar_subquery()
        )
        page = found.order_by(members.desc(), published_rooms.c.room_id)
        async with self._ledger.read() as connection:
            total = select(func.count()).select_from(found.subquery())
            count = (await connection.execute(total)).scalar_one()
            rows = await connection.execute(page.add_columns(members).offset(skip).limit(limit))
            sizes = {RoomId(row[0]): int(row[1]) for row in rows}
            entries = await _entries(connection, sizes)
        return entries, count

    async def is_published(self, room_id: RoomId) -> bool:
        """Tell whether the room is in the room directory; raise `NotFound`."""
        async with self._ledger.read() as connection:
            if not await room_exists(connection, room_id):
                raise NotFound("There is no such room")
            return await _is_published(connection, room_id)

    async def publish(self, user_id: UserId, room_id: RoomId, *, published: bool) -> None:
        """Put a room into the room directory or take it out.

        Raises `Forbidden` unless the user may change the room's canonical alias.
        """

        async def work(write: Write) -> None:
            if not await room_exists(write.connection, room_id):
                raise NotFound("There is no such room")
            await check_joined(write.connection, room_id, user_id)
            levels = await power_levels(write.connection, room_id)
            if levels.of_user(user_id) < levels.to_send("m.room.canonical_alias", is_state=True):
                raise Forbidden("You may not change how this room stands in the room directory")
            if published != await _is_published(write.connection, room_id):
                await publish(write, room_id, published=published)

        await self._ledger.write(work)

    async def room_aliases(self, user_id: UserId, room_id: RoomId) -> Sequence[RoomAlias]:
        """Return the aliases of a room in which the user is or was."""
        query = select(aliases.c.alias).where(aliases.c.room_id == room_id)
        async with self._ledger.read() as connection:
            await find_view(connection, room_id, user_id)
            found = await connection.execute(query.order_by(aliases.c.alias))
            return [RoomAlias(alias) for alias in found.scalars()]

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        """Return the room an alias names; raise `NotFound`."""
        async with self._ledger.read() as connection:
            return RoomId((await _find_alias(connection, alias)).room_id)

    async def set_alias(self, user_id: UserId, alias: RoomAlias, room_id: RoomId) -> None:
        """Give a room an alias; raise `RoomInUse`."""

        async def work(write: Write) -> None:
            await check_joined(write.connection, room_id, user_id)
            await self.add_alias(write, user_id, alias, room_id)

        await self._ledger.write(work)

    async def add_alias(
        self, write: Write, user_id: UserId, alias: RoomAlias, room_id: RoomId
    ) -> None:
        """Give a room an alias within *write*; raise `RoomInUse`."""
        if server_of(alias) != self._server_name:
            raise InvalidParam(f"room_alias: must end in :{self._server_name}")
        taken = select(aliases.c.alias).where(aliases.c.alias == alias)
        if (await write.connection.execute(taken)).one_or_none() is not None:
            raise RoomInUse(f"{alias} is taken")
        mine = select(func.count()).where(aliases.c.creator == user_id)
        if (await write.connection.execute(mine)).scalar_one() >= _MAX_ALIASES:
            raise Forbidden(f"You have given {_MAX_ALIASES} aliases already: delete one first")
        row = {"alias": alias, "room_id": room_id, "creator": user_id}
        await write.connection.execute(insert(aliases).values(row))

    async def delete_alias(self, user_id: UserId, alias: RoomAlias) -> None:
        """Delete an alias; its creator may, and members who may change the room's aliases."""

        async def work(write: Write) -> None:
            found = await _find_alias(write.connection, alias)
            if found.creator != user_id:
                room_id = RoomId(found.room_id)
                standing = await find_standing(write.connection, room_id, user_id)
                levels = await power_levels(write.connection, room_id)
                needed = levels.to_send("m.room.canonical_alias", is_state=True)
                is_joined = standing is not None and standing.membership is MemberState.JOIN
                if not is_joined or levels.of_user(user_id) < needed:
                    raise Forbidden("You may not delete this alias")
            await write.connection.execute(delete(aliases).where(aliases.c.alias == alias))

        await self._ledger.write(work)

    async def search_people(
        self, user_id: UserId, term: str, limit: int
    ) -> tuple[Sequence[Json], bool]:
        """Return users whose name or ID has *term* in it, and whether there are more of them.

        They share a room with the user, or are in a room of the room directory.
        """
        mine = memberships.alias("mine")
        is_joined = memberships.c.membership == MemberState.JOIN
        my_rooms = select(mine.c.room_id).where(
            mine.c.user_id == user_id, mine.c.membership == MemberState.JOIN
        )
        here = memberships.c.room_id
        known_room = or_(here.in_(my_rooms), here.in_(select(published_rooms.c.room_id)))
        query = (
            select(users.c.user_id, users.c.displayname, users.c.avatar_url)
            .where(
                ~users.c.is_deactivated,
                or_(_contains(users.c.user_id, term), _contains(users.c.displayname, term)),
                users.c.user_id.in_(select(memberships.c.user_id).where(is_joined, known_room)),
            )
            .order_by(users.c.user_id)
        )
        async with self._ledger.read() as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
        people = [zip(("user_id", "display_name", "avatar_url"), row, strict=True) for row in rows]
        shown = [{name: it for name, it in person if it is not None} for person in people]
        return shown[:limit], len(rows) > limit


async def publish(write: Write, room_id: RoomId, *, published: bool) -> None:
    """Put the room into the room directory or take it out; permissions are not checked."""
    if published:
        await write.connection.execute(insert(published_rooms).values(room_id=room_id))
    else:
        mine = published_rooms.c.room_id == room_id
        await write.connection.execute(delete(published_rooms).where(mine))


async def _find_alias(connection: AsyncConnection, alias: RoomAlias) -> Any:
    query = select(aliases).where(aliases.c.alias == alias)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no room {alias}")
    return row


async def _is_published(connection: AsyncConnection, room_id: RoomId) -> bool:
    query = select(published_rooms).where(published_rooms.c.room_id == room_id)
    return (await connection.execute(query)).one_or_none() is not None


def _published(term: str) -> Any:
    query = select(published_rooms.c.room_id)
    if not term:
        return query
    said = (
        exists()
        .where(
            current_state.c.room_id == published_rooms.c.room_id,
            current_state.c.state_key == "",
            current_state.c.position == events.c.position,
            or_(
                *(
                    (current_state.c.type == event_type)
                    & _contains(json_text(events.c.content, field), term)
                    for event_type, field in _SEARCHED.items()
                )
            ),
        )
        .correlate(published_rooms)
    )
    return query.where(said)


async def _entries(connection: AsyncConnection, sizes: dict[RoomId, int]) -> list[Json]:
    query = CURRENT_EVENTS.where(
        current_state.c.room_id.in_(list(sizes)),
        current_state.c.type.in_(list(_SHOWN)),
        current_state.c.state_key == "",
    )
    entries: dict[RoomId, Json] = {
        room_id: {
            "room_id": room_id,
            "num_joined_members": size,
            "world_readable": False,
            "guest_can_join": False,
        }
        for room_id, size in sizes.items()
    }
    for event in await read_events(connection, query):
        field, name = _SHOWN[event.type]
        value = decode_json(event.content).get(field)
        if isinstance(value, str):
            entries[event.room_id][name] = value
    return list(entries.values())


def _contains(column: Any, term: str) -> ColumnElement[bool]:
    """Return the condition that the column contains *term*; case counts beyond ASCII."""
    as_it_is = column.contains(term, autoescape=True)
    return or_(as_it_is, func.lower(column).contains(term.lower(), autoescape=True))
