"""A user's account data as `/sync` has it: events, by room."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import account_data
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = ["AccountDataByRoom", "data_by_room", "read_account_data"]

#: Global data stands under "".
AccountDataByRoom: TypeAlias = dict[str, list[Json]]


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
