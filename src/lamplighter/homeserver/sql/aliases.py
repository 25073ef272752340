"""Room aliases."""

from typing import Any, Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import aliases
from lamplighter.errors import Forbidden, InvalidParam, NotFound, RoomInUse
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.standing import check_joined, find_standing, power_levels
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId, server_of

__all__ = ["Aliases"]

#: Aliases that one user may give.
_MAX_ALIASES: Final = 200


class Aliases:
    """The names that rooms have on this server."""

    def __init__(self, ledger: Ledger, server_name: ServerName) -> None:
        self._ledger = ledger
        self._server_name = server_name

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        """Return the room an alias names; raise `NotFound`."""
        async with self._ledger.read() as connection:
            return RoomId((await _find(connection, alias)).room_id)

    async def set_alias(self, user_id: UserId, alias: RoomAlias, room_id: RoomId) -> None:
        """Name a room; raise `RoomInUse`."""

        async def work(write: Write) -> None:
            await check_joined(write.connection, room_id, user_id)
            await self.add(write, user_id, alias, room_id)

        await self._ledger.write(work)

    async def add(self, write: Write, user_id: UserId, alias: RoomAlias, room_id: RoomId) -> None:
        """Name a room within *write*; raise `RoomInUse`."""
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
        """Delete a name; only its creator may, and members who may change the room's state."""

        async def work(write: Write) -> None:
            found = await _find(write.connection, alias)
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


async def _find(connection: AsyncConnection, alias: RoomAlias) -> Any:
    query = select(aliases).where(aliases.c.alias == alias)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no room {alias}")
    return row
