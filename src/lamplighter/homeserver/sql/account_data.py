"""Account data and uploaded filters."""

import hashlib
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec
from sqlalchemy import Column, ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.dialects import byte_length, upsert
from lamplighter.database.tables import account_data, filters
from lamplighter.errors import NotFound, TooLarge
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import decode_json, encode_json, text_within
from lamplighter.homeserver.sql.people import find_active
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json

__all__ = ["AccountData", "AccountDataByRoom", "data_by_room", "read_account_data"]

#: Types of global account data; and of account data of one room.
_MAX_TYPES: Final = 500
#: Types of account data of one user, of all rooms together.
_MAX_DATA: Final = 2_000
#: Bytes of all account data of one user; and of all filters.
_MAX_BYTES: Final = 1024 * 1024
#: Filters of one user.
_MAX_FILTERS: Final = 500


#: Global data stands under "".
AccountDataByRoom: TypeAlias = dict[str, list[Json]]


class AccountData:
    """JSON by user, room (or none) and type, shared by the user's devices; and filters.

    The ID of a filter is a digest of its JSON.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        """Return the user's data of this type, global or of a room; None if there is none."""
        query = select(account_data.c.content).where(
            account_data.c.user_id == user_id,
            account_data.c.room_id == (room_id or ""),
            account_data.c.type == data_type,
        )
        async with self._ledger.read() as connection:
            content = (await connection.execute(query)).scalar_one_or_none()
        return None if content is None else decode_json(content)

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        """Store the user's data of this type."""

        async def work(write: Write) -> None:
            await find_active(write.connection, user_id)
            await _check_number(write.connection, key)
            row = key | {"content": encoded, "position": write.next_position()}
            await write.connection.execute(upsert(write.connection, account_data), row)
            await _check_bytes(write.connection, "account data", account_data.c.content, user_id)
            write.news_for.add(user_id)

        key = {"user_id": user_id, "room_id": text_within("room ID", room_id or "")}
        key["type"] = text_within("type", data_type)
        encoded = encode_json("account data", content)
        await self._ledger.write(work)

    async def save_filter(self, user_id: UserId, definition: Json) -> str:
        """Store a filter; return its ID: the same for the same filter, and never for another."""

        async def work(write: Write) -> None:
            await find_active(write.connection, user_id)
            own, same = filters.c.user_id == user_id, filters.c.filter_id == filter_id
            if await _count(write.connection, filters, own, ~same) >= _MAX_FILTERS:
                raise TooLarge(f"filter: you have {_MAX_FILTERS} already")
            row = {"user_id": user_id, "filter_id": filter_id, "definition": encoded}
            await write.connection.execute(upsert(write.connection, filters), row)
            await _check_bytes(write.connection, "filters", filters.c.definition, user_id)

        encoded = encode_json("filter", definition, in_order=True)
        filter_id = hashlib.sha256(encoded.encode()).hexdigest()[:24]
        await self._ledger.write(work)
        return filter_id

    async def filter(self, user_id: UserId, filter_id: str) -> Json:
        """Return a filter; raise `NotFound`."""
        query = select(filters.c.definition).where(
            filters.c.user_id == user_id, filters.c.filter_id == filter_id
        )
        async with self._ledger.read() as connection:
            definition = (await connection.execute(query)).scalar_one_or_none()
        if definition is None:
            raise NotFound("There is no such filter")
        return decode_json(definition)


def data_by_room(rows: Iterable[tuple[str, str, str]]) -> AccountDataByRoom:
    """Return the events of *rows*: room ID, type, and content as JSON."""
    found: AccountDataByRoom = {}
    for room_id, data_type, content in rows:
        event = {"type": data_type, "content": msgspec.Raw(content.encode())}
        found.setdefault(room_id, []).append(event)
    return found


async def read_account_data(
    connection: AsyncConnection, user_id: UserId, *, after: int = 0, room_id: str | None = None
) -> AccountDataByRoom:
    """Return what was set after a place in the stream."""
    query = select(account_data.c.room_id, account_data.c.type, account_data.c.content).where(
        account_data.c.user_id == user_id, account_data.c.position > after
    )
    if room_id is not None:
        query = query.where(account_data.c.room_id == room_id)
    found = await connection.execute(query.order_by(account_data.c.position))
    return data_by_room((row[0], row[1], row[2]) for row in found)


async def _check_number(connection: AsyncConnection, key: dict[str, str]) -> None:
    """Raise `TooLarge` if there is no place for one more type of account data."""
    own = account_data.c.user_id == key["user_id"]
    here = account_data.c.room_id == key["room_id"]
    others = ~(here & (account_data.c.type == key["type"]))
    if await _count(connection, account_data, own, here, others) >= _MAX_TYPES:
        raise TooLarge(f"account data: you have {_MAX_TYPES} types here already")
    if await _count(connection, account_data, own, others) >= _MAX_DATA:
        raise TooLarge(f"account data: you have {_MAX_DATA} types in all your rooms already")


async def _check_bytes(
    connection: AsyncConnection, what: str, column: Column[str], user_id: UserId
) -> None:
    """Raise `TooLarge` if the user has more in the column than one user may."""
    size = func.coalesce(func.sum(byte_length(column)), 0)
    query = select(size).where(column.table.c.user_id == user_id)
    found = (await connection.execute(query)).scalar_one()
    if found > _MAX_BYTES:
        raise TooLarge(f"{what}: {found} bytes, where a user may have {_MAX_BYTES}")


async def _count(connection: AsyncConnection, table: Table, *which: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(*which)
    return int((await connection.execute(query)).scalar_one())
