"""Single statements past SQLAlchemy: in turn with all others, and over connections that end."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lamplighter.database.engine import Database, open_file, open_memory
from lamplighter.database.migrate import migrate
from lamplighter.database.tables import rooms
from lamplighter.errors import StorageUnavailable
from tests.database.statements import counted_wakes, traced_statements
from tests.database.trouble import connections_ended, fill_disk, forbid_writing, free_disk

ADD = "INSERT INTO rooms (room_id, last_position) VALUES (?, 0)"


async def count_rooms(database: Database) -> int:
    """Return how many rooms there are."""
    async with database.read() as connection:
        count: int = (
            await connection.execute(select(func.count()).select_from(rooms))
        ).scalar_one()
    return count


async def test_the_first_write(tmp_path: Path) -> None:
    """A statement may be the first that a database is told; another process sees what it did."""
    path = tmp_path / "lamplighter.db"
    first = open_file(path)
    await migrate(first)
    await first.close()
    with traced_statements() as statements:
        database = open_file(path)
        await database.commit(ADD, ("!a",))
        assert [it for it in statements if not it.startswith("PRAGMA")] == [
            ADD.replace("?", "'!a'")
        ]
        other = sqlite3.connect(path)
        assert other.execute("SELECT room_id FROM rooms").fetchall() == [("!a",)]
        other.close()
        await database.close()


@pytest.mark.parametrize("open_one", [open_file, lambda _: open_memory()], ids=["file", "memory"])
async def test_all_writes_take_turns(open_one: Callable[[Path], Database], tmp_path: Path) -> None:
    """Statements, transactions, reads: each is whole, and nobody finds a locked database."""
    database = open_one(tmp_path / "crowd.db")
    await migrate(database)

    async def undone(room_id: str) -> None:
        async with database.write() as connection:
            await connection.exec_driver_sql(ADD, (room_id,))
            await connection.rollback()

    transactions = [undone(f"!{n}:undone") for n in range(50)]
    statements = [database.commit(ADD, (f"!{n}",)) for n in range(50)]
    readers = [count_rooms(database) for _ in range(50)]
    mixed = [
        work for three in zip(transactions, statements, readers, strict=True) for work in three
    ]
    await asyncio.gather(*mixed)
    assert await count_rooms(database) == 50
    await database.close()


async def test_a_connection_that_was_given_up(database: Database) -> None:
    """Who is cancelled in a transaction may take the connection along; the next has another one."""
    await database.commit(ADD, ("!a",))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), database.write() as connection:
            await connection.exec_driver_sql(ADD, ("!undone",))
    await database.commit(ADD, ("!b",))
    assert await count_rooms(database) == 2


async def test_a_full_disk(database: Database) -> None:
    """On a full disk a statement says so and leaves nothing behind, and room made helps."""
    could_write, rooms_kept = [], []
    await fill_disk(database)
    with pytest.raises(StorageUnavailable, match="The disk is full"):
        await database.commit(ADD, ("!" + "x" * 10_000,))
    could_write.append(database.can_write)
    rooms_kept.append(await count_rooms(database))
    await free_disk(database)
    await database.commit(ADD, ("!" + "x" * 10_000,))
    could_write.append(database.can_write)
    rooms_kept.append(await count_rooms(database))
    assert (could_write, rooms_kept) == ([False, True], [0, 1])


async def test_a_read_only_disk(database: Database) -> None:
    """On a read-only database a statement says so."""
    await forbid_writing(database)
    with pytest.raises(StorageUnavailable, match="The database is read-only"):
        await database.commit(ADD, ("!a",))


async def test_somebody_else_holds_the_lock(database: Database, tmp_path: Path) -> None:
    """A lock that another process does not release is told as such."""
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "lamplighter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="Another process"):
        await database.commit(ADD, ("!a",))
    other.close()
    await database.commit(ADD, ("!a",))
    assert await count_rooms(database) == 1


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """Where there is no database a statement says so."""
    database = open_file(tmp_path / "missing" / "lamplighter.db")
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        await database.commit(ADD, ("!a",))
    await database.close()
    await connections_ended()


async def test_mistakes_of_ours_stay_mistakes(database: Database) -> None:
    """An error that has nothing to do with the machine is not hidden behind it."""
    await database.commit(ADD, ("!a",))
    with pytest.raises(sqlite3.IntegrityError):
        await database.commit(ADD, ("!a",))
    assert database.can_write


async def test_closing_waits_for_statements(tmp_path: Path) -> None:
    """A statement that was asked for before `close` is done before it."""
    database = open_file(tmp_path / "closing.db")
    await migrate(database)
    await asyncio.gather(database.commit(ADD, ("!a",)), database.close())
    again = open_file(tmp_path / "closing.db")
    assert await count_rooms(again) == 1
    await again.close()


@pytest.mark.parametrize("open_one", [open_file, lambda _: open_memory()], ids=["file", "memory"])
async def test_fetching(
    open_one: Callable[[Path], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetching sees every commit that was made before, by one statement in one trip."""
    with traced_statements() as statements:
        database = open_one(tmp_path / "lamplighter.db")
        await migrate(database)
        query = "SELECT room_id, last_position FROM rooms WHERE room_id = ?"
        assert await database.fetch(query, ("!a",)) == []
        await database.commit(ADD, ("!a",))
        async with database.write() as connection:
            await connection.exec_driver_sql(ADD, ("!b",))
        statements.clear()
        with counted_wakes(monkeypatch) as wakes:
            found = [list(await database.fetch(query, (room_id,))) for room_id in ("!a", "!b")]
        assert found == [[("!a", 0)], [("!b", 0)]]
        assert (len(statements), len(wakes)) == (2, 2)
        await database.close()


async def test_fetching_among_transactions() -> None:
    """In the one connection of a database in memory, nothing is fetched that is undone later."""
    database = open_memory()
    await migrate(database)

    async def undone(room_id: str) -> None:
        async with database.write() as connection:
            await connection.exec_driver_sql(ADD, (room_id,))
            await connection.rollback()

    fetched = [database.fetch("SELECT room_id FROM rooms", ()) for _ in range(10)]
    writes = [undone(f"!{number}") for number in range(10)]
    mixed = [work for pair in zip(writes, fetched, strict=True) for work in pair]
    assert [rows for rows in await asyncio.gather(*mixed) if rows is not None] == [[]] * 10
    await database.close()


async def test_fetching_only_reads(database: Database) -> None:
    """What is fetched by must not write."""
    with pytest.raises(StorageUnavailable, match="read-only"):
        await database.fetch(ADD, ("!a",))
