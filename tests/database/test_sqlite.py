"""SQLite: files that are safe, disks that fail, and one trip to its thread for a statement."""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.sqlite import open_file
from lamplighter.database.tables import rooms
from lamplighter.errors import StorageUnavailable
from tests.database.rooms import ADD, add_room, adding, count_rooms
from tests.database.statements import counted_wakes, traced_statements
from tests.database.trouble import connections_ended, fill_disk, forbid_writing, free_disk

LONG = "!" + "x" * 10_000


async def add_rooms(database: Database, count: int) -> None:
    """Write rows that fill pages."""
    async with database.write() as connection:
        values = [{"room_id": f"{n:0>200}", "last_position": 0} for n in range(count)]
        await connection.execute(insert(rooms), values)


async def add_by_statement(database: Database, room_id: str) -> None:
    """Write one row, by a statement that is committed by itself."""
    await database.commit(adding(room_id))


#: Whatever fails in one of these fails alike in the others.
WRITES = pytest.mark.parametrize("add", [add_room, add_by_statement])
USES = pytest.mark.parametrize(
    "use", [count_rooms, lambda it: add_room(it, "!a"), lambda it: it.commit(adding("!a"))]
)


async def test_files_are_safe(file_database: Database, tmp_path: Path) -> None:
    """A database file is in WAL mode, commits reach the disk, and foreign keys hold."""
    async with file_database.write() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "lamplighter.db-wal").exists()


async def test_what_is_committed_is_in_the_file(file_database: Database, tmp_path: Path) -> None:
    """Another process sees what was written, while this one is still running."""
    await add_room(file_database, "!a")
    await file_database.commit(adding("!b"))
    other = sqlite3.connect(tmp_path / "lamplighter.db")
    assert other.execute("SELECT room_id FROM rooms").fetchall() == [("!a",), ("!b",)]
    other.close()


async def test_a_full_disk(file_database: Database) -> None:
    """On a full disk writes say so and leave nothing behind, reads work, and room made helps."""
    could_write, rooms_kept = [], []
    await add_room(file_database, "!a")
    await fill_disk(file_database)
    for work in (add_rooms(file_database, 1000), file_database.commit(adding(LONG))):
        with pytest.raises(StorageUnavailable, match="The disk is full"):
            await work
        could_write.append(file_database.can_write)
        rooms_kept.append(await count_rooms(file_database))
    await free_disk(file_database)
    for work in (add_rooms(file_database, 1000), file_database.commit(adding(LONG))):
        await work
        could_write.append(file_database.can_write)
        rooms_kept.append(await count_rooms(file_database))
    assert could_write == [False, False, True, True]
    assert rooms_kept == [1, 1, 1001, 1002]


@WRITES
async def test_a_read_only_disk(
    file_database: Database, add: Callable[[Database, str], Awaitable[None]]
) -> None:
    """On a read-only database writes say so, and reads work."""
    await add(file_database, "!a")
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        await add(file_database, "!b")
    assert await count_rooms(file_database) == 1


@WRITES
async def test_whether_it_can_be_written(
    file_database: Database, tmp_path: Path, add: Callable[[Database, str], Awaitable[None]]
) -> None:
    """A lock that another process keeps is told as such, and reads work.

    `can_write` tells how the last write went for the machine; `try_again` finds it out anew.
    """
    told = []
    async with file_database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    await file_database.try_again()
    told.append(file_database.can_write)
    other = sqlite3.connect(tmp_path / "lamplighter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for work in (add(file_database, "!a"), file_database.try_again()):
        with pytest.raises(StorageUnavailable, match="Another process"):
            await work
        told.append(file_database.can_write)
    assert await count_rooms(file_database) == 0
    other.close()
    told.append(file_database.can_write)
    await file_database.try_again()
    told.append(file_database.can_write)
    assert (told, file_database.failures) == ([True, False, False, False, True], 2)


@USES
@pytest.mark.parametrize(
    ("name", "problem"), [("missing/a.db", "cannot be opened"), ("letter.txt", "not a database")]
)
async def test_a_file_that_cannot_be_used(
    tmp_path: Path, use: Callable[[Database], Awaitable[object]], name: str, problem: str
) -> None:
    """A database in a directory that is not there, and a file of something else, say so.

    The file is left alone.
    """
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Alice, " * 1000)
    database = open_file(tmp_path / name)
    with pytest.raises(StorageUnavailable, match=problem):
        await use(database)
    await database.close()
    await connections_ended()
    assert letter.read_text() == "Dear Alice, " * 1000


async def test_the_first_write(tmp_path: Path) -> None:
    """A statement may be the first that a database is told, and is all that it is told."""
    path = tmp_path / "lamplighter.db"
    first = open_file(path)
    await migrate(first)
    await first.close()
    with traced_statements() as statements:
        database = open_file(path)
        await database.commit(adding("!a"))
        assert [it for it in statements if not it.startswith("PRAGMA")] == [
            ADD.replace("$1", "'!a'")
        ]
        await database.close()


async def test_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement by itself, whether it commits or fetches, is one trip to the driver's thread.

    What it fetches is all that was committed before.
    """
    with traced_statements() as statements:
        database = open_file(tmp_path / "lamplighter.db")
        await migrate(database)
        query = "SELECT room_id, last_position FROM rooms WHERE room_id = $1"
        assert await database.fetch(Statement(query, ("!a",))) == []
        await add_room(database, "!a")
        statements.clear()
        with counted_wakes(monkeypatch) as wakes:
            await database.commit(adding("!b"))
            found = [list(await database.fetch(Statement(query, (it,)))) for it in ("!a", "!b")]
        assert found == [[("!a", 0)], [("!b", 0)]]
        assert (len(statements), len(wakes)) == (3, 3)
        await database.close()
