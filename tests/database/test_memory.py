"""SQLite in memory: no thread, and results as other drivers give them."""

import asyncio
import threading
from contextlib import suppress

import pytest
from sqlalchemy import select

from lamplighter.clock import next_turn
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.tables import rooms
from lamplighter.devtools.turns import turns
from tests.database.rooms import add_room, adding, count_rooms


@pytest.fixture
def database() -> Database:
    """A database in memory, closed by nobody: it ends with the test."""
    return open_memory()


async def test_no_thread(database: Database) -> None:
    """Statements need no thread of the database."""
    before = threading.enumerate()
    await add_room(database, "!a")
    await database.commit(adding("!b"))
    assert (await count_rooms(database), threading.enumerate()) == (2, before)
    await database.close()


async def test_others_run_between_statements(database: Database) -> None:
    """Before each statement other tasks run, as they would while a thread works."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await next_turn()
            turns += 1

    other = asyncio.create_task(count_turns())
    seen = []
    async with database.write() as connection:
        for _ in range(3):
            await connection.execute(select(rooms))
            seen.append(turns)
    await database.commit(adding("!a"))
    seen.append(turns)
    other.cancel()
    assert seen == sorted(set(seen))
    await database.close()


async def test_a_result_is_of_its_moment(database: Database) -> None:
    """What a statement found stays what it found, whatever is written before it is looked at."""
    await add_room(database, "!a")
    async with database.write() as connection:
        found = await connection.execute(select(rooms.c.room_id))
        await connection.execute(rooms.insert().values(room_id="!b", last_position=0))
        await connection.execute(rooms.delete().where(rooms.c.room_id == "!a"))
    assert found.all() == [("!a",)]
    await database.close()


async def test_a_cancelled_write(database: Database) -> None:
    """A task that is cancelled while it waits for a statement undoes its own writes, no others."""
    await add_room(database, "!a")

    async def write() -> None:
        async with database.write() as connection:
            for number in range(100):
                await connection.execute(
                    rooms.insert().values(room_id=f"!{number}", last_position=0)
                )

    for count in range(12):
        task = asyncio.create_task(write())
        await turns(count)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await count_rooms(database) == 1
    await database.close()
