"""Rows of one table, for tests to which it does not matter what they write."""

from typing import Final

from sqlalchemy import func, insert, select

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.tables import rooms

__all__ = ["add_room", "adding", "count_rooms", "undone"]

ADD: Final = "INSERT INTO rooms (room_id, last_position) VALUES ($1, 0)"


def adding(room_id: str) -> Statement:
    """Return the statement that writes one row."""
    return Statement(ADD, (room_id,))


async def add_room(database: Database, room_id: str) -> None:
    """Write one row in a transaction."""
    async with database.write() as connection:
        await connection.execute(insert(rooms).values(room_id=room_id, last_position=0))


async def undone(database: Database, room_id: str) -> None:
    """Write one row, and take it back."""
    async with database.write() as connection:
        await connection.execute(insert(rooms).values(room_id=room_id, last_position=0))
        await connection.rollback()


async def count_rooms(database: Database) -> int:
    """Read how many rows there are."""
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(rooms))).scalar_one()
