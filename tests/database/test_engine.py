"""Databases on every engine: the order of writes, isolation, single statements."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.tables import rooms, users
from lamplighter.errors import InvalidParam, StorageUnavailable
from tests.database.rooms import add_room, adding, count_rooms, undone
from tests.engines import ENGINES

ALL_ROOMS = Statement("SELECT room_id FROM rooms ORDER BY room_id")
#: Every room twice.
PAIRS = Statement("SELECT room_id FROM rooms UNION ALL SELECT room_id FROM rooms")
ON_FILE_AND_SERVER = pytest.mark.parametrize("open_database", ENGINES[1:], indirect=True)


async def test_writers_take_turns(database: Database) -> None:
    """Transactions, statements, reads: each is whole, however many there are at once."""
    transactions = [undone(database, f"!{n}:undone") for n in range(20)]
    kept = [add_room(database, f"!{n}:kept") for n in range(20)]
    statements = [database.commit(adding(f"!{n}")) for n in range(20)]
    readers = [count_rooms(database) for _ in range(20)]
    fetched = [database.fetch(PAIRS) for _ in range(20)]
    four = zip(transactions, kept, statements, readers, strict=True)
    mixed = [work for each in four for work in each]
    found, *_ = await asyncio.gather(asyncio.gather(*fetched), *mixed)
    # No fetch sees a row that is undone later, or one half of a commit.
    seen = [[room_id for (room_id,) in rows] for rows in found]
    assert [ids for ids in seen if len(ids) != 2 * len(set(ids)) or ":undone" in str(ids)] == []
    assert await count_rooms(database) == 40


@ON_FILE_AND_SERVER
async def test_a_read_sees_one_moment(database: Database) -> None:
    """A read does not see a commit that happens during the read."""
    async with database.read() as connection:
        counting = select(func.count()).select_from(rooms)
        before = (await connection.execute(counting)).scalar_one()
        await add_room(database, "!a")
        after = (await connection.execute(counting)).scalar_one()
    assert (before, after, await count_rooms(database)) == (0, 0, 1)


async def test_a_write_that_raises_is_undone(database: Database) -> None:
    """An exception in the block takes back all that was written in it."""

    async def change_my_mind() -> None:
        async with database.write() as connection:
            await connection.execute(insert(rooms).values(room_id="!a", last_position=0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_my_mind()
    assert await count_rooms(database) == 0


@ON_FILE_AND_SERVER
async def test_reads_cannot_write(database: Database) -> None:
    """A connection for reading refuses to write, and so does a statement that fetches."""
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        async with database.read() as connection:
            await connection.execute(insert(rooms).values(room_id="!a", last_position=0))
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        await database.fetch(adding("!a"))
    assert await count_rooms(database) == 0


async def test_mistakes_of_ours_stay_mistakes(database: Database) -> None:
    """An error that has nothing to do with the machine is not hidden behind it."""
    await database.commit(adding("!a"))
    with pytest.raises(IntegrityError):
        await add_room(database, "!a")
    with pytest.raises(Exception, match=r"(?i)unique"):  # the driver's own error
        await database.commit(adding("!a"))
    assert (database.can_write, database.failures) == (True, 0)


@pytest.mark.parametrize(
    ("text", "fault"), [("\ud800", "not valid Unicode"), ("a\0b", "holds a NUL")]
)
async def test_text_that_no_database_takes(database: Database, text: str, fault: str) -> None:
    """Half of a surrogate pair, or a NUL, is the request's fault, in a write as in a query."""
    with pytest.raises(InvalidParam, match=fault):
        await add_room(database, text)
    with pytest.raises(InvalidParam, match=fault):
        async with database.read() as connection:
            await connection.execute(select(users).where(users.c.user_id == text))
    for sound in ("Zoë 🦊", "\\u0000"):
        await add_room(database, sound)
    assert (await count_rooms(database), database.failures) == (2, 0)


@ON_FILE_AND_SERVER
async def test_closing_waits_for_writes(
    database: Database, open_database: Callable[[], Database]
) -> None:
    """Writes that were asked for before `close` are done before it; another process sees them."""
    await asyncio.gather(add_room(database, "!a"), database.commit(adding("!b")), database.close())
    again = open_database()
    assert await again.fetch(ALL_ROOMS) == [("!a",), ("!b",)]
    await again.close()


@ON_FILE_AND_SERVER
async def test_a_caller_that_gives_up(database: Database) -> None:
    """A caller that is cancelled in a transaction leaves nothing of it, and bars nobody's way."""
    await database.commit(adding("!a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), database.write() as connection:
            await connection.execute(insert(rooms).values(room_id="!undone", last_position=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await count_rooms(database)
    await database.commit(adding("!b"))
    assert await database.fetch(ALL_ROOMS) == [("!a",), ("!b",)]


async def test_a_write_that_is_not_wanted_any_more(database: Database) -> None:
    """A write that is given up while it waits for another asks the database for nothing."""

    def refuse() -> None:
        raise RuntimeError

    async with database.write():
        waiting = asyncio.ensure_future(database.write(refuse).__aenter__())
    with pytest.raises(RuntimeError):
        await waiting
    assert database.under_way == 0


async def test_what_is_under_way_is_counted(database: Database) -> None:
    """Reads and writes count from when they are asked for until they end, also in failure."""
    begun, counts = database.begun, []
    async with database.write():
        counts.append(database.under_way)
    async with database.read():
        counts.append(database.under_way)
    await database.commit(adding("!a"))
    await database.fetch(ALL_ROOMS)
    assert (counts, database.under_way, database.begun - begun) == ([1, 1], 0, 4)


async def test_what_was_committed_is_there_again(open_database: Callable[[], Database]) -> None:
    """A new database has tables once it is migrated, and takes a statement first of all."""
    database = open_database()
    await migrate(database)
    await database.commit(adding("!a"))
    assert await database.fetch(ALL_ROOMS) == [("!a",)]
    await database.close()
