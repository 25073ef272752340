"""Makes SQLite answer as it does on a disk that is broken."""

import asyncio
import threading

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database


async def fill_disk(database: Database) -> None:
    """Let the database grow no more."""
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1")


async def free_disk(database: Database) -> None:
    """Let the database grow again."""
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


async def forbid_writing(database: Database) -> None:
    """Make SQLite answer writes as it does on a read-only file."""
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA query_only = ON")


async def allow_writing(database: Database) -> None:
    """Undo `forbid_writing`."""
    await database.commit(Statement("PRAGMA query_only = OFF"))


async def connections_ended() -> None:
    """Return once no connection has a thread any more.

    A connection that failed to open ends by itself, a little later, and needs the loop for that.
    """
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)
