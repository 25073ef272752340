"""The database engine: turns, isolation, durability, and what a failing disk looks like."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from lamplighter.database.engine import Database, open_file, open_memory
from lamplighter.database.migrate import migrate
from lamplighter.database.tables import rooms, users
from lamplighter.errors import InvalidParam, StorageUnavailable
from tests.database.trouble import connections_ended, fill_disk, forbid_writing, free_disk


async def add_room(database: Database, room_id: str) -> None:
    """Write one row."""
    async with database.write() as connection:
        await connection.execute(insert(rooms).values(room_id=room_id, last_position=0))


async def add_rooms(database: Database, count: int) -> None:
    """Write rows that fill pages."""
    async with database.write() as connection:
        values = [{"room_id": f"{n:0>200}", "last_position": 0} for n in range(count)]
        await connection.execute(insert(rooms), values)


async def count_rooms(database: Database) -> int:
    """Read how many rows there are."""
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(rooms))).scalar_one()


async def test_files_are_safe(database: Database, tmp_path: Path) -> None:
    """A database file is in WAL mode, commits reach the disk, and foreign keys hold."""
    async with database.write() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "lamplighter.db-wal").exists()


async def test_what_is_committed_is_in_the_file(database: Database, tmp_path: Path) -> None:
    """A second process sees what was written, while the first is still running."""
    await add_room(database, "!a")
    other = sqlite3.connect(tmp_path / "lamplighter.db")
    assert other.execute("SELECT room_id FROM rooms").fetchall() == [("!a",)]
    other.close()


@pytest.mark.parametrize("open_one", [open_file, lambda _: open_memory()], ids=["file", "memory"])
async def test_writers_take_turns(open_one: Callable[[Path], Database], tmp_path: Path) -> None:
    """However many write and read at once, each gets its turn; nobody finds a locked database."""
    database = open_one(tmp_path / "crowd.db")
    await migrate(database)
    writers = [add_room(database, f"!{n}") for n in range(50)]
    readers = [count_rooms(database) for _ in range(50)]
    await asyncio.gather(*writers, *readers)
    assert await count_rooms(database) == 50
    await database.close()


async def test_a_read_sees_one_moment(database: Database) -> None:
    """What is committed during a read is not seen by it."""
    async with database.read() as connection:
        counting = select(func.count()).select_from(rooms)
        before = (await connection.execute(counting)).scalar_one()
        await add_room(database, "!a")
        after = (await connection.execute(counting)).scalar_one()
    assert (before, after, await count_rooms(database)) == (0, 0, 1)


@pytest.mark.parametrize("open_one", [open_file, lambda _: open_memory()], ids=["file", "memory"])
async def test_a_write_that_raises_is_undone(
    open_one: Callable[[Path], Database], tmp_path: Path
) -> None:
    """An exception in the block takes back all that was written in it."""
    database = open_one(tmp_path / "undone.db")
    await migrate(database)

    async def change_my_mind() -> None:
        async with database.write() as connection:
            await connection.execute(insert(rooms).values(room_id="!a", last_position=0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_my_mind()
    assert await count_rooms(database) == 0
    await database.close()


async def test_reads_cannot_write(database: Database) -> None:
    """A connection for reading refuses to write."""
    with pytest.raises(StorageUnavailable, match="read-only"):
        async with database.read() as connection:
            await connection.execute(insert(rooms).values(room_id="!a", last_position=0))
    assert await count_rooms(database) == 0


async def test_a_full_disk(database: Database) -> None:
    """On a full disk writes say so and leave nothing behind, reads work, and room made helps."""
    await add_room(database, "!a")
    await fill_disk(database)
    with pytest.raises(StorageUnavailable, match="The disk is full"):
        await add_rooms(database, 1000)
    assert await count_rooms(database) == 1
    await free_disk(database)
    await add_rooms(database, 1000)
    assert await count_rooms(database) == 1001


async def test_a_read_only_disk(database: Database) -> None:
    """On a read-only database writes say so, and reads work."""
    await add_room(database, "!a")
    await forbid_writing(database)
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        await add_room(database, "!b")
    assert await count_rooms(database) == 1


async def test_somebody_else_holds_the_lock(database: Database, tmp_path: Path) -> None:
    """A lock that another process does not release is told as such, and reads work."""
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "lamplighter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="Another process"):
        await add_room(database, "!a")
    assert await count_rooms(database) == 0
    other.close()


async def test_whether_it_can_be_written(database: Database, tmp_path: Path) -> None:
    """`can_write` tells how the last write went for the machine; `try_again` finds it out anew."""
    told = []
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    await database.try_again()
    told.append(database.can_write)
    other = sqlite3.connect(tmp_path / "lamplighter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for work in (add_room(database, "!a"), database.try_again()):
        with pytest.raises(StorageUnavailable):
            await work
        told.append(database.can_write)
    other.close()
    told.append(database.can_write)
    await database.try_again()
    told.append(database.can_write)
    await add_room(database, "!b")
    with pytest.raises(IntegrityError):  # a mistake of ours says nothing about the machine
        await add_room(database, "!b")
    told.append(database.can_write)
    assert told == [True, False, False, False, True, True]


@pytest.mark.parametrize("use", [count_rooms, lambda database: add_room(database, "!a")])
async def test_a_file_that_cannot_be_opened(
    tmp_path: Path, use: Callable[[Database], Awaitable[object]]
) -> None:
    """A database in a directory that is not there cannot be opened, and says so."""
    database = open_file(tmp_path / "missing" / "lamplighter.db")
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        await use(database)
    await database.close()
    await connections_ended()


@pytest.mark.parametrize("use", [count_rooms, lambda database: add_room(database, "!a")])
async def test_a_file_that_is_no_database(
    tmp_path: Path, use: Callable[[Database], Awaitable[object]]
) -> None:
    """A file of something else is left alone, and told as such."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear Alice, " * 1000)
    database = open_file(file)
    with pytest.raises(StorageUnavailable, match="not a database"):
        await use(database)
    await database.close()
    await connections_ended()
    assert file.read_text() == "Dear Alice, " * 1000


async def test_mistakes_of_ours_stay_mistakes(database: Database) -> None:
    """An error that has nothing to do with the machine is not hidden behind it."""
    await add_room(database, "!a")
    with pytest.raises(IntegrityError):
        await add_room(database, "!a")


async def test_text_that_is_not_unicode(database: Database) -> None:
    """Half of a surrogate pair is the request's fault."""
    with pytest.raises(InvalidParam, match="Unicode"):
        await add_room(database, "\ud800")
    async with database.read() as connection:
        with pytest.raises(UnicodeEncodeError):
            await connection.execute(select(users).where(users.c.user_id == "\ud800"))


async def test_closing_waits_for_writes(tmp_path: Path) -> None:
    """A write that was asked for before `close` is done before it."""
    database = open_file(tmp_path / "closing.db")
    await migrate(database)
    await asyncio.gather(add_room(database, "!a"), database.close())
    again = open_file(tmp_path / "closing.db")
    assert await count_rooms(again) == 1
    await again.close()
