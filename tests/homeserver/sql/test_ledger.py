"""The ledger: which writes begin, and which are refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from lamplighter.database.adapter import Sharing
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.postgresql import open_url
from lamplighter.database.tables import rooms
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import ShuttingDown
from lamplighter.homeserver.sql.ledger import Ledger, Write


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """Return a database with the tables."""
    database = open_memory()
    yield database
    await database.close()


class Writes:
    """Writes that note when they begin and when they end."""

    def __init__(self, database: Database) -> None:
        self.ledger = Ledger(database, FakeClock())
        self.begun: list[int] = []
        self.first_has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def write(self, number: int) -> int:
        """Write a row, once it may."""

        async def work(write: Write) -> int:
            self.begun.append(number)
            self.first_has_begun.set()
            await self.may_end.wait()
            await write.connection.execute(
                insert(rooms).values(room_id=f"!{number}", last_position=0)
            )
            return number

        return await self.ledger.write(work)


async def test_refusing_writes(database: Database) -> None:
    """Of 2,000 writes the one under way is finished; no other one begins, nor a new one."""
    writes = Writes(database)
    await writes.ledger.start()
    tasks = [asyncio.ensure_future(writes.write(number)) for number in range(2_000)]
    await writes.first_has_begun.wait()
    writes.ledger.refuse_writes()
    begun_before = database.begun
    writes.may_end.set()
    results = await asyncio.gather(*tasks, writes.write(2_000), return_exceptions=True)
    assert results[0] == 0
    assert {type(result) for result in results[1:]} == {ShuttingDown}
    assert (writes.begun, database.begun - begun_before) == ([0], 1)
    async with database.read() as connection:
        stored = (await connection.execute(rooms.select())).all()
    assert [row.room_id for row in stored] == ["!0"]


async def test_refusals_that_nobody_hears(database: Database) -> None:
    """A write whose caller has gone is refused without a complaint in the log."""
    writes = Writes(database)
    await writes.ledger.start()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    tasks = [asyncio.ensure_future(writes.write(number)) for number in range(3)]
    await writes.first_has_begun.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    writes.ledger.refuse_writes()
    writes.may_end.set()
    async with database.write():  # stands behind all of them
        pass
    assert (writes.begun, complaints) == ([0], [])


async def test_two_first_starts(postgres_url: str) -> None:
    """Two processes that start at once on an empty database begin one stream."""
    databases = [open_url(postgres_url, sharing=Sharing.BESIDE) for _ in range(2)]
    ledgers = [Ledger(it, FakeClock()) for it in databases]
    await asyncio.gather(*(it.start() for it in ledgers))
    assert ledgers[0].stream.token(0) == ledgers[1].stream.token(0)
    for database in databases:
        await database.close()


async def test_two_processes_that_write(postgres_url: str) -> None:
    """Two processes that write at once give each position out once."""
    databases = [open_url(postgres_url, sharing=Sharing.BESIDE) for _ in range(2)]
    ledgers = [Ledger(it, FakeClock()) for it in databases]
    for ledger in ledgers:
        await ledger.start()

    async def take(write: Write) -> int:
        return write.next_position()

    taken = await asyncio.gather(*(ledgers[n % 2].write(take) for n in range(20)))
    assert sorted(taken) == list(range(1, 21))
    for database in databases:
        await database.close()
