"""SQLite in a file.

The file gets one connection that writes, a few that only read, and one for reads of a single
statement. Writes wait in a queue of this process, so SQLite never has to say that the database is
locked. Readers see the last commit and wait for no writer.

Single statements go past SQLAlchemy. For a transaction SQLAlchemy makes five trips to the driver's
thread (BEGIN, the statement, COMMIT, and the pool's own when it takes the connection back). Each
trip wakes two threads. A statement by itself is a transaction already, and takes one trip.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lamplighter.database.adapter import PresenceRow, Statement, presence_upsert
from lamplighter.database.driver import DriverConnection
from lamplighter.database.engine import Database

__all__ = ["SETTINGS", "SqliteAdapter", "SqliteStatements", "open_file"]

#: How many reads run at the same time; more of them wait until one has ended.
_READERS: Final = 4
#: How long SQLite waits for another process (a backup, somebody's shell) to release its lock.
_BUSY_MILLISECONDS: Final = 5_000
#: What every connection is told first, as the pragmas of SQLite.
SETTINGS: Final = (
    "foreign_keys = ON",
    # As PostgreSQL's, LIKE is to tell upper from lower case.
    "case_sensitive_like = ON",
)

#: SQLite's result codes (<https://www.sqlite.org/rescode.html>) that tell of the machine.
_TROUBLE: Final = {
    sqlite3.SQLITE_FULL: "The disk is full",
    sqlite3.SQLITE_READONLY: "The database is read-only",
    sqlite3.SQLITE_IOERR: "The disk has failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened",
    sqlite3.SQLITE_PERM: "The database file may not be accessed",
    sqlite3.SQLITE_BUSY: "Another process keeps the database locked",
    sqlite3.SQLITE_LOCKED: "Another process keeps the database locked",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_NOTADB: "The file is not a database",
}

#: Its parameter is a JSON array of rows. (`WHERE true` lets SQLite tell ON CONFLICT from a join.)
_SAVE: Final = presence_upsert("""
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]')
FROM json_each($1)
WHERE true
""")
#: Its parameter is a JSON array of user IDs.
_FORGET: Final = "DELETE FROM presence WHERE user_id IN (SELECT value FROM json_each($1))"


class SqliteStatements:
    """What an `Adapter` of SQLite knows wherever the database is: its errors and statements."""

    def trouble_of(self, error: Exception) -> str | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        trouble = None if code is None else _TROUBLE.get(code & 0xFF)
        return trouble and f"{trouble} ({cause})"

    def saving(self, rows: Sequence[PresenceRow]) -> Statement:
        return Statement(_SAVE, (msgspec.json.encode(rows).decode(),))

    def forgetting(self, user_ids: Sequence[str]) -> Statement:
        return Statement(_FORGET, (msgspec.json.encode(user_ids).decode(),))

    @staticmethod
    def named(values: Sequence[object]) -> dict[str, object]:
        """Return *values* by the names that SQLite sees in `$1`, `$2`."""
        return {str(number): value for number, value in enumerate(values, 1)}


class SqliteAdapter(SqliteStatements):
    """The `Adapter` of SQLite in a file."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, fetcher: AsyncEngine) -> None:
        """Write through *writer*, read through *reader*, and fetch through *fetcher*.

        *writer* and *fetcher* have a single connection each.
        """
        self._writer = writer
        self._reader = reader
        self._fetcher = fetcher
        self._to_commit = DriverConnection(writer)
        self._to_fetch = DriverConnection(fetcher)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self, still_wanted: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
        async with self._writing:
            still_wanted()
            async with self._writer.begin() as connection:
                yield connection

    async def commit(self, statement: Statement) -> None:
        async with self._writing:
            connection = await self._to_commit.open()
            await connection.execute(statement.sql, self.named(statement.values))

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        connection = await self._to_fetch.open()
        rows: list[tuple[Any, ...]] = await connection.execute_fetchall(
            statement.sql, self.named(statement.values)
        )
        return rows

    async def close(self) -> None:
        async with self._writing:
            for engine in (self._reader, self._fetcher, self._writer):
                await engine.dispose()


def open_file(path: Path) -> Database:
    """Return the SQLite database in the file *path*, which is created when first used."""
    url = URL.create("sqlite+aiosqlite", database=str(path))
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=None)
    reader = create_async_engine(url, pool_size=_READERS, max_overflow=0, pool_timeout=None)
    fetcher = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=None)
    _prepare(writer, "BEGIN IMMEDIATE", "journal_mode = WAL", "synchronous = FULL")
    for engine in (reader, fetcher):
        _prepare(engine, "BEGIN", "query_only = ON")
    return Database(SqliteAdapter(writer, reader, fetcher))


def _prepare(engine: AsyncEngine, begin: str, *pragmas: str) -> None:
    """Make every connection of *engine* start its transactions with *begin*, under *pragmas*."""
    settings = (f"busy_timeout = {_BUSY_MILLISECONDS}", *SETTINGS, *pragmas)

    def on_connect(connection: Any, record: object) -> None:  # noqa: ARG001 - SQLAlchemy's shape
        connection.isolation_level = None  # or the driver would begin transactions by itself
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin))
