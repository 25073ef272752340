"""Ways to break a disk."""

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
